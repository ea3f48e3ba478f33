//! The seam every event source implements.
use std::time::Duration;

use async_trait::async_trait;

use crate::{Cursor, Disposition, Listing, PartitionId, Polled, Receipt, Unsettled};

/// Who hands a returned record out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// The source itself, after a while: queues. A partition may be polled several times at once.
    BySource,
    /// Nobody, so the engine retries in place, and keeps the checkpoint: streams. One poll of a partition at a time.
    ByEngine,
}

/// Where records come from: a queue, or a stream of shards. Holds no position: the cursor is handed in, so that restart,
/// reshard and test are the same code. A queue implements `settle` and `extend`; a stream implements `partitions`.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What becomes of a returned record.
    fn redelivery(&self) -> Redelivery;

    /// The partitions there are, all pages of them. A queue is one partition.
    async fn partitions(&self) -> Result<Listing, SourceError> {
        Ok(Listing::single())
    }

    /// Receives at most `max_records`, waiting at most `wait` for the first one. An empty answer is no error. An error
    /// leaves the cursor where the next poll can go on from.
    ///
    /// A queue's poll must not be dropped while it runs: records already handed out would stay hidden until their
    /// visibility timeout. It always ends soon after `wait`. A stream's poll may be dropped; it doesn't wait unless
    /// records are pushed to it (enhanced fan-out), takes a new iterator by itself where the old one has expired, and
    /// moves `cursor.position` behind the last record it gives.
    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError>;

    /// Carries out the final word on records of one partition. Any number of them; records that could not be settled
    /// are returned, never swallowed. `Err` means that none was settled. Streams have nothing to do: their checkpoint is
    /// in the store.
    async fn settle(
        &self,
        _partition: &PartitionId,
        _settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        Ok(Vec::new())
    }

    /// Keeps records hidden for another `hidden_for`, counted from now. Streams have nothing to do.
    async fn extend(
        &self,
        _partition: &PartitionId,
        _receipts: &[Receipt],
        _hidden_for: Duration,
    ) -> Result<Vec<Unsettled>, SourceError> {
        Ok(Vec::new())
    }

    /// How many records wait in the source, roughly; `None` where the source can't tell.
    async fn backlog(&self) -> Result<Option<u64>, SourceError> {
        Ok(None)
    }

    /// A queue: the longest single wait that suits it when it is idle. A stream: the pause after a poll that found
    /// nothing.
    fn idle_wait(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Whether records are pushed, so that a poll waits for them by itself and no limit of reads applies: enhanced
    /// fan-out.
    fn is_pushed(&self) -> bool {
        false
    }
}

/// What an error asks of the caller. Nothing else steers retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Passing: connection, time-out, 5xx. Try again with backoff.
    Transient,
    /// Too many calls. Try again no sooner than `retry_after`, more slowly.
    Throttled {
        /// What the service asked for, if it did.
        retry_after: Option<Duration>,
    },
    /// Refused: no permission, or not in a state to answer. Somebody has to act; try again slowly, to notice when they
    /// have.
    Refused,
    /// What was asked for doesn't exist. Somebody may create it; try again slowly.
    Missing,
    /// This payload can never be accepted, however often it is sent.
    Payload,
}

/// A source could not be polled or settled.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What went wrong, in words, with the source's own error code.
    pub message: String,
    /// Whether and when to try again.
    pub kind: ErrorKind,
}

impl SourceError {
    /// How long the source asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ErrorKind::Throttled { retry_after } => retry_after,
            _ => None,
        }
    }
}
