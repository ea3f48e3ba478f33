//! One lane of a shard: the records of some keys, batch by batch, in order. Decides what to do next; does no I/O and reads
//! no clock.
//!
//! ```text
//!  push ─▶ batcher ─form─▶ work: Try ──▶ invoked ──▶ delivered ────────────▶ settled
//!                           ▲  │  └───▶ too old ─┐        │
//!                           │  └──▶ retry, halves│     Resume: the rest
//!                           └────────────────────┼────────┘
//!                                              Report ──▶ discarded ──▶ settled
//! ```
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{Condition, Disposition, OpenWindow, Record, Response, SequenceNumber};
use tokio::time::Instant;

use crate::Backoff;
use crate::batcher::{Batchable, Batcher, Limits};
use crate::response::Outcome;
use crate::stream::attempt::{self, Next, Policy};
use crate::stream::watermark::Ticket;
use crate::stream::window;

/// The first pause before a batch is tried again. It doubles to the longest; with AWS, a function that fails at once is
/// called eight times in its first minute (spec 5.3), which is this.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(60);
/// Between the attempts at a batch and at its halves.
const SPLIT_PAUSE: Duration = Duration::from_millis(100);
const SERVICE_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_SERVICE_PAUSE: Duration = Duration::from_secs(30);

/// A record on its way through a lane.
#[derive(Debug)]
pub(crate) struct Pending {
    pub record: Record,
    pub ticket: Ticket,
    pub received_at: Instant,
}

impl Borrow<Record> for Pending {
    fn borrow(&self) -> &Record {
        &self.record
    }
}

impl Batchable for Pending {
    fn size(&self) -> usize {
        self.record.event.len()
    }

    fn received_at(&self) -> Instant {
        self.received_at
    }
}

/// Records that are tried together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Empty for the end of a window.
    pub records: Vec<Pending>,
    /// Invocations of this very batch that count.
    pub attempts: u32,
    pub kind: Kind,
}

/// What an invocation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Records,
    /// The last invocation of a window.
    WindowEnd {
        /// Before its time.
        is_early: bool,
    },
}

/// What a lane has to do, and what a step hands back when it has done it.
#[derive(Debug)]
pub(crate) enum Work {
    /// To be sent to the function.
    Try(Batch),
    /// Given up: to be reported.
    Report(GivenUp),
}

/// A batch that is given up.
#[derive(Debug)]
pub(crate) struct GivenUp {
    pub batch: Batch,
    pub condition: Condition,
    /// The last answer to this very batch; none if it got too old.
    pub response: Option<Response>,
    /// What its record says as `approximateInvokeCount`.
    pub attempts: u32,
}

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Done {
    /// The function has answered, or its event is one that it can never be asked with.
    Invoked {
        outcome: Outcome,
        response: Option<Response>,
        /// What it returned as state of a window.
        state: Option<String>,
    },
    /// The function could not be asked: a throttle, an error of the service. This is no attempt.
    NotAsked { retry_after: Option<Duration> },
    /// Nothing was done, and what there is to do is to be decided anew.
    Undone,
    /// The report was accepted, or nobody wants one.
    Reported,
}

/// What a lane could do now.
#[derive(Debug)]
pub(crate) enum Ready {
    Start(Work),
    /// Nothing before then; new records may change that.
    At(Instant),
    Nothing,
}

/// What a lane goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub limits: Limits,
    pub policy: Policy,
    /// `MaximumRecordAgeInSeconds`.
    pub maximum_age: Option<Duration>,
    /// `TumblingWindowInSeconds`; zero: none.
    pub window: Duration,
}

/// Now, in all its meanings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub instant: Instant,
    pub wall: Timestamp,
    /// Every record that arrived before it has been read from the shard.
    pub read_to: Option<Timestamp>,
    /// Nothing more will come from the shard.
    pub shard_has_ended: bool,
}

/// What a step has settled, and what it counts as.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub tickets: Vec<(Ticket, Disposition)>,
    pub retried: bool,
    pub halved: bool,
    pub window_ended: bool,
}

/// One lane.
#[derive(Debug)]
pub(crate) struct Lane {
    rules: Rules,
    batcher: Batcher<Pending>,
    work: VecDeque<Work>,
    /// A step is under way, and the front of the work with it.
    is_running: bool,
    not_before: Option<Instant>,
    retries: Backoff,
    refusals: Backoff,
    settled: Option<SequenceNumber>,
    window: Option<OpenWindow>,
    /// Nothing was settled in the open window yet.
    is_fresh: bool,
    /// The end of the last window that was closed: a record that comes later than that belongs to the next one.
    closed_until: Option<Timestamp>,
    /// What the lane whose window it ends had settled.
    left_at: Option<SequenceNumber>,
    /// Counted attempts of the work that is under way.
    running_attempts: u32,
}

impl Lane {
    /// A lane that has settled so far, and whose window is open.
    pub fn new(rules: Rules, settled: Option<SequenceNumber>, window: Option<OpenWindow>) -> Self {
        let is_too_large = window.as_ref().is_some_and(window::is_too_large);
        let mut lane = Self {
            rules,
            batcher: Batcher::new(rules.limits),
            work: VecDeque::new(),
            is_running: false,
            not_before: None,
            retries: Backoff::new(RETRY_PAUSE, LONGEST_RETRY_PAUSE),
            refusals: Backoff::new(SERVICE_PAUSE, LONGEST_SERVICE_PAUSE),
            settled,
            window,
            is_fresh: false,
            closed_until: None,
            left_at: None,
            running_attempts: 0,
        };
        if is_too_large {
            lane.end_window(true);
        }
        lane
    }

    /// A lane that takes no records: it ends a window that was left over by a lane that is no more, before its time.
    pub fn ending(rules: Rules, window: OpenWindow, left_at: Option<SequenceNumber>) -> Self {
        let mut lane = Self { left_at, ..Self::new(rules, None, Some(window)) };
        if lane.work.is_empty() {
            lane.end_window(true);
        }
        lane
    }

    /// What the lane has settled, and its open window.
    pub fn state(&self) -> pelton_core::Lane {
        let settled = self.settled.as_ref().or(self.left_at.as_ref());
        pelton_core::Lane { settled: settled.cloned(), window: self.window.clone() }
    }

    /// What a checkpoint keeps of the lane: not a window in which nothing was settled, because that begins anew by itself.
    pub fn kept(&self) -> pelton_core::Lane {
        let window = self.window.clone().filter(|_| !self.is_fresh);
        pelton_core::Lane { settled: self.settled.clone(), window }
    }

    /// Whether a window is open.
    pub fn has_window(&self) -> bool {
        self.window.is_some()
    }

    /// Whether a record was settled by this lane before a restart.
    pub fn has_settled(&self, number: &SequenceNumber) -> bool {
        self.settled.as_ref().is_some_and(|settled| number <= settled)
    }

    /// Takes a record behind all others.
    pub fn push(&mut self, record: Pending) {
        self.batcher.push(record);
    }

    /// Whether nothing is left to do, with or without a window that is still open.
    pub fn is_drained(&self) -> bool {
        self.batcher.is_empty() && self.work.is_empty() && !self.is_running
    }

    /// Counted attempts of the batch that is being tried.
    pub fn attempts(&self) -> u32 {
        match self.work.front() {
            _ if self.is_running => self.running_attempts,
            Some(Work::Try(batch)) => batch.attempts,
            _ => 0,
        }
    }

    /// What to do now. What is started is to be handed back to [`Self::done`].
    pub fn next(&mut self, now: Now) -> Ready {
        if self.is_running {
            return Ready::Nothing;
        }
        if self.work.is_empty() {
            self.form(now);
        }
        let Some(front) = self.work.pop_front() else {
            return self.batcher.deadline().map_or(Ready::Nothing, Ready::At);
        };
        let batch = match front {
            Work::Report(_) => return self.start(front),
            Work::Try(batch) if batch.kind != Kind::Records => {
                if self.time_left(&batch, now).is_some_and(|left| left.is_zero()) {
                    return self.start(Work::Report(too_old(batch)));
                }
                batch
            }
            Work::Try(batch) => match self.without_too_old(batch, now) {
                Work::Try(batch) => batch,
                given_up => return self.start(given_up),
            },
        };
        if let Some(until) = self.not_before.filter(|until| *until > now.instant) {
            let too_old = self.time_left(&batch, now).map(|left| now.instant + left);
            self.work.push_front(Work::Try(batch));
            return Ready::At(too_old.map_or(until, |too_old| too_old.min(until)));
        }
        self.start(Work::Try(batch))
    }

    fn start(&mut self, work: Work) -> Ready {
        self.is_running = true;
        self.running_attempts = match &work {
            Work::Try(batch) => batch.attempts,
            Work::Report(given_up) => given_up.batch.attempts,
        };
        Ready::Start(work)
    }

    /// How long the first record to become too old may still be tried. The end of a window is as old as its window's
    /// last instant.
    pub fn time_left(&self, batch: &Batch, now: Now) -> Option<Duration> {
        let left = |arrived_at| attempt::time_left(arrived_at, now.wall, self.rules.maximum_age);
        if batch.kind == Kind::Records {
            return batch.records.iter().filter_map(|it| left(it.record.arrived_at)).min();
        }
        left(self.window.as_ref().map(|window| window::end_of(window.start, self.rules.window)))
    }

    /// Splits what is too old off the front of a batch: that is given up first, and the rest waits behind it, with the
    /// attempts it has had.
    fn without_too_old(&mut self, mut batch: Batch, now: Now) -> Work {
        let arrivals = batch.records.iter().map(|it| it.record.arrived_at);
        let (alike, are_too_old) = attempt::front_by_age(arrivals, now.wall, self.rules.maximum_age);
        let rest = batch.records.split_off(alike);
        if !rest.is_empty() {
            self.work.push_front(Work::Try(Batch { records: rest, ..batch }));
        }
        if !are_too_old {
            return Work::Try(batch);
        }
        Work::Report(too_old(batch))
    }

    /// Makes a batch of what waits, if one is due; with windows, one that stays within its window.
    fn form(&mut self, now: Now) {
        if self.rules.window.is_zero() {
            if self.batcher.is_due(now.instant) || (now.shard_has_ended && !self.batcher.is_empty()) {
                let records = self.batcher.take();
                self.work.push_back(Work::Try(Batch { records, attempts: 0, kind: Kind::Records }));
            }
            return;
        }
        let length = self.rules.window;
        // A record that comes late belongs to the window that is open.
        let (open_since, closed_until) = (self.window.as_ref().map(|window| window.start), self.closed_until);
        let window_of = |it: &Pending| {
            let own = window::start_of(it.record.arrived_at.unwrap_or(now.wall), length);
            own.max(open_since.or(closed_until).unwrap_or(own))
        };
        let first = self.batcher.iter().next().map(window_of);
        let is_over = |start: Timestamp| {
            now.shard_has_ended || now.read_to.is_some_and(|read_to| read_to >= window::end_of(start, length))
        };
        match (open_since, first) {
            (Some(open), Some(first)) if first > open => self.end_window(false),
            (Some(open), None) if is_over(open) => self.end_window(false),
            (_, None) => {}
            (_, Some(start)) => {
                let inside = self.batcher.iter().take_while(|it| window_of(it) == start).count();
                let is_complete = inside < self.batcher.len() || is_over(start);
                if !is_complete && !self.batcher.is_due(now.instant) {
                    return;
                }
                let mut records = self.batcher.take();
                let beyond = records.split_off(inside.min(records.len()));
                self.batcher.put_back(beyond);
                if self.window.is_none() {
                    self.window = Some(window::open(start));
                    self.is_fresh = true;
                }
                self.work.push_back(Work::Try(Batch { records, attempts: 0, kind: Kind::Records }));
            }
        }
    }

    fn end_window(&mut self, is_early: bool) {
        let kind = Kind::WindowEnd { is_early };
        self.work.push_front(Work::Try(Batch { records: Vec::new(), attempts: 0, kind }));
    }

    /// Takes a step back, with what became of it.
    pub fn done(&mut self, work: Work, done: Done, now: Now) -> Settled {
        self.is_running = false;
        match (work, done) {
            (Work::Try(batch), Done::Invoked { outcome, response, state }) => {
                self.refusals.reset();
                self.invoked(batch, &outcome, response, state, now)
            }
            (work, Done::NotAsked { retry_after }) => {
                self.not_before = Some(now.instant + self.refusals.next_delay_or(retry_after));
                self.work.push_front(work);
                Settled::default()
            }
            (Work::Report(given_up), Done::Reported) => {
                self.calm();
                let window_ended = self.window_is_over(&given_up.batch);
                Settled { window_ended, ..self.settle(given_up.batch.records, Disposition::Discarded) }
            }
            (work, _) => {
                self.work.push_front(work);
                Settled::default()
            }
        }
    }

    fn invoked(
        &mut self,
        mut batch: Batch,
        outcome: &Outcome,
        response: Option<Response>,
        state: Option<String>,
        now: Now,
    ) -> Settled {
        let attempts = batch.attempts.saturating_add(1);
        match attempt::next(&batch.records, outcome, attempts, self.rules.policy) {
            Next::Deliver => {
                self.calm();
                let window_ended = self.window_is_over(&batch);
                if batch.kind == Kind::Records {
                    self.keep_state(state);
                }
                Settled { window_ended, ..self.settle(batch.records, Disposition::Delivered) }
            }
            Next::Resume(delivered) => {
                self.calm();
                let rest = batch.records.split_off(delivered);
                self.work.push_front(Work::Try(Batch { records: rest, attempts: 0, kind: batch.kind }));
                self.keep_state(state);
                Settled { retried: true, ..self.settle(batch.records, Disposition::Delivered) }
            }
            Next::Split(at) => {
                let half = batch.records.split_off(at);
                let (attempts, kind) = (batch.attempts, batch.kind);
                self.work.push_front(Work::Try(Batch { records: half, attempts, kind }));
                self.work.push_front(Work::Try(batch));
                self.not_before = Some(now.instant + SPLIT_PAUSE);
                Settled { halved: true, ..Settled::default() }
            }
            Next::Retry => {
                batch.attempts = attempts;
                self.work.push_front(Work::Try(batch));
                self.not_before = Some(now.instant + self.retries.next_delay());
                Settled { retried: true, ..Settled::default() }
            }
            Next::GiveUp => {
                let condition = Condition::RetryAttemptsExhausted;
                self.work.push_front(Work::Report(GivenUp { batch, condition, response, attempts }));
                Settled::default()
            }
        }
    }

    /// Progress was made: the next failure is a first one.
    fn calm(&mut self) {
        self.not_before = None;
        self.retries.reset();
    }

    fn keep_state(&mut self, state: Option<String>) {
        let (Some(window), Some(state)) = (&mut self.window, state) else { return };
        window.state = state;
        if window::is_too_large(window) {
            self.end_window(true);
        }
    }

    /// After the last invocation of a window: closes it, or, after an early one, begins it anew without state.
    fn window_is_over(&mut self, batch: &Batch) -> bool {
        let Kind::WindowEnd { is_early } = batch.kind else { return false };
        // The rest of the batch that made the state too large is of the same window.
        let has_rest = self.work.iter().any(|work| matches!(work, Work::Try(rest) if rest.kind == Kind::Records));
        let ended = self.window.take();
        if let Some(window) = ended.as_ref().filter(|_| !is_early) {
            self.closed_until = Some(window::end_of(window.start, self.rules.window));
        }
        let ended = ended.filter(|_| is_early && has_rest);
        self.window = ended.map(|window| window::open(window.start));
        self.is_fresh = true;
        true
    }

    fn settle(&mut self, records: Vec<Pending>, disposition: Disposition) -> Settled {
        if let Some(number) = records.last().and_then(|last| last.record.id.parse().ok()) {
            self.settled = Some(number);
            self.is_fresh = false;
        }
        Settled { tickets: records.into_iter().map(|it| (it.ticket, disposition)).collect(), ..Settled::default() }
    }
}

/// The discarding counts as an attempt (spec 5.4).
fn too_old(batch: Batch) -> GivenUp {
    let attempts = batch.attempts.saturating_add(1);
    GivenUp { batch, condition: Condition::RecordAgeExceeded, response: None, attempts }
}
