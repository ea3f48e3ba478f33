//! Replays every message of a queue of failure records.
use std::collections::HashSet;
use std::time::Duration;

use pelton_core::{Cursor, Disposition, PartitionId, Receipt, Source, SourceError};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Messages of one receive (SQS quota).
const AT_ONCE: usize = 10;
/// A receive that waits asks all of SQS's servers, so an empty answer means an empty queue.
const WAIT: Duration = Duration::from_secs(2);

/// What becomes of a message after its replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSuccess {
    /// It is deleted.
    Delete,
    /// It can be received again.
    Keep,
}

/// How it went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Messages that were replayed, and deleted if they were to be.
    pub replayed: usize,
    /// Messages that were not.
    pub failed: usize,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// `MessageId`.
    pub id: String,
    /// The failure record, however wrapped.
    pub body: String,
}

/// Receives until the queue is empty, and gives each message to `replay`, which reports by itself and says whether it has
/// worked. No message is replayed twice. What isn't deleted is hidden until the end, and then can be received at once.
///
/// `stop` ends it between two messages.
pub async fn replay_all(
    queue: &dyn Source,
    after: AfterSuccess,
    stop: &CancellationToken,
    mut replay: impl AsyncFnMut(Message) -> bool,
) -> Result<Tally, SourceError> {
    let mut held = Held::new(queue);
    let tally = replay_with(&mut held, after, stop, &mut replay).await;
    held.give_back().await;
    tally
}

async fn replay_with(
    held: &mut Held<'_>,
    after: AfterSuccess,
    stop: &CancellationToken,
    replay: &mut impl AsyncFnMut(Message) -> bool,
) -> Result<Tally, SourceError> {
    let (mut tally, mut seen) = (Tally::default(), HashSet::new());
    while !stop.is_cancelled() {
        let began_at = Instant::now();
        let (queue, partition, mut cursor) = (held.queue, held.partition.clone(), Cursor::default());
        let polled = held.during(queue.poll(&partition, &mut cursor, AT_ONCE, WAIT)).await?;
        held.take(polled.records.iter().map(|record| record.receipt.clone()), polled.hidden_for, began_at);
        let fresh: Vec<_> = polled.records.into_iter().filter(|record| seen.insert(record.id.clone())).collect();
        if fresh.is_empty() {
            break;
        }
        for record in fresh {
            if stop.is_cancelled() {
                break;
            }
            let message = Message { id: record.id, body: body_of(&record.event) };
            let id = message.id.clone();
            let worked = held.during(replay(message)).await;
            let is_done = worked && (after == AfterSuccess::Keep || held.delete(&id, record.receipt).await);
            *(if is_done { &mut tally.replayed } else { &mut tally.failed }) += 1;
        }
    }
    Ok(tally)
}

/// The body, out of the message as a function would see it.
fn body_of(event: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Event {
        body: String,
    }
    serde_json::from_slice(event)
        .map_or_else(|_| String::from_utf8_lossy(event).into_owned(), |event: Event| event.body)
}

/// Messages that nobody else must get meanwhile.
struct Held<'a> {
    queue: &'a dyn Source,
    partition: PartitionId,
    receipts: Vec<Receipt>,
    hidden_for: Duration,
    extend_at: Instant,
}

impl<'a> Held<'a> {
    fn new(queue: &'a dyn Source) -> Self {
        let partition = PartitionId("queue".into());
        Self { queue, partition, receipts: Vec::new(), hidden_for: Duration::ZERO, extend_at: Instant::now() }
    }

    fn take(&mut self, receipts: impl Iterator<Item = Receipt>, hidden_for: Option<Duration>, began_at: Instant) {
        // A third, so that one extension may fail; never so short that it's all we do.
        self.hidden_for = hidden_for.unwrap_or_default().max(Duration::from_secs(3));
        let extend_at = began_at + self.hidden_for / 3;
        self.extend_at = if self.receipts.is_empty() { extend_at } else { self.extend_at.min(extend_at) };
        self.receipts.extend(receipts);
    }

    /// Waits for the work, and keeps the messages hidden meanwhile.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(self.extend_at), if !self.receipts.is_empty() => self.extend().await,
            }
        }
    }

    async fn extend(&mut self) {
        self.extend_at = Instant::now() + self.hidden_for / 3;
        if let Err(error) = self.queue.extend(&self.partition, &self.receipts, self.hidden_for).await {
            tracing::warn!(%error, "the messages can't be kept hidden: others may receive them meanwhile");
        }
    }

    async fn delete(&mut self, id: &str, receipt: Receipt) -> bool {
        let settled = [(receipt.clone(), Disposition::Delivered)];
        let problem = match self.queue.settle(&self.partition, &settled).await {
            Ok(unsettled) => unsettled.into_iter().next().map(|it| it.error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            crate::output::print_error(&format!("message {id} was replayed, but can't be deleted: {problem}"));
            return false;
        }
        self.receipts.retain(|held| *held != receipt);
        true
    }

    async fn give_back(self) {
        let at_once = Disposition::Returned { after: Some(Duration::ZERO) };
        let settled: Vec<_> = self.receipts.into_iter().map(|receipt| (receipt, at_once)).collect();
        if settled.is_empty() {
            return;
        }
        match self.queue.settle(&self.partition, &settled).await {
            Ok(unsettled) if unsettled.is_empty() => {}
            Ok(unsettled) => tracing::debug!(messages = unsettled.len(), "come back after their visibility timeout"),
            Err(error) => tracing::warn!(%error, "the messages come back after the queue's visibility timeout"),
        }
    }
}

#[cfg(test)]
mod tests;
