//! One shard: read ahead, hand records to lanes by their keys, settle in order, keep the checkpoint. One task, one loop.
mod kept;
mod trimmed;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use pelton_core::{
    Checkpoint, Cursor, Disposition, ErrorKind, Lease, Polled, Position, SequenceNumber, SourceError, Store, StoreError,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::kept::{restored, to_keep};
use crate::Backoff;
use crate::batcher::{Limits, MAXIMUM_PAYLOAD_BYTES};
use crate::idle::idle;
use crate::status::{Part, ShardProgress};
use crate::stream::attempt::Policy;
use crate::stream::lane::{Done, Lane, Now, Pending, Ready, Rules, Settled, Work};
use crate::stream::lane_of;
use crate::stream::pace::Pace;
use crate::stream::step::{Context, Shared};
use crate::stream::watermark::Watermark;
use crate::stream::window;

/// Records that one read asks for at most (GetRecords: 10,000 for Kinesis; DynamoDB gives 1,000).
const MOST_RECORDS: usize = 10_000;
const READ_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_READ_PAUSE: Duration = Duration::from_secs(15);
const STORE_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_STORE_PAUSE: Duration = Duration::from_secs(10);
/// Between two checkpoints of a shard in a store that others use too: each is a request of its own there, which costs
/// money, and all shards of a stream together must not keep leases from being renewed in time.
const SHARED_STORE_PAUSE: Duration = Duration::from_millis(100);
/// How long a poll of a source that pushes waits.
const PUSH_WAIT: Duration = Duration::from_secs(5);
/// What may still come in with an arrival time before that of a read that found nothing more.
const LATENESS: Duration = Duration::from_secs(1);

/// Why work on a shard has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShardEnd {
    /// It is read to its end and settled, and its checkpoint says so. The lease is released.
    Finished,
    /// It was asked to stop. What was settled is in the checkpoint, and the lease is released.
    Stopped,
    /// Another process has it.
    LeaseLost,
    /// The source has no such shard (any more).
    Missing,
}

/// A shard that this process is to work on.
pub(crate) struct Assignment {
    pub lease: Lease,
    pub checkpoint: Checkpoint,
    /// Whether this is the first read of a shard whose mapping begins with the latest record.
    pub begins_with_latest: bool,
    /// The stream keeps records this long.
    pub retention: Option<Duration>,
    /// Until when the lease is known to be held; `None`: for ever.
    pub valid_until: watch::Receiver<Option<Instant>>,
    /// How long after that what is in flight may go on: others may work on the shard by then.
    pub patience: Duration,
    /// Stop in order.
    pub stop: CancellationToken,
    /// Stop at once, and write nothing.
    pub lost: CancellationToken,
    /// Told when the first read has worked, or can't be waited for.
    pub opened: CancellationToken,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Read = (Cursor, Timestamp, Result<Polled, SourceError>);

/// What a record's place in the shard is, for the checkpoint.
#[derive(Debug, Clone)]
struct Place {
    number: SequenceNumber,
    arrived_at: Option<Timestamp>,
    bytes: usize,
}

pub(crate) struct Shard {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    assignment: Assignment,
    lanes: Vec<Lane>,
    /// Lanes that take records; those behind them only end windows.
    lanes_with_records: usize,
    rules: Rules,
    order: Watermark<Place>,
    /// Bytes of the records that are not settled in order yet.
    bytes: usize,
    settled: Checkpoint,
    is_dirty: bool,
    steps: FuturesUnordered<Boxed<(usize, Work, Done)>>,
    /// Those of them that are invocations, or wait for one.
    invoking: usize,
    read: Option<Boxed<Read>>,
    cursor: Option<Cursor>,
    pace: Pace,
    read_backoff: Backoff,
    write: Option<Boxed<Result<(), StoreError>>>,
    /// The position that is being written.
    writing: Option<Position>,
    store_backoff: Backoff,
    write_not_before: Option<Instant>,
    read_to: Option<Timestamp>,
    has_ended: bool,
    is_missing: bool,
    /// Up to when the shard is known to have been read; `None`: never.
    known_to: Option<Timestamp>,
    progress: ShardProgress,
}

/// Waits for what is under way, or for ever.
async fn under_way<T>(future: &mut Option<Boxed<T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Shard {
    pub fn new(shared: Arc<Shared>, store: Arc<dyn Store>, assignment: Assignment) -> Self {
        let mapping = &shared.watch.mapping;
        let settings = mapping.stream.as_ref();
        let rules = Rules {
            limits: Limits {
                records: mapping.batch_size,
                bytes: MAXIMUM_PAYLOAD_BYTES - settings.map_or(0, |it| window::reserve(it.tumbling_window)),
                window: mapping.batching_window,
            },
            policy: Policy {
                maximum_retry_attempts: mapping.maximum_retry_attempts,
                bisect: settings.is_some_and(|it| it.bisect_batch_on_function_error),
            },
            maximum_age: settings.and_then(|it| it.maximum_record_age),
            window: settings.map_or(Duration::ZERO, |it| it.tumbling_window),
        };
        let count = settings.map_or(1, |it| it.parallelization_factor).max(1);
        let checkpoint = assignment.checkpoint.clone();
        let position = if assignment.begins_with_latest { Position::Latest } else { checkpoint.position.clone() };
        let progress = shared.watch.shard(&assignment.lease.partition);
        progress.position(&checkpoint.position);
        Self {
            lanes: restored(&checkpoint, count, rules),
            lanes_with_records: count,
            rules,
            order: Watermark::default(),
            bytes: 0,
            settled: Checkpoint { lanes: Vec::new(), ..checkpoint },
            is_dirty: false,
            steps: FuturesUnordered::new(),
            invoking: 0,
            read: None,
            cursor: Some(Cursor::at(position)),
            pace: Pace::new(shared.source.idle_wait(), shared.source.is_pushed()),
            read_backoff: Backoff::new(READ_PAUSE, LONGEST_READ_PAUSE),
            write: None,
            writing: None,
            store_backoff: Backoff::new(STORE_PAUSE, LONGEST_STORE_PAUSE),
            write_not_before: None,
            read_to: None,
            has_ended: false,
            is_missing: false,
            known_to: checkpoint.arrived_at,
            progress,
            shared,
            store,
            assignment,
        }
    }

    /// Works until the shard ends, the lease is lost, or it is to stop.
    pub async fn run(mut self) -> ShardEnd {
        let (stop, lost) = (self.assignment.stop.clone(), self.assignment.lost.clone());
        loop {
            let is_stopping = stop.is_cancelled();
            let now = self.now();
            let lapses_at = self.assignment.valid_until.borrow().map(|until| until + self.assignment.patience);
            if lapses_at.is_some_and(|at| at <= now.instant) {
                return ShardEnd::LeaseLost;
            }
            let mut wake = lapses_at;
            if !is_stopping {
                wake = earliest(wake, earliest(self.start_steps(now), self.start_read(now.instant)));
            }
            wake = earliest(wake, self.start_write(now.instant));
            self.show();
            let is_quiet = self.steps.is_empty() && self.write.is_none() && !self.is_dirty;
            if is_quiet && (is_stopping || self.is_missing && self.lanes.iter().all(Lane::is_drained)) {
                self.release().await;
                return if is_stopping { ShardEnd::Stopped } else { ShardEnd::Missing };
            }
            if is_quiet && self.has_ended && self.is_drained() {
                return self.finish().await;
            }
            tokio::select! {
                // In this order, so that a simulation goes the same way twice.
                biased;
                () = lost.cancelled() => return ShardEnd::LeaseLost,
                () = stop.cancelled(), if !is_stopping => self.read = None,
                Some((lane, work, done)) = self.steps.next() => self.step_done(lane, work, done),
                result = under_way(&mut self.write) => {
                    self.write = None;
                    if !self.written(result) {
                        return ShardEnd::LeaseLost;
                    }
                }
                (cursor, began_at, result) = under_way(&mut self.read) => {
                    self.read = None;
                    self.cursor = Some(cursor);
                    self.read_done(began_at, result);
                }
                () = tokio::time::sleep_until(wake.unwrap_or(now.instant)), if wake.is_some() => {}
            }
        }
    }

    fn now(&self) -> Now {
        Now {
            instant: Instant::now(),
            wall: self.shared.clock.now(),
            read_to: self.read_to,
            shard_has_ended: self.has_ended,
        }
    }

    /// Starts what lanes can do now. Gives the time when one of them can do more.
    fn start_steps(&mut self, now: Now) -> Option<Instant> {
        let mut wake = None;
        // Those that only end windows stand behind the others and are not to wait for them.
        for (index, lane) in self.lanes.iter_mut().enumerate().rev() {
            if self.invoking >= self.lanes_with_records {
                break;
            }
            match lane.next(now) {
                Ready::Start(work) => {
                    self.invoking += usize::from(matches!(work, Work::Try(_)));
                    let time_left = match &work {
                        Work::Try(batch) => lane.time_left(batch, now),
                        Work::Report(_) => None,
                    };
                    let context = Context {
                        shared: self.shared.clone(),
                        partition: self.assignment.lease.partition.clone(),
                        stop: self.assignment.stop.clone(),
                        valid_until: self.assignment.valid_until.clone(),
                    };
                    let step = context.carry_out(work, lane.state(), time_left);
                    self.steps.push(Box::pin(async move {
                        let (work, done) = step.await;
                        (index, work, done)
                    }));
                }
                Ready::At(at) => wake = earliest(wake, Some(at)),
                Ready::Nothing => {}
            }
        }
        wake
    }

    /// Starts a read, if there is room and it is time. Gives the time when it will be.
    fn start_read(&mut self, now: Instant) -> Option<Instant> {
        let most = MOST_RECORDS.max(self.rules.limits.records * self.lanes_with_records);
        let most_bytes = MAXIMUM_PAYLOAD_BYTES * (self.lanes_with_records + 1);
        let has_room = self.order.len() < most && self.bytes < most_bytes;
        if self.read.is_some() || self.has_ended || !has_room {
            return None;
        }
        if let Some(due) = self.pace.due().filter(|due| *due > now) {
            return Some(due);
        }
        let mut cursor = self.cursor.take()?;
        self.pace.begins(now);
        let room = (most - self.order.len()).min(MOST_RECORDS);
        let (shared, partition) = (self.shared.clone(), self.assignment.lease.partition.clone());
        let wait = if shared.source.is_pushed() { PUSH_WAIT } else { Duration::ZERO };
        self.read = Some(Box::pin(async move {
            let began_at = shared.clock.now();
            let result = shared.source.poll(&partition, &mut cursor, room, wait).await;
            (cursor, began_at, result)
        }));
        None
    }

    fn read_done(&mut self, began_at: Timestamp, result: Result<Polled, SourceError>) {
        let now = Instant::now();
        let watch = self.shared.watch.clone();
        let polled = match result {
            Ok(polled) => polled,
            Err(error) => {
                self.read_failed(now, &error);
                return;
            }
        };
        self.read_backoff.reset();
        self.is_missing = false;
        self.assignment.opened.cancel();
        if watch.works_of(&self.assignment.lease.partition, Part::Source) {
            tracing::info!(source = %watch.mapping.event_source, "the event source can be polled again");
        }
        self.note_trimmed(&polled, began_at);
        self.pace.ended(polled.more || !polled.records.is_empty() && polled.behind.is_none());
        self.has_ended |= polled.ended;
        self.progress.behind(polled.behind);
        watch.metrics.polled.inc_by(polled.records.len() as u64);
        let is_caught_up = polled.records.is_empty() && !polled.more && polled.behind.unwrap_or_default().is_zero();
        let read_to = match polled.records.last() {
            Some(last) => last.arrived_at,
            None if is_caught_up => began_at.checked_sub(LATENESS).ok(),
            None => None,
        };
        self.read_to = self.read_to.max(read_to);
        let mut filtered = 0;
        for record in polled.records {
            let Ok(number) = record.id.parse::<SequenceNumber>() else {
                // No source of streams gives one; to go on would be to lose it.
                tracing::error!(record = record.id, "a record has no sequence number");
                continue;
            };
            let key = record.order_key.as_deref().unwrap_or_default();
            let lane = lane_of(key, self.lanes_with_records);
            let bytes = record.event.len();
            let place = Place { number: number.clone(), arrived_at: record.arrived_at, bytes };
            self.bytes += bytes;
            let ticket = self.order.open(place);
            if self.lanes[lane].has_settled(&number) {
                self.settle_in_order(ticket);
            } else if watch.mapping.filters.matches(&record.event) {
                self.lanes[lane].push(Pending { record, ticket, received_at: now });
            } else {
                filtered += 1;
                self.settle_in_order(ticket);
            }
        }
        watch.metrics.filtered.inc_by(filtered);
    }

    fn read_failed(&mut self, now: Instant, error: &SourceError) {
        let watch = &self.shared.watch;
        watch.metrics.source_errors.inc();
        self.is_missing = error.kind == ErrorKind::Missing;
        if watch.trouble_of(&self.assignment.lease.partition, Part::Source, &error.message) {
            tracing::warn!(shard = %self.assignment.lease.partition, %error, "a shard can't be read, trying again");
        }
        // Whoever begins with the latest record must have begun before anything else happens.
        if !self.assignment.begins_with_latest || self.is_missing {
            self.assignment.opened.cancel();
        }
        self.pace.failed(now, self.read_backoff.next_delay_or(error.retry_after()));
    }

    fn step_done(&mut self, lane: usize, work: Work, done: Done) {
        let now = self.now();
        self.invoking -= usize::from(matches!(work, Work::Try(_)));
        let Settled { tickets, retried, halved, window_ended } = self.lanes[lane].done(work, done, now);
        let metrics = &self.shared.watch.metrics;
        metrics.retries.inc_by(retried.into());
        metrics.bisects.inc_by(halved.into());
        metrics.windows.inc_by(window_ended.into());
        // What lanes have settled, and their windows, are part of the checkpoint.
        self.is_dirty |= window_ended || !tickets.is_empty() && self.keeps_lanes();
        let delivered = tickets.iter().filter(|(_, disposition)| *disposition == Disposition::Delivered).count();
        metrics.delivered.inc_by(delivered as u64);
        for (ticket, _) in tickets {
            self.settle_in_order(ticket);
        }
    }

    /// A record is at its end: the checkpoint moves as far as nothing open stands before it.
    fn settle_in_order(&mut self, ticket: crate::stream::watermark::Ticket) {
        let mut last = None;
        for place in self.order.complete(ticket) {
            self.bytes -= place.bytes;
            last = Some(place);
        }
        if let Some(place) = last {
            self.settled.position = Position::After(place.number);
            self.settled.arrived_at = place.arrived_at;
            self.is_dirty = true;
        }
    }

    /// Starts to write the checkpoint, if it has changed and no write is under way. Gives the time when it can be.
    fn start_write(&mut self, now: Instant) -> Option<Instant> {
        if !self.is_dirty || self.write.is_some() {
            return None;
        }
        if let Some(at) = self.write_not_before.filter(|at| *at > now) {
            return Some(at);
        }
        self.is_dirty = false;
        let checkpoint = self.checkpoint();
        self.writing = Some(checkpoint.position.clone());
        let (store, lease) = (self.store.clone(), self.assignment.lease.clone());
        self.write = Some(Box::pin(async move { store.checkpoint(&lease, &checkpoint).await }));
        None
    }

    /// Whether the position alone doesn't tell what is settled: a lane may be ahead of it, or have a window.
    fn keeps_lanes(&self) -> bool {
        self.lanes.len() > 1 || !self.rules.window.is_zero()
    }

    fn checkpoint(&self) -> Checkpoint {
        let lanes = if self.keeps_lanes() { to_keep(&self.lanes, self.lanes_with_records) } else { Vec::new() };
        Checkpoint { lanes, ..self.settled.clone() }
    }

    /// False: the lease is lost.
    fn written(&mut self, result: Result<(), StoreError>) -> bool {
        match result {
            Ok(()) => {
                self.store_backoff.reset();
                let is_shared = self.assignment.valid_until.borrow().is_some();
                self.write_not_before = is_shared.then(|| Instant::now() + SHARED_STORE_PAUSE);
                if let Some(position) = self.writing.take() {
                    self.progress.position(&position);
                }
                if self.shared.watch.works_of(&self.assignment.lease.partition, Part::Store) {
                    tracing::info!("checkpoints can be written again");
                }
                true
            }
            Err(StoreError::LeaseLost { .. }) => false,
            Err(error) => {
                if self.shared.watch.trouble_of(&self.assignment.lease.partition, Part::Store, &error.to_string()) {
                    tracing::warn!(shard = %self.assignment.lease.partition, %error, "a checkpoint can't be written, trying again");
                }
                self.is_dirty = true;
                self.write_not_before = Some(Instant::now() + self.store_backoff.next_delay());
                true
            }
        }
    }

    /// Whether nothing is left of the shard: also no open window.
    fn is_drained(&self) -> bool {
        self.lanes.iter().all(|lane| lane.is_drained() && !lane.has_window())
    }

    /// Writes that the shard is done with, which is what lets its children begin.
    async fn finish(&mut self) -> ShardEnd {
        self.settled = Checkpoint { position: Position::End, ..self.settled.clone() };
        let checkpoint = Checkpoint { lanes: Vec::new(), ..self.settled.clone() };
        loop {
            let written = self.store.checkpoint(&self.assignment.lease, &checkpoint);
            let result = tokio::select! {
                () = self.assignment.lost.cancelled() => return ShardEnd::LeaseLost,
                result = written => result,
            };
            let is_written = result.is_ok();
            if !self.written(result) {
                return ShardEnd::LeaseLost;
            }
            if is_written {
                self.progress.position(&checkpoint.position);
                self.release().await;
                return ShardEnd::Finished;
            }
            // At a stop the children wait for the next start: its end is found again.
            if !idle(self.store_backoff.next_delay(), &self.assignment.stop).await {
                self.release().await;
                return ShardEnd::Stopped;
            }
        }
    }

    /// Gives the lease back. Should that fail, it runs out by itself.
    async fn release(&mut self) {
        if let Err(error) = self.store.release(&self.assignment.lease).await {
            tracing::debug!(%error, shard = %self.assignment.lease.partition, "a lease could not be released");
        }
    }

    fn show(&self) {
        let attempts = self.lanes.iter().map(Lane::attempts).max().unwrap_or(0);
        let windows = self.lanes.iter().filter(|lane| lane.has_window()).count();
        self.progress.work(self.order.len(), self.steps.len(), attempts, windows);
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
