//! Reads events that other parsers take and serde_json doesn't: strings with half a surrogate pair, and bytes that are
//! no UTF-8. Either becomes U+FFFD, so that a message isn't lost to a field beside those its filter is about.

const REPLACEMENT: &[u8; 6] = br"\ufffd";

/// The text with what can't be read replaced; nothing if there is nothing to replace.
pub(crate) fn mend(event: &[u8]) -> Option<Vec<u8>> {
    let mut text = String::from_utf8_lossy(event).into_owned().into_bytes();
    let is_utf8 = text == event;
    let mut mended = false;
    let mut at = 0;
    // A backslash stands in strings only, and each one begins an escape.
    while let Some(found) = text.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += found;
        at += match (unit(&text, at), unit(&text, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                text[at..at + 6].copy_from_slice(REPLACEMENT);
                mended = true;
                6
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
    }
    (mended || !is_utf8).then_some(text)
}

/// The UTF-16 unit of a `\u` escape.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    let escape = text.get(at..at + 6)?;
    let digits = std::str::from_utf8(escape.strip_prefix(br"\u")?).ok()?;
    u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_are_replaced_and_pairs_are_not() {
        for (text, expected) in [
            (r#""\ud83d\ude00""#, None),
            (r#""plain \n \\ud800 \u00e9""#, None),
            (r#""\ud800""#, Some(r#""\ufffd""#)),
            (r#""\udc00\ud800x""#, Some(r#""\ufffd\ufffdx""#)),
            (r#""\ud800\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\\\uD800""#, Some(r#""\\\ufffd""#)),
            (r#""\ud8"#, None),
            (r#""\"#, None),
            (r#""\u+800""#, None),
        ] {
            assert_eq!(mend(text.as_bytes()).as_deref(), expected.map(str::as_bytes), "{text}");
        }
        assert_eq!(mend(b"\"\xff\"").as_deref(), Some("\"\u{fffd}\"".as_bytes()));
    }
}
