//! What a function is invoked with: JSON, or an error in the words of Lambda's parser (spec 12.4). Pure.
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::error::ApiError;

/// Behind every message, with the place.
const SOURCE: &str = "at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";
const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

/// The payload of a body. An empty one is an object without fields; every other stays byte for byte what it is.
pub fn payload(body: Bytes) -> Result<Bytes, ApiError> {
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let problem = match std::str::from_utf8(&body) {
        Ok(text) => parse(text).err(),
        Err(error) => {
            // Valid so far, or the error is not the first one.
            let valid = std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default();
            Some(
                parse(valid)
                    .err()
                    .filter(|problem| !problem.is_end)
                    .unwrap_or_else(|| invalid_byte(&body, valid.len())),
            )
        }
    };
    match problem {
        None => Ok(body),
        Some(problem) => {
            let place = format!("line: {}, column: {}", problem.line, problem.column);
            let message = problem.message;
            Err(ApiError::not_json(&format!("Could not parse payload into json: {message}\n {SOURCE}; {place}]")))
        }
    }
}

struct Problem {
    message: String,
    line: usize,
    /// In bytes, from 1.
    column: usize,
    /// What comes next could still make it JSON.
    is_end: bool,
}

fn parse(text: &str) -> Result<(), Problem> {
    let Err(error) = serde_json::from_str::<IgnoredAny>(text) else { return Ok(()) };
    if let Some(problem) = unexpected_beginning(text) {
        return Err(problem);
    }
    let (message, is_end) = (error.to_string(), error.is_eof());
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    Err(Problem { message, line: error.line(), column: error.column() + 1, is_end })
}

/// What most people send who send no JSON: bare words, and the beginning of something else.
fn unexpected_beginning(text: &str) -> Option<Problem> {
    let start = text.find(|character: char| !is_space(character))?;
    let rest = &text[start..];
    let first = rest.chars().next()?;
    let is_word = |character: char| character.is_alphanumeric() || character == '_' || character == '$';
    if is_word(first) && !first.is_ascii_digit() {
        let word: String = rest.chars().take_while(|character| is_word(*character)).collect();
        let is_whole = word.len() < rest.len();
        if matches!(word.as_str(), "true" | "false" | "null") || (!is_whole && is_beginning(&word)) {
            return None;
        }
        // The parser has also taken what ended the word.
        let end = start + word.len() + usize::from(is_whole);
        let shown: String = word.chars().take(256).collect();
        return Some(at(text, end, format!("Unrecognized token '{shown}': was expecting {VALUES}")));
    }
    match first {
        '{' | '[' | '"' | '-' | '0'..='9' => None,
        _ => Some(unexpected(text.as_bytes(), start, first as u32, Some(first))),
    }
}

fn is_beginning(word: &str) -> bool {
    ["true", "false", "null"].iter().any(|token| token.starts_with(word))
}

fn unexpected(body: &[u8], index: usize, code: u32, character: Option<char>) -> Problem {
    let shown = match character.filter(|character| !character.is_control()) {
        Some(character) => format!("'{character}' (code {code})"),
        None => format!("(CTRL-CHAR, code {code})"),
    };
    at_byte(body, index, format!("Unexpected character ({shown}): expected a valid value {VALUES}"))
}

/// A byte that is no UTF-8: at the beginning it is no value, elsewhere no character.
fn invalid_byte(body: &[u8], index: usize) -> Problem {
    let byte = body.get(index).copied().unwrap_or_default();
    if body[..index].iter().all(|byte| is_space(char::from(*byte))) {
        return unexpected(body, index, byte.into(), None);
    }
    let following = match byte {
        0xc0..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf7 => 3,
        _ => 0,
    };
    let middle = (index + 1..=index + following).find(|next| body.get(*next).is_some_and(|byte| byte & 0xc0 != 0x80));
    let (index, message) = match middle {
        Some(middle) => (middle, format!("Invalid UTF-8 middle byte 0x{:x}", body[middle])),
        None => (index, format!("Invalid UTF-8 start byte 0x{byte:x}")),
    };
    // The parser has taken the byte when it notices.
    at_byte(body, index + 1, message)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn at(text: &str, index: usize, message: String) -> Problem {
    at_byte(text.as_bytes(), index, message)
}

fn at_byte(body: &[u8], index: usize, message: String) -> Problem {
    let before = &body[..index.min(body.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    Problem { message, line, column: index - begin + 1, is_end: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(body: &[u8]) -> String {
        let error = payload(Bytes::copy_from_slice(body)).unwrap_err();
        assert_eq!((error.status.as_u16(), error.kind), (400, "InvalidRequestContentException"));
        error.message
    }

    #[test]
    fn json_stays_as_it_is_and_nothing_is_an_object() {
        assert_eq!(payload(Bytes::new()).unwrap(), "{}");
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for text in
            ["null", " {\"a\" : 1.0e3} ", "\"é\\ud800\"", "[1,\n2]", "-0", "123456789012345678901234567890", &deep]
        {
            assert_eq!(payload(Bytes::copy_from_slice(text.as_bytes())).unwrap(), text);
        }
    }

    #[test]
    fn what_aws_said_is_said_again() {
        for (body, said, place) in [
            (&b"n\x87r"[..], "Invalid UTF-8 start byte 0x87", "line: 1, column: 3"),
            (b"{\"\xe5-", "Invalid UTF-8 middle byte 0x2d", "line: 1, column: 5"),
            (
                b"\x99",
                "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object or \
                 token 'null', 'true' or 'false')",
                "line: 1, column: 1",
            ),
            (
                b"\n }",
                "Unexpected character ('}' (code 125)): expected a valid value (JSON String, Number, Array, Object or token \
                 'null', 'true' or 'false')",
                "line: 2, column: 2",
            ),
            (
                b"hello",
                "Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or \
                 'false')",
                "line: 1, column: 6",
            ),
        ] {
            assert_eq!(
                message(body),
                format!(
                    "Could not parse request body into json: Could not parse payload into json: {said}\n at [Source: \
                     REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); {place}]"
                )
            );
        }
    }

    #[test]
    fn everything_else_that_is_no_json_is_refused_with_its_place() {
        for body in [
            &b" "[..],
            b"{",
            b"{\"a\": }",
            b"{} {}",
            b"\"\x01\"",
            b"tru",
            b"[1,]",
            b"'a'",
            b"\"\x87",
            b"{}\x87",
            b"\"\xc0\x80\"",
            b"\"\xe2\x82",
        ] {
            let text = message(body);
            assert!(text.contains("\n at [Source: REDACTED") && text.contains("line: 1, column: "), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_json_or_refused(body in prop::collection::vec(any::<u8>(), 0..12), text in "[\\[\\]{}\":,tfn0-9a \\n\\x00é-]{0,12}") {
            for body in [body, text.into_bytes()] {
                let is_json = serde_json::from_slice::<serde_json::Value>(&body).is_ok() || body.is_empty();
                let taken = payload(Bytes::copy_from_slice(&body)).is_ok();
                prop_assert!(taken || !is_json, "{:?}", body);
                prop_assert!(!taken || is_json || serde_json::from_slice::<IgnoredAny>(&body).is_ok(), "{:?}", body);
            }
        }
    }
}
