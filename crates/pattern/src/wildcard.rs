//! `wildcard`: `*` stands for any run of characters, `\*` and `\\` for themselves.

/// A compiled wildcard: the texts between the stars.
#[derive(Debug, Clone)]
pub(crate) struct Wildcard {
    /// One more than there are stars.
    pieces: Vec<String>,
}

impl Wildcard {
    pub fn compile(text: &str) -> Result<Self, String> {
        let mut pieces = vec![String::new()];
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let next = match character {
                '*' if characters.peek() == Some(&'*') => {
                    return Err("'**' is not allowed in a wildcard: one '*' stands for any run of characters".into());
                }
                '*' => {
                    pieces.push(String::new());
                    continue;
                }
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    _ => return Err("a backslash in a wildcard stands before '*' or another backslash".into()),
                },
                other => other,
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(next);
            }
        }
        Ok(Self { pieces })
    }

    /// The texts between the stars; of a wildcard without a star, its one text.
    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// Finds each piece at its first place after the one before: with nothing but stars between, that is never wrong.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.pieces[..] else {
            return self.pieces.first().is_some_and(|only| only == text);
        };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        for piece in middle {
            match rest.find(piece.as_str()) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(wildcard: &str, text: &str) -> bool {
        Wildcard::compile(wildcard).unwrap().matches(text)
    }

    #[test]
    fn table() {
        for (wildcard, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "any", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*c", "abc", true),
            ("a*a", "a", false),
            ("a*b*c", "axxbxxc", true),
            ("*ab*ab*", "ab", false),
            ("*ab*ab*", "abab", true),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            (r"a\\*", r"a\b", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(wildcard, text), expected, "{wildcard} {text}");
        }
        assert!(Wildcard::compile("a**b").is_err());
        assert!(Wildcard::compile(r"a\b").is_err());
        assert!(Wildcard::compile(r"a\").is_err());
    }

    fn naive(wildcard: &[char], text: &[char]) -> bool {
        match wildcard {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|i| naive(rest, &text[i..])),
            [first, rest @ ..] => text.first() == Some(first) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_way(wildcard in "(\\*?[ab]{1,2}){0,4}\\*?", text in "[ab]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&wildcard, &text), naive(&characters(&wildcard), &characters(&text)));
        }
    }
}
