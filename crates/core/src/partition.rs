//! The parts of a source, and places in them.
use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names one independently ordered part of a source: a shard, or a whole queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub String);

impl fmt::Display for PartitionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One part of a source, as its listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub id: PartitionId,
    /// The shards it came from by a split or a merge; what they hold comes before what it holds. They need not be
    /// listed any more.
    pub parents: Vec<PartitionId>,
    /// It takes no more records: it was split or merged, or has rolled over.
    pub closed: bool,
}

/// The parts of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Tells a stream from another one of the same name, made after the first was deleted: creation time or stream
    /// label. Checkpoints belong to one incarnation. Empty for queues.
    pub incarnation: String,
    /// How long the source keeps a record; `None` where that doesn't matter or isn't known.
    pub retention: Option<Duration>,
    /// In no particular order.
    pub partitions: Vec<Partition>,
}

impl Listing {
    /// A source of one part: a queue.
    pub fn single() -> Self {
        let queue = Partition { id: PartitionId("queue".into()), parents: Vec::new(), closed: false };
        Self { incarnation: String::new(), retention: None, partitions: vec![queue] }
    }
}

/// A place in a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// Before the oldest record there is.
    #[default]
    TrimHorizon,
    /// Behind the newest record at the time of the first poll. Never kept: the engine keeps the time instead.
    Latest,
    /// Before the first record that arrived at this time or later.
    AtTimestamp(Timestamp),
    /// Behind the record with this sequence number.
    After(SequenceNumber),
    /// Behind everything: the shard has ended and all of it is settled.
    End,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrimHorizon => formatter.write_str("TRIM_HORIZON"),
            Self::Latest => formatter.write_str("LATEST"),
            Self::AtTimestamp(at) => write!(formatter, "AT_TIMESTAMP {at}"),
            Self::After(number) => write!(formatter, "{number}"),
            Self::End => formatter.write_str("SHARD_END"),
        }
    }
}

/// The decimal number that orders the records of a shard. It can have 128 bits and more, so it is kept as text and
/// compared as a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SequenceNumber(String);

/// A text that is no sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no sequence number: one is made of decimal digits, at most 129 of them")]
pub struct SequenceNumberError(pub String);

impl SequenceNumber {
    /// The digits as the source wrote them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl std::str::FromStr for SequenceNumber {
    type Err = SequenceNumberError;

    fn from_str(text: &str) -> Result<Self, SequenceNumberError> {
        let is_number = (1..=129).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(Self(text.to_owned())) } else { Err(SequenceNumberError(text.chars().take(140).collect())) }
    }
}

impl TryFrom<String> for SequenceNumber {
    type Error = SequenceNumberError;

    fn try_from(text: String) -> Result<Self, SequenceNumberError> {
        text.parse()
    }
}

impl From<SequenceNumber> for String {
    fn from(number: SequenceNumber) -> Self {
        number.0
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (self.digits(), other.digits());
        // Equal numbers of different texts are told apart, so that the order agrees with equality.
        one.len().cmp(&two.len()).then_with(|| one.cmp(two)).then_with(|| self.0.cmp(&other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sequence_numbers_are_ordered_as_numbers(one in any::<u128>(), two in any::<u128>()) {
            let number = |value: u128| value.to_string().parse::<SequenceNumber>().unwrap();
            prop_assert_eq!(number(one).cmp(&number(two)), one.cmp(&two));
        }

        #[test]
        fn only_digits_are_a_sequence_number(text in "[0-9]{0,131}|\\PC{0,10}") {
            let good = !text.is_empty() && text.len() <= 129 && text.chars().all(|it| it.is_ascii_digit());
            prop_assert_eq!(text.parse::<SequenceNumber>().is_ok(), good);
        }
    }

    #[test]
    fn positions_survive_json() {
        let after = Position::After("49590338271490256608559692538361571095921575989136588898".parse().unwrap());
        for position in [Position::TrimHorizon, Position::AtTimestamp(Timestamp::UNIX_EPOCH), after, Position::End] {
            let json = serde_json::to_string(&position).unwrap();
            assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position, "{json}");
        }
    }
}
