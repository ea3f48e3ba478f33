//! What flows from a source through a batch to its end.
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::Position;

/// What the source needs to settle a record: a receipt handle or a sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub String);

/// Where the next poll of a partition continues. The source moves it; nobody else looks into the token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Up to where has been read: where a poll without a usable token begins. Queues have no such place.
    pub position: Position,
    /// What the source's next call needs, such as a shard iterator; `None` before the first poll.
    pub token: Option<String>,
}

impl Cursor {
    /// A cursor that has polled nothing yet.
    pub fn at(position: Position) -> Self {
        Self { position, token: None }
    }
}

/// One record as it will be shown to the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What `batchItemFailures` calls the record: message id or sequence number.
    pub id: String,
    /// What the source needs to settle it.
    pub receipt: Receipt,
    /// Records with equal keys reach the function in order: message group of a FIFO queue, partition key of a Kinesis
    /// record, item key of a DynamoDB record.
    pub order_key: Option<String>,
    /// How often the source has handed the record out, this time included; at least 1.
    pub receive_count: u32,
    /// When the record came into its stream; `None` for queues.
    pub arrived_at: Option<Timestamp>,
    /// The record's element of the event's `Records`, as JSON.
    pub event: Bytes,
}

/// The answer to one poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Polled {
    /// In the source's order; at most as many as were asked for.
    pub records: Vec<Record>,
    /// How long these records stay hidden from other pollers, from the start of the poll on; `None` for streams.
    pub hidden_for: Option<Duration>,
    /// How often the source itself hands a record out before it moves it to a dead-letter queue.
    pub maximum_receives: Option<u32>,
    /// More records are probably there now: the answer was full, or the source says that it is behind.
    pub more: bool,
    /// How far behind the newest record of its partition the answer is; `None` where the source doesn't say.
    pub behind: Option<Duration>,
    /// The place where the poll was to begin is no longer in the stream, so it began at the oldest record there is.
    pub trimmed: bool,
    /// The partition has ended: a split or merged shard, read to its end.
    pub ended: bool,
}

/// The final word on one record of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The function has processed it.
    Delivered,
    /// The mapping's filters don't let it through, so no function gets it.
    Filtered,
    /// Given up, after its execution record was accepted.
    Discarded,
    /// Not processed; the source hands it out again by its own rule, or after the given time if one is given.
    Returned {
        /// `None` leaves it to the source; zero is at once.
        after: Option<Duration>,
    },
}

/// One record that the source could not settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// Which.
    pub receipt: Receipt,
    /// Why.
    pub error: SettleError,
}

/// Why one record could not be settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The receipt is no longer valid: the record was hidden for too short a time and has been, or will be, handed out
    /// again.
    #[error("the receipt has expired: {0}")]
    Expired(String),
    /// The source refused for another reason, also after retries.
    #[error("{0}")]
    Failed(String),
}
