//! A queue as a [`Source`].
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use futures_util::future::join_all;
use pelton_core::{
    Arn, Cursor, Disposition, ErrorKind, PartitionId, Polled, Receipt, Record, Redelivery, Source, SourceError,
    Unsettled,
};

use crate::client::{BATCH, Client};
use crate::event::{AbsentMd5, event};
use crate::queue::{Queue, QueueCache};

/// Receives that one poll runs at once to fill a large batch.
const RECEIVES_AT_ONCE: usize = 4;

/// One SQS queue.
#[derive(Debug)]
pub struct SqsSource {
    client: Client,
    arn: Arn,
    queue: QueueCache,
    absent_md5: AbsentMd5,
    idle_wait: Duration,
}

impl SqsSource {
    /// A queue, by its ARN. `batching_window` is the mapping's: AWS writes events a little differently with one.
    /// `idle_wait` is the longest single wait of an idle poll: up to 20 s.
    pub fn new(client: Client, arn: Arn, batching_window: Duration, idle_wait: Duration) -> Self {
        Self {
            client,
            queue: QueueCache::new(arn.clone()),
            arn,
            absent_md5: if batching_window.is_zero() { AbsentMd5::Absent } else { AbsentMd5::Null },
            idle_wait,
        }
    }

    fn is_fifo(&self) -> bool {
        self.arn.resource().ends_with(".fifo")
    }

    /// Receives until `max` messages are there or a receive isn't full; only the first one waits.
    async fn receive(&self, queue: &Queue, max: usize, wait: Duration) -> Result<Vec<Message>, SourceError> {
        let mut messages = self.client.receive(&self.arn, queue, max, wait).await?;
        let mut full = messages.len() >= BATCH;
        while full && messages.len() < max {
            let missing = max - messages.len();
            let receives = (0..missing.div_ceil(BATCH).min(RECEIVES_AT_ONCE))
                .map(|i| self.client.receive(&self.arn, queue, (missing - i * BATCH).min(BATCH), Duration::ZERO));
            for received in join_all(receives).await {
                match received {
                    Ok(received) => {
                        full &= received.len() >= BATCH;
                        messages.extend(received);
                    }
                    Err(error) => {
                        // What has come must be processed; the next poll will meet the error again.
                        tracing::debug!(%error, "a receive failed while a batch was being filled");
                        full = false;
                    }
                }
            }
        }
        Ok(messages)
    }

    fn record(&self, message: &Message) -> Option<Record> {
        let event = match event(message, &self.arn, self.absent_md5)? {
            Ok(event) => event,
            Err(error) => {
                tracing::error!(%error, message = message.message_id(), "a message can't be written as JSON");
                return None;
            }
        };
        let attribute = |name| message.attributes().and_then(|attributes| attributes.get(&name)).map(String::as_str);
        Some(Record {
            id: message.message_id()?.to_owned(),
            receipt: Receipt(message.receipt_handle()?.to_owned()),
            order_key: attribute(MessageSystemAttributeName::MessageGroupId)
                .filter(|_| self.is_fifo())
                .map(str::to_owned),
            receive_count: attribute(MessageSystemAttributeName::ApproximateReceiveCount)
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
            arrived_at: None,
            event,
        })
    }

    /// A refusal may mean that the queue was deleted, and perhaps made anew under another URL.
    fn looked_up_again_after<T>(&self, result: Result<T, SourceError>) -> Result<T, SourceError> {
        if let Err(SourceError { kind: ErrorKind::Refused, .. }) = &result {
            self.queue.forget();
        }
        result
    }

    async fn change_visibility(
        &self,
        queue: &Queue,
        changes: &[(Receipt, Duration)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        let calls = changes.chunks(BATCH).map(|chunk| self.client.change_visibility(&self.arn, queue, chunk));
        gather(join_all(calls).await, changes.chunks(BATCH).map(|chunk| chunk.iter().map(|(receipt, _)| receipt)))
    }
}

#[async_trait]
impl Source for SqsSource {
    fn redelivery(&self) -> Redelivery {
        Redelivery::BySource
    }

    async fn poll(
        &self,
        _partition: &PartitionId,
        _cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        let queue = self.queue.get(&self.client).await?;
        let messages = self.looked_up_again_after(self.receive(&queue, max_records.max(1), wait).await)?;
        let received = messages.len();
        let records: Vec<Record> = messages.iter().filter_map(|message| self.record(message)).collect();
        if records.len() < received {
            tracing::warn!(queue = %self.arn, unusable = received - records.len(), "messages without id or receipt handle");
        }
        Ok(Polled {
            records,
            hidden_for: Some(queue.visibility_timeout),
            maximum_receives: queue.maximum_receives,
            ..Polled::default()
        })
    }

    async fn settle(
        &self,
        _partition: &PartitionId,
        settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        let mut done = Vec::new();
        let mut shown = Vec::new();
        for (receipt, disposition) in settled {
            match disposition {
                Disposition::Delivered | Disposition::Filtered | Disposition::Discarded => done.push(receipt.clone()),
                Disposition::Returned { after: Some(after) } => shown.push((receipt.clone(), *after)),
                Disposition::Returned { after: None } => {}
            }
        }
        if done.is_empty() && shown.is_empty() {
            return Ok(Vec::new());
        }
        let queue = self.queue.get(&self.client).await?;
        let deletes = done.chunks(BATCH).map(|chunk| self.client.delete(&self.arn, &queue, chunk));
        let (deleted, changed) = tokio::join!(join_all(deletes), self.change_visibility(&queue, &shown));
        let deleted = gather(deleted, done.chunks(BATCH).map(<[Receipt]>::iter));
        match (deleted, changed) {
            (Ok(mut unsettled), Ok(more)) => {
                unsettled.extend(more);
                Ok(unsettled)
            }
            // Half of it worked: the other half is named, so that the caller repeats just that.
            (Ok(mut unsettled), Err(error)) if !done.is_empty() => {
                unsettled.extend(failed(shown.iter().map(|(receipt, _)| receipt), &error));
                Ok(unsettled)
            }
            (Err(error), Ok(mut unsettled)) if !shown.is_empty() => {
                unsettled.extend(failed(done.iter(), &error));
                Ok(unsettled)
            }
            (Err(error), _) | (_, Err(error)) => self.looked_up_again_after(Err(error)),
        }
    }

    async fn extend(
        &self,
        _partition: &PartitionId,
        receipts: &[Receipt],
        hidden_for: Duration,
    ) -> Result<Vec<Unsettled>, SourceError> {
        let queue = self.queue.get(&self.client).await?;
        let changes: Vec<_> = receipts.iter().map(|receipt| (receipt.clone(), hidden_for)).collect();
        self.looked_up_again_after(self.change_visibility(&queue, &changes).await)
    }

    async fn backlog(&self) -> Result<Option<u64>, SourceError> {
        let queue = self.queue.get(&self.client).await?;
        self.looked_up_again_after(self.client.backlog(&self.arn, &queue).await)
    }

    fn idle_wait(&self) -> Duration {
        self.idle_wait
    }
}

/// Adds the answers of several batch calls up. `Err` only if every call failed; else the receipts of a failed call are
/// named one by one.
fn gather<'a, I: Iterator<Item = &'a Receipt>>(
    results: Vec<Result<Vec<Unsettled>, SourceError>>,
    chunks: impl Iterator<Item = I>,
) -> Result<Vec<Unsettled>, SourceError> {
    let any_worked = results.iter().any(Result::is_ok);
    let mut unsettled = Vec::new();
    for (result, receipts) in results.into_iter().zip(chunks) {
        match result {
            Ok(more) => unsettled.extend(more),
            Err(error) if any_worked => unsettled.extend(failed(receipts, &error)),
            Err(error) => return Err(error),
        }
    }
    Ok(unsettled)
}

fn failed<'a>(receipts: impl Iterator<Item = &'a Receipt>, error: &SourceError) -> Vec<Unsettled> {
    let unsettled = |receipt: &Receipt| Unsettled {
        receipt: receipt.clone(),
        error: pelton_core::SettleError::Failed(error.message.clone()),
    };
    receipts.map(unsettled).collect()
}
