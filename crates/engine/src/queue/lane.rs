//! One poller's life: receive a batch, have it processed, again. The only loop that polls.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pelton_core::{Clock, Cursor, Destination, Disposition, Invoker, PartitionId, Source, SourceError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Backoff;
use crate::batcher::{Batcher, Limits, MAXIMUM_PAYLOAD_BYTES};
use crate::idle::idle;
use crate::queue::concurrency::Concurrency;
use crate::queue::drive::Settling;
use crate::queue::hold::{Heartbeat, Held};
use crate::status::{Part, Watch};

/// How long an additional poller waits for messages before it leaves.
const EXTRA_WAIT: Duration = Duration::from_secs(1);
const SOURCE_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_SOURCE_PAUSE: Duration = Duration::from_secs(15);
const FAILURE_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Failed invocations in a row that a poller takes without a pause: a single poison message is no reason to slow down.
const FAILURES_WITHOUT_PAUSE: u32 = 2;

/// What all pollers of one partition share.
pub(crate) struct Shared {
    pub source: Arc<dyn Source>,
    pub invoker: Arc<dyn Invoker>,
    pub on_success: Option<Arc<dyn Destination>>,
    pub on_failure: Option<Arc<dyn Destination>>,
    pub clock: Arc<dyn Clock>,
    pub watch: Arc<Watch>,
    pub partition: PartitionId,
    pub concurrency: Concurrency,
    pub slots: Option<Arc<Semaphore>>,
    pub shutdown: CancellationToken,
}

/// The right to run one invocation: of the mapping, and of the function where that is limited.
#[derive(Debug)]
pub(crate) struct Permit {
    _mapping: OwnedSemaphorePermit,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Shared {
    pub(crate) fn heartbeat(&self) -> Heartbeat<'_> {
        Heartbeat { source: &*self.source, partition: &self.partition, watch: &self.watch }
    }

    /// Whether one more poller could do anything but wait for the function, in the way of other mappings.
    fn can_use_another_poller(&self) -> bool {
        self.slots.as_ref().is_none_or(|slots| slots.available_permits() > 0)
    }

    /// Waits for the right to run one invocation. `None`: shutdown came first.
    pub(crate) async fn permit(&self) -> Option<Permit> {
        let mapping = self.acquire(&self.concurrency.permits).await?;
        let slot = match &self.slots {
            Some(slots) => Some(self.acquire(slots).await?),
            None => None,
        };
        Some(Permit { _mapping: mapping, _slot: slot })
    }

    /// `None`: shutdown came first. The semaphores are never closed.
    async fn acquire(&self, semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        self.shutdown.run_until_cancelled(semaphore.clone().acquire_owned()).await?.ok()
    }
}

/// What receiving came to.
enum Collected {
    Batch(Vec<Held>, Permit),
    Nothing,
    Trouble(SourceError),
    Shutdown,
}

/// One poller.
pub(crate) struct Lane {
    shared: Arc<Shared>,
    batcher: Batcher<Held>,
    cursor: Cursor,
    /// The last poll brought nothing.
    is_idle: bool,
    pause: Duration,
    /// What the filters don't let through, until it is settled.
    filtered: Vec<Settling>,
    failures_in_a_row: u32,
    source_backoff: Backoff,
    failure_backoff: Backoff,
}

impl Lane {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let mapping = &shared.watch.mapping;
        let limits =
            Limits { records: mapping.batch_size, bytes: MAXIMUM_PAYLOAD_BYTES, window: mapping.batching_window };
        Self {
            batcher: Batcher::new(limits),
            cursor: Cursor::default(),
            is_idle: shared.concurrency.running() <= 1,
            pause: Duration::ZERO,
            filtered: Vec::new(),
            failures_in_a_row: 0,
            source_backoff: Backoff::new(SOURCE_PAUSE, LONGEST_SOURCE_PAUSE),
            failure_backoff: Backoff::new(FAILURE_PAUSE, LONGEST_FAILURE_PAUSE),
            shared,
        }
    }

    /// Runs until shutdown, or until there are too many pollers. Has left the [`Concurrency`] when it returns.
    pub(crate) async fn run(mut self) {
        loop {
            if self.batcher.is_empty() {
                if self.shared.shutdown.is_cancelled() {
                    self.shared.concurrency.left();
                    return;
                }
                if self.shared.concurrency.is_superfluous() {
                    return;
                }
            }
            match self.collect().await {
                Collected::Batch(batch, permit) => self.process(batch, permit).await,
                Collected::Nothing => {
                    self.is_idle = true;
                    if self.shared.concurrency.try_leave() {
                        return;
                    }
                }
                Collected::Trouble(error) => {
                    self.settle_filtered().await;
                    self.note(&error);
                    if self.batcher.is_empty() && self.shared.concurrency.try_leave() {
                        return;
                    }
                    let pause = self.source_backoff.next_delay_or(error.retry_after());
                    let waiting = self.batcher.waiting();
                    self.shared.heartbeat().during(waiting, idle(pause, &self.shared.shutdown)).await;
                }
                Collected::Shutdown => self.release().await,
            }
            let waiting = self.batcher.waiting();
            self.shared.heartbeat().during(waiting, idle(self.pause, &self.shared.shutdown)).await;
        }
    }

    /// Receives until a batch is due.
    async fn collect(&mut self) -> Collected {
        let mut permit = None;
        loop {
            if self.shared.shutdown.is_cancelled() {
                return Collected::Shutdown;
            }
            let now = Instant::now();
            if self.batcher.is_due(now) {
                if self.batcher.is_full() && self.shared.can_use_another_poller() {
                    self.shared.concurrency.batch_was_full();
                }
                let permit = match permit {
                    Some(permit) => Some(permit),
                    None => self.permit_while_holding().await,
                };
                return permit.map_or(Collected::Shutdown, |permit| Collected::Batch(self.batcher.take(), permit));
            }
            self.settle_filtered().await;
            let wait = self.wait(now).await;
            if permit.is_none() {
                permit = self.permit_while_holding().await;
            }
            // A poller that only waits lends its permit to those that have something to do. There was a free one a
            // moment ago, so what it receives is kept waiting only if the function became busy meanwhile.
            if self.is_idle || !self.batcher.is_empty() {
                permit = None;
            }
            if let Err(error) = self.poll(wait).await {
                return Collected::Trouble(error);
            }
            if self.batcher.is_empty() && self.filtered.is_empty() {
                return Collected::Nothing;
            }
        }
    }

    async fn permit_while_holding(&mut self) -> Option<Permit> {
        let shared = self.shared.clone();
        shared.heartbeat().during(self.batcher.waiting(), shared.permit()).await
    }

    /// How long the next poll may wait for a first message. The end of a batching window that is nearer than a
    /// source can wait for (a second) is slept through here, so that a last poll can still top the batch up.
    async fn wait(&mut self, now: Instant) -> Duration {
        let idle_wait = self.shared.source.idle_wait();
        let Some(deadline) = self.batcher.deadline() else {
            return if self.shared.concurrency.running() <= 1 { idle_wait } else { idle_wait.min(EXTRA_WAIT) };
        };
        let left = deadline.saturating_duration_since(now);
        if left.as_secs() > 0 {
            return Duration::from_secs(left.as_secs()).min(idle_wait);
        }
        let shared = self.shared.clone();
        shared.heartbeat().during(self.batcher.waiting(), idle(left, &shared.shutdown)).await;
        Duration::ZERO
    }

    /// Polls once. Never dropped half-way, also not at shutdown: what the source hands out must be given back.
    async fn poll(&mut self, wait: Duration) -> Result<(), SourceError> {
        let shared = self.shared.clone();
        let Some(_turn) = shared.acquire(&shared.concurrency.receives).await else { return Ok(()) };
        let room = self.batcher.room().max(1);
        let poll = shared.source.poll(&shared.partition, &mut self.cursor, room, wait);
        let polled = shared.heartbeat().during(self.batcher.waiting(), poll).await?;
        self.source_backoff.reset();
        if shared.watch.works(Part::Source) {
            tracing::info!(source = %shared.watch.mapping.event_source, "the event source can be polled again");
        }
        self.is_idle = polled.records.is_empty();
        self.pause = Duration::ZERO;
        shared.watch.metrics.polled.inc_by(polled.records.len() as u64);
        if self.is_idle && !wait.is_zero() {
            shared.watch.set_backlog(0);
        }
        let poll_was_full = polled.records.len() >= room;
        for held in Held::from_poll(polled, Instant::now()) {
            if shared.watch.mapping.filters.matches(&held.record.event) {
                self.push(held);
            } else {
                let (hidden_until, receipt) = (held.hidden_until(), held.record.receipt);
                self.filtered.push(Settling { receipt, disposition: Disposition::Filtered, hidden_until });
            }
        }
        shared.watch.metrics.filtered.inc_by(self.filtered.len() as u64);
        // The batch won't tell that there is more to fetch when part of the poll is missing from it.
        if poll_was_full && !self.filtered.is_empty() && shared.can_use_another_poller() {
            shared.concurrency.batch_was_full();
        }
        Ok(())
    }

    /// Adds a record to the batch. One that waits there already has been shown again by its source, because it could
    /// not be kept hidden: it takes the old one's place, so that no batch holds a message twice or out of order.
    fn push(&mut self, held: Held) {
        let waiting = self.batcher.waiting();
        let same = |waiting: &Held| waiting.record.id == held.record.id;
        // A record received for the first time waits nowhere: no need to look.
        let place = if held.record.receive_count > 1 { waiting.iter().position(same) } else { None };
        let Some(place) = place else {
            self.batcher.push(held);
            return;
        };
        let again = waiting[place].received_again(held);
        self.batcher.replace(place, again);
        self.shared.expired("received again while it waited for its batch");
    }

    /// Takes what the filters don't let through out of the source, as AWS does.
    async fn settle_filtered(&mut self) {
        let filtered = std::mem::take(&mut self.filtered);
        if !filtered.is_empty() {
            let shared = self.shared.clone();
            shared.heartbeat().during(self.batcher.waiting(), shared.settle(filtered)).await;
        }
    }

    /// Has a batch processed, while what waits for the next one is kept hidden.
    async fn process(&mut self, batch: Vec<Held>, permit: Permit) {
        let shared = self.shared.clone();
        let mut permit = Some(permit);
        let drives = split_by_order(batch).into_iter().map(|batch| {
            let permit = permit.take();
            shared.drive(batch, permit)
        });
        let drives: Vec<_> = drives.collect();
        let filtered = shared.settle(std::mem::take(&mut self.filtered));
        let work = async { tokio::join!(join_all(drives), filtered).0 };
        let processed = shared.heartbeat().during(self.batcher.waiting(), work).await;
        if processed.iter().any(|processed| *processed) {
            self.failures_in_a_row = 0;
            self.failure_backoff.reset();
            return;
        }
        self.failures_in_a_row += 1;
        if self.failures_in_a_row > FAILURES_WITHOUT_PAUSE {
            self.pause = self.pause.max(self.failure_backoff.next_delay());
        }
    }

    fn note(&self, error: &SourceError) {
        let watch = &self.shared.watch;
        watch.metrics.source_errors.inc();
        if watch.trouble(Part::Source, &error.message) {
            tracing::warn!(source = %watch.mapping.event_source, %error, "the event source can't be polled, trying again");
        }
    }

    /// Hands back at once what was received and will not be invoked.
    async fn release(&mut self) {
        self.settle_filtered().await;
        self.shared.release(self.batcher.take_all()).await;
    }
}

impl Shared {
    /// Makes records visible again at once.
    pub(crate) async fn release(&self, batch: Vec<Held>) {
        let disposition = Disposition::Returned { after: Some(Duration::ZERO) };
        let released =
            batch.into_iter().map(|held| Settling { receipt: held.record.receipt, disposition, hidden_until: None });
        self.settle(released.collect()).await;
    }
}

/// Records with an order key go to the function key by key, so that a failure in one key never touches another.
fn split_by_order(batch: Vec<Held>) -> Vec<Vec<Held>> {
    let mut batches: Vec<Vec<Held>> = Vec::new();
    let mut by_key: HashMap<Option<String>, usize> = HashMap::new();
    for held in batch {
        let key = held.record.order_key.clone();
        let index = *by_key.entry(key).or_insert_with(|| {
            batches.push(Vec::new());
            batches.len() - 1
        });
        batches[index].push(held);
    }
    batches
}
