//! Finds the place of a value in a JSON text that has been parsed before.

/// One step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Line and column, from 1, of the value at a path; of the text's beginning if there is no such value. Of a key that
/// is given twice, the last one.
pub(crate) fn locate(text: &str, path: &[Step]) -> (usize, usize) {
    let at = Scanner { text, at: 0 }.find(path).unwrap_or(0);
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    fn find(mut self, path: &[Step]) -> Option<usize> {
        self.skip_space();
        for step in path {
            let found = match step {
                Step::Key(wanted) => self.entries()?.into_iter().rev().find(|(key, _)| key == wanted).map(|(_, at)| at),
                Step::Index(index) => self.items()?.get(*index).copied(),
            };
            self.at = found?;
        }
        Some(self.at)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Steps over one value and the space around it, and gives its place.
    fn value(&mut self) -> Option<usize> {
        self.skip_space();
        let start = self.at;
        let mut values = serde_json::Deserializer::from_str(&self.text[start..]).into_iter::<serde::de::IgnoredAny>();
        values.next()?.ok()?;
        self.at = start + values.byte_offset();
        self.skip_space();
        Some(start)
    }

    fn items(&mut self) -> Option<Vec<usize>> {
        (self.byte()? == b'[').then_some(())?;
        let mut items = Vec::new();
        loop {
            self.at += 1;
            self.skip_space();
            if self.byte()? == b']' {
                return Some(items);
            }
            items.push(self.value()?);
            if self.byte()? != b',' {
                return Some(items);
            }
        }
    }

    fn entries(&mut self) -> Option<Vec<(String, usize)>> {
        (self.byte()? == b'{').then_some(())?;
        let mut entries = Vec::new();
        loop {
            self.at += 1;
            self.skip_space();
            if self.byte()? == b'}' {
                return Some(entries);
            }
            let start = self.value()?;
            let key: String = serde_json::from_str(self.text[start..self.at].trim_end()).ok()?;
            // The colon.
            self.at += 1;
            entries.push((key, self.value()?));
            if self.byte()? != b',' {
                return Some(entries);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_lines_and_columns() {
        let text = "{\n  \"a\" : [1, {\"é\": \"x\", \"b\":  true}],\n  \"a.b\": {}, \"a\": [ [] ,2]\n}";
        let key = |name: &str| Step::Key(name.into());
        assert_eq!(locate(text, &[]), (1, 1));
        assert_eq!(locate(text, &[key("a.b")]), (3, 10));
        assert_eq!(locate(text, &[key("a"), Step::Index(1)]), (3, 25), "the last one of the two");
        assert_eq!(locate(text, &[key("missing")]), (1, 1));
        let text = "{\"a\": [1, {\"é\": \"x\", \"b\":  true}]}";
        assert_eq!(locate(text, &[key("a"), Step::Index(1), key("b")]), (1, 28));
    }
}
