//! What the cursor's token holds.

/// A shard iterator, and how it came to its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIterator {
    /// The service's own text.
    pub text: String,
    /// It comes from the horizon in search of a time, so records from before that time are left out. One that was taken
    /// from `LATEST` has only newer ones before it, whatever the clocks of both sides say.
    pub seeks: bool,
}

/// Begins the token of an iterator that seeks. No iterator begins like that: they are base64 or begin with an ARN.
const SEEKS: &str = "seeks ";

impl ShardIterator {
    pub fn into_token(self) -> String {
        if self.seeks { format!("{SEEKS}{}", self.text) } else { self.text }
    }

    pub fn from_token(token: &str) -> Self {
        match token.strip_prefix(SEEKS) {
            Some(text) => Self { text: text.to_owned(), seeks: true },
            None => Self { text: token.to_owned(), seeks: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_iterator_back() {
        for seeks in [true, false] {
            let iterator = ShardIterator { text: "arn:aws:dynamodb:x|1|AAAA".into(), seeks };
            assert_eq!(ShardIterator::from_token(&iterator.clone().into_token()), iterator);
        }
    }
}
