//! The seam every event source implements.
use std::time::Duration;

use async_trait::async_trait;

use crate::{Cursor, Disposition, PartitionId, Polled, Receipt, Unsettled};

/// Who hands a returned record out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// The source itself, after a while: queues. A partition may be polled several times at once.
    BySource,
    /// Nobody, so the engine retries in place: streams. One poll of a partition at a time.
    ByEngine,
}

/// Where records come from. Holds no position: the cursor is handed in, so that restart and test are the same code.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What becomes of a returned record.
    fn redelivery(&self) -> Redelivery;

    /// The partitions to poll. A queue is one partition.
    async fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("queue".into())])
    }

    /// Receives at most `max_records`, waiting at most `wait` for the first one. An empty answer is no error.
    ///
    /// A queue's poll must not be dropped while it runs: records already handed out would stay hidden until their
    /// visibility timeout. It always ends soon after `wait`.
    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError>;

    /// Carries out the final word on records of one partition. Any number of them; records that could not be settled
    /// are returned, never swallowed. `Err` means that none was settled.
    async fn settle(
        &self,
        partition: &PartitionId,
        settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError>;

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

    /// The longest single wait that suits the source when it is idle.
    fn idle_wait(&self) -> Duration {
        Duration::from_secs(1)
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
    /// Refused: missing, or no permission. Somebody has to act; try again slowly, to notice when they have.
    Refused,
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
