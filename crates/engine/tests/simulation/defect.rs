//! Things that a broken engine might do, done on purpose: the model must notice each of them.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pelton_core::{Cursor, Disposition, PartitionId, Polled, Receipt, Redelivery, Source, SourceError, Unsettled};

use crate::network::RemoteQueue;

/// One way to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Received, deleted, never shown to the function.
    LosesMessages,
    /// Deleted before the function is asked.
    DeletesEarly,
    /// Execution records count as accepted but never were.
    LosesRecords,
    /// Messages of a group in the wrong order.
    ReordersGroups,
    /// Messages that the mapping filters out reach the function.
    IgnoresFilters,
    /// Batches above BatchSize.
    ExceedsBatchSize,
    /// More invocations than MaximumConcurrency and the function's own slots.
    ExceedsConcurrency,
    /// The same message twice in one batch.
    DeliversTwice,
    /// Polling ends for ever at some time.
    Hangs,
}

/// A source between the engine and the queue that has the defect.
pub struct DefectiveSource {
    pub inner: Arc<RemoteQueue>,
    pub defect: Option<Defect>,
}

#[async_trait]
impl Source for DefectiveSource {
    fn redelivery(&self) -> Redelivery {
        self.inner.redelivery()
    }

    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        let mut polled = self.inner.poll(partition, cursor, max_records, wait).await?;
        let Some(first) = polled.records.first().cloned() else { return Ok(polled) };
        let delete = [(first.receipt.clone(), Disposition::Delivered)];
        match self.defect {
            Some(Defect::LosesMessages) => {
                self.inner.queue.settle(partition, &delete).await?;
                polled.records.remove(0);
            }
            Some(Defect::DeletesEarly) => {
                self.inner.settle(partition, &delete).await?;
            }
            Some(Defect::ReordersGroups) => polled.records.reverse(),
            Some(Defect::DeliversTwice) => polled.records.push(first),
            Some(Defect::Hangs) => std::future::pending().await,
            _ => {}
        }
        Ok(polled)
    }

    async fn settle(
        &self,
        partition: &PartitionId,
        settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        self.inner.settle(partition, settled).await
    }

    async fn extend(
        &self,
        partition: &PartitionId,
        receipts: &[Receipt],
        hidden_for: Duration,
    ) -> Result<Vec<Unsettled>, SourceError> {
        self.inner.extend(partition, receipts, hidden_for).await
    }

    fn idle_wait(&self) -> Duration {
        self.inner.idle_wait()
    }
}
