//! The reference model: writes down what happens at every seam, and what of it must not.
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{Checkpoint, Condition, ExecutionRecord, PartitionId, Position, Subject};
use serde_json::Value;
use tokio::time::Instant;

use crate::call::Call;
use crate::schedule::Schedule;

/// Whether a record is to be delivered at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Yes,
    /// It came about the time when the mapping began to read.
    Maybe,
    /// It came before the starting position.
    No,
}

/// What has become of one record so far, as the world around the engine knows it.
#[derive(Debug)]
struct Fate {
    shard: usize,
    due: Due,
    arrived_at: Timestamp,
    /// An invocation had it.
    offered: bool,
    /// The function has processed it, whether or not its answer arrived.
    processed: bool,
    /// An answer that says so has arrived.
    confirmed: bool,
    /// Answers that said that it failed.
    failures: u32,
    /// Its execution record was accepted.
    reported: bool,
    /// It was delivered in a window, whose last invocation is to tell of it.
    in_window: bool,
    /// Last invocations of windows, answered or given up, whose state held it.
    finals: u32,
    /// Those of them that failed.
    final_failures: u32,
}

#[derive(Debug, Default)]
struct State {
    /// By sequence number, from 1 on.
    fates: Vec<Fate>,
    parents: BTreeMap<usize, Vec<usize>>,
    running: BTreeMap<usize, usize>,
    /// Failed answers to a batch since it was formed.
    attempts: BTreeMap<Vec<u64>, u32>,
    polls: BTreeMap<usize, Vec<Instant>>,
    checkpoints: BTreeMap<usize, Checkpoint>,
    settings: (usize, Duration),
    records: u64,
    trace: Vec<String>,
    violations: Vec<String>,
}

/// The model of one run.
pub struct Ledger {
    schedule: Schedule,
    started: Instant,
    state: Mutex<State>,
}

fn number_of(partition: &PartitionId) -> usize {
    partition.0.trim_start_matches("shard-").parse().unwrap()
}

fn sequence_number(position: &Position) -> u64 {
    match position {
        Position::After(number) => number.as_str().parse().unwrap(),
        Position::End => u64::MAX,
        Position::TrimHorizon | Position::AtTimestamp(_) | Position::Latest => 0,
    }
}

impl State {
    fn fate(&mut self, number: u64) -> &mut Fate {
        &mut self.fates[number as usize - 1]
    }
}

impl Ledger {
    /// An empty model; time starts now.
    pub fn new(schedule: &Schedule) -> Self {
        let state = State { settings: (schedule.factor, schedule.tumbling_window), ..State::default() };
        Self { schedule: schedule.clone(), started: Instant::now(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing goes wrong any more.
    pub fn is_healed(&self) -> bool {
        self.started.elapsed() >= self.schedule.healed_at
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl std::fmt::Display) {
        let line = format!("{:>9.3} s  {line}", self.started.elapsed().as_secs_f64());
        self.state().trace.push(line);
    }

    /// Something happened that must not.
    pub fn violation(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(format_args!("VIOLATION: {what}"));
        let mut state = self.state();
        if !state.violations.contains(&what) {
            state.violations.push(what);
        }
    }

    fn violations(&self, wrong: Vec<String>) {
        wrong.into_iter().for_each(|what| self.violation(what));
    }

    /// The next record was put.
    pub fn put(&self, shard: usize, due: Due, arrived_at: Timestamp) {
        let mut state = self.state();
        state.fates.push(Fate {
            shard,
            due,
            arrived_at,
            offered: false,
            processed: false,
            confirmed: false,
            failures: 0,
            reported: false,
            in_window: false,
            finals: 0,
            final_failures: 0,
        });
        let number = state.fates.len();
        drop(state);
        self.note(format_args!("put {number} into shard {shard}, {}, due: {due:?}", self.key(number as u64)));
    }

    /// A shard came from others.
    pub fn opened(&self, shard: usize, parents: Vec<usize>) {
        self.note(format_args!("shard {shard} from {parents:?}"));
        self.state().parents.insert(shard, parents);
    }

    /// A supervisor starts, after whatever was before has ended somehow.
    pub fn starts(&self, factor: usize, window: Duration) {
        let mut state = self.state();
        state.settings = (factor, window);
        state.attempts.clear();
        state.polls.clear();
        // An invocation that was aborted is over.
        state.running.clear();
    }

    fn key(&self, number: u64) -> &str {
        &self.schedule.puts[number as usize - 1].key
    }

    fn is_filtered(&self, number: u64) -> bool {
        self.schedule.puts[number as usize - 1].is_filtered()
    }

    fn is_too_old(&self, fate: &Fate, now: Timestamp) -> bool {
        let age = Duration::try_from(now.duration_since(fate.arrived_at)).unwrap_or_default();
        self.schedule.maximum_age.is_some_and(|most| age >= most)
    }

    /// Whether a record may have been given up. With OnFailure that must be known there.
    fn is_given_up(&self, fate: &Fate, now: Timestamp) -> bool {
        let may_be = self.schedule.retries.is_some_and(|retries| fate.failures > retries) || self.is_too_old(fate, now);
        fate.reported || (!self.schedule.on_failure && may_be)
    }

    /// Whether a record has come to its end.
    fn is_settled(&self, number: u64, fate: &Fate, now: Timestamp) -> bool {
        fate.due != Due::Yes || self.is_filtered(number) || fate.confirmed || self.is_given_up(fate, now)
    }

    /// Whether the last invocation of a record's window was answered or given up, if it was in one. After a crash the
    /// record itself may have been given up.
    fn is_told(&self, fate: &Fate, now: Timestamp) -> bool {
        let may_be_given_up = self.schedule.retries.is_some_and(|retries| fate.final_failures > retries);
        !fate.in_window
            || fate.finals > 0
            || self.is_given_up(fate, now)
            || (!self.schedule.on_failure && may_be_given_up)
    }

    fn unsettled(&self, state: &State, shard: usize, up_to: u64, now: Timestamp) -> Vec<u64> {
        let numbered = (1..=up_to).zip(&state.fates).filter(|(_, fate)| fate.shard == shard);
        numbered.filter(|(number, fate)| !self.is_settled(*number, fate, now)).map(|(number, _)| number).collect()
    }

    /// A shard is read.
    pub fn polled(&self, partition: &PartitionId, now: Timestamp) {
        let shard = number_of(partition);
        let mut wrong = Vec::new();
        let mut state = self.state();
        for parent in state.parents.get(&shard).cloned().unwrap_or_default() {
            let open = self.unsettled(&state, parent, u64::MAX, now);
            if !open.is_empty() {
                wrong.push(format!("child: shard {shard} is read before {open:?} of its parent {parent} are settled"));
            }
        }
        let polls = state.polls.entry(shard).or_default();
        polls.push(Instant::now());
        if let [.., first, _, _, _, _, last] = polls[..]
            && last - first < Duration::from_secs(1)
        {
            wrong.push(format!("reads: six of shard {shard} within a second"));
        }
        drop(state);
        self.violations(wrong);
    }

    /// An invocation begins.
    pub fn invoked(&self, call: &Call, now: Timestamp) {
        self.note(format_args!("invoke {call}"));
        let settings = &self.schedule;
        let mut wrong = Vec::new();
        let mut state = self.state();
        let (factor, window) = state.settings;
        if call.ids.len() > settings.batch_size || (call.ids.is_empty() && !call.is_final) {
            wrong.push(format!("batch size: {} records, at most {}", call.ids.len(), settings.batch_size));
        }
        if call.window.is_none() && (!window.is_zero() || call.is_final) {
            wrong.push(format!("window: {call} without one"));
        }
        let shard = call.shard.unwrap_or_else(|| call.ids.first().map_or(0, |first| state.fate(*first).shard));
        let running = state.running.entry(shard).or_default();
        *running += 1;
        if *running > factor {
            wrong.push(format!("concurrency: {running} invocations of shard {shard}, at most {factor}"));
        }
        for (place, number) in call.ids.iter().enumerate() {
            let before = &call.ids[..place];
            let is_first = !state.fate(*number).offered;
            for (earlier, fate) in (1..*number).zip(&state.fates) {
                let is_through = fate.processed || self.is_settled(earlier, fate, now) || before.contains(&earlier);
                if is_first && self.key(earlier) == self.key(*number) && !is_through {
                    wrong.push(format!("order: {number} came before {earlier} was at its end"));
                }
            }
            if before.last().is_some_and(|last| last >= number) {
                wrong.push(format!("order: {number} behind {before:?}"));
            }
            let fate = state.fate(*number);
            if fate.shard != shard {
                wrong.push(format!("batch: {number} is not of shard {shard}"));
            }
            if self.is_filtered(*number) {
                wrong.push(format!("filter: {number} was invoked"));
            }
            if fate.due == Due::No {
                wrong.push(format!("position: {number} is from before the starting position"));
            }
            if self.is_too_old(fate, now) {
                wrong.push(format!("age: {number} was invoked though it is too old"));
            }
            if settings.never_repeats() && (fate.confirmed || fate.reported) {
                wrong.push(format!("duplicate: {number} had been settled"));
            }
            if call.state.contains(number) {
                wrong.push(format!("state: {number} is in it already"));
            }
            let is_inside = |start: Timestamp| {
                let end = start.saturating_add(window).unwrap_or(start);
                // A window of another length that was open before a restart may have taken some time of this one.
                (start <= fate.arrived_at || settings.changes_windows()) && fate.arrived_at < end
            };
            if let Some(start) = call.window.filter(|start| !is_inside(*start)) {
                wrong.push(format!("window: {number} arrived at {}, the window began at {start}", fate.arrived_at));
            }
            fate.offered = true;
        }
        let failures = state.attempts.get(&call.ids).copied().unwrap_or(0);
        let most = match (settings.retries, settings.bisect && call.ids.len() > 1) {
            (_, true) => Some(0),
            (retries, false) => retries,
        };
        if !call.is_final && most.is_some_and(|most| failures > most) {
            wrong.push(format!("attempts: {call} has failed {failures} times"));
        }
        if call.is_final
            && call.state.is_empty()
            && !state.fates.iter().any(|it| {
                it.shard == shard && it.due != Due::No && (it.failures > 0 || it.reported || self.is_given_up(it, now))
            })
        {
            wrong.push(format!("window: {call} though nothing was given up"));
        }
        drop(state);
        self.violations(wrong);
    }

    /// An invocation is over, or was dropped.
    pub fn invocation_over(&self, call: &Call) {
        let mut state = self.state();
        let shard = call.shard.unwrap_or_else(|| call.ids.first().map_or(0, |first| state.fate(*first).shard));
        if let Some(running) = state.running.get_mut(&shard) {
            *running = running.saturating_sub(1);
        }
    }

    /// The function has done its work on these.
    pub fn processed(&self, ids: &[u64]) {
        let mut state = self.state();
        ids.iter().for_each(|number| state.fate(*number).processed = true);
    }

    /// The engine is told what became of an invocation.
    pub fn answered(&self, call: &Call, is_success: bool, processed: &[u64]) {
        self.note(format_args!("answer to {call}: processed {processed:?}, a success: {is_success}"));
        let mut state = self.state();
        for number in processed {
            let fate = state.fate(*number);
            fate.confirmed = true;
            // The last word counts: after a crash it may be said again, without a window or with one.
            fate.in_window = call.window.is_some();
        }
        for number in call.ids.iter().filter(|number| !processed.contains(number)) {
            state.fate(*number).failures += 1;
        }
        if !is_success {
            *state.attempts.entry(call.ids.clone()).or_default() += 1;
        }
        if call.is_final {
            for number in &call.state {
                let fate = state.fate(*number);
                *(if is_success { &mut fate.finals } else { &mut fate.final_failures }) += 1;
            }
        }
    }

    /// OnFailure is given a record; `accepts`: and keeps it.
    pub fn reported(&self, record: &ExecutionRecord, accepts: bool, now: Timestamp) {
        let Subject::Batch { info, event } = &record.subject else {
            self.violation("record: not of a batch");
            return;
        };
        let event: Value = serde_json::from_slice(event).unwrap();
        let call = Call::of(&event);
        let context = &record.request_context;
        let (condition, count) = (context.condition, context.approximate_invoke_count);
        self.note(format_args!("record of {call}: {condition:?}, {count} attempts"));
        let mut wrong = Vec::new();
        let mut state = self.state();
        state.records += 1;
        let ends = [call.ids.first(), call.ids.last()].map(|it| it.map_or(String::new(), ToString::to_string));
        if info.size != call.ids.len() || (!call.is_final && ends != [info.start.clone(), info.end.clone()]) {
            wrong.push(format!("record: {info:?} for {call}"));
        }
        match condition {
            Condition::RecordAgeExceeded => {
                if record.response_context.is_some() {
                    wrong.push(format!("record: {call} is too old and has an answer"));
                }
                for number in &call.ids {
                    if !self.is_too_old(state.fate(*number), now) {
                        wrong.push(format!("early: {number} is given up as too old, and isn't"));
                    }
                }
            }
            Condition::RetryAttemptsExhausted => {
                let attempts = state.attempts.get(&call.ids).copied().unwrap_or(0);
                let expected = self.schedule.retries.map(|retries| retries + 1);
                // What was split off by age brings its attempts along.
                let is_exact = self.schedule.maximum_age.is_some() || call.is_final || Some(attempts) == expected;
                if expected != Some(count) || !is_exact {
                    wrong.push(format!("attempts: {call} given up after {attempts}, said to be {count}"));
                }
                if self.schedule.bisect && call.ids.len() > 1 {
                    wrong.push(format!("bisect: {call} given up as a whole"));
                }
            }
            _ => wrong.push(format!("record: {condition:?}")),
        }
        if accepts {
            call.ids.iter().for_each(|number| state.fate(*number).reported = true);
            if call.is_final {
                call.state.iter().for_each(|number| state.fate(*number).finals += 1);
            }
        }
        drop(state);
        self.violations(wrong);
    }

    /// A checkpoint was written.
    pub fn written(&self, partition: &PartitionId, checkpoint: &Checkpoint, now: Timestamp) {
        self.note(format_args!("checkpoint of {partition}: {}", checkpoint.position));
        let shard = number_of(partition);
        let number = sequence_number(&checkpoint.position);
        let mut wrong = Vec::new();
        let mut state = self.state();
        let before = state.checkpoints.insert(shard, checkpoint.clone());
        if before.is_some_and(|before| sequence_number(&before.position) > number) {
            wrong.push(format!("back: the checkpoint of {partition} went back to {}", checkpoint.position));
        }
        let passed = self.unsettled(&state, shard, number, now);
        if !passed.is_empty() {
            wrong.push(format!("early: the checkpoint of {partition} has passed {passed:?}"));
        }
        drop(state);
        self.violations(wrong);
    }

    /// Whether everything has come to its end, windows and checkpoints included.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let state = self.state();
        let has_open_window = |checkpoint: &Checkpoint| checkpoint.lanes.iter().any(|lane| lane.window.is_some());
        (1..).zip(&state.fates).all(|(number, fate)| {
            let checkpoint = state.checkpoints.get(&fate.shard);
            let is_passed = checkpoint.is_some_and(|it| sequence_number(&it.position) >= number);
            self.is_settled(number, fate, now) && (is_passed || fate.due != Due::Yes) && self.is_told(fate, now)
        }) && !state.checkpoints.values().any(has_open_window)
    }

    /// What must hold at the end.
    pub fn finish(&self, now: Timestamp) {
        let mut wrong = Vec::new();
        let state = self.state();
        for (number, fate) in (1..).zip(&state.fates) {
            let passed = state.checkpoints.get(&fate.shard).is_some_and(|it| sequence_number(&it.position) >= number);
            match (self.is_settled(number, fate, now), passed) {
                (false, true) => wrong.push(format!("lost: {number} was passed and is not at its end")),
                (false, false) => wrong.push(format!("hang: {number} never came to its end")),
                (true, false) if fate.due == Due::Yes => {
                    wrong.push(format!("hang: the checkpoint stands before {number}"))
                }
                _ => {}
            }
            if fate.due == Due::Yes && !self.is_told(fate, now) {
                wrong.push(format!("state: no last invocation of a window told of {number}"));
            }
            if self.schedule.never_repeats() && fate.finals > 1 && self.schedule.destination.loses_answer == 0 {
                wrong.push(format!("state: {number} is in the state of {} windows", fate.finals));
            }
        }
        drop(state);
        self.violations(wrong);
    }

    /// What happened, and what should not have.
    pub fn take(&self) -> (Vec<String>, Vec<String>) {
        let mut state = self.state();
        (std::mem::take(&mut state.trace), std::mem::take(&mut state.violations))
    }
}
