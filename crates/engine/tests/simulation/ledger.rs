//! The reference model: writes down what happens at every seam, and what of it must not.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pelton_core::{Disposition, Receipt};
use pelton_testkit::FakeQueue;
use tokio::time::Instant;

use crate::schedule::Schedule;

/// What has become of one message so far, as the world around the engine knows it.
#[derive(Debug, Default)]
struct Fate {
    /// The receive count at which the function saw it last; 0 if it never did.
    offered_at: u32,
    /// Invocations that have it now.
    running: usize,
    /// The function has processed it, whether or not its answer arrived.
    processed: bool,
    /// An answer that says so has arrived.
    confirmed: bool,
    /// Receive counts whose last answer said that it failed.
    failed_receives: BTreeSet<u32>,
    /// The receive count at which it was handed to the engine last.
    receives: u32,
    /// Its execution record was accepted.
    reported: bool,
}

#[derive(Debug, Default)]
struct State {
    fates: BTreeMap<String, Fate>,
    records: u64,
    running: usize,
    running_groups: BTreeMap<String, usize>,
    trace: Vec<String>,
    violations: Vec<String>,
}

/// The model of one run.
pub struct Ledger {
    schedule: Schedule,
    started: Instant,
    state: Mutex<State>,
}

impl Ledger {
    /// An empty model; time starts now.
    pub fn new(schedule: &Schedule) -> Self {
        Self { schedule: schedule.clone(), started: Instant::now(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether things may still go wrong.
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

    /// A message was handed to the engine.
    pub fn received(&self, id: &str, receives: u32) {
        self.state().fates.entry(id.to_owned()).or_default().receives = receives;
    }

    /// An invocation begins.
    pub fn invoked(&self, ids: &[String], queue: &FakeQueue) {
        self.note(format_args!("invoke {}", ids.join(" ")));
        let settings = &self.schedule;
        let gone: BTreeSet<String> = queue.deleted().into_iter().chain(queue.dead()).collect();
        let mut wrong = Vec::new();
        let mut state = self.state();
        let State { fates, running, running_groups, .. } = &mut *state;
        *running += 1;
        if ids.is_empty() || ids.len() > settings.batch_size {
            wrong.push(format!("batch size: {} messages, at most {}", ids.len(), settings.batch_size));
        }
        for limit in settings.maximum_concurrency.iter().chain(&settings.slots) {
            if *running > *limit {
                wrong.push(format!("concurrency: {running} invocations, at most {limit}"));
            }
        }
        for (place, id) in ids.iter().enumerate() {
            let group = self.group(id);
            for before in settings.messages.iter().take_while(|before| before.id != *id) {
                let is_settled = gone.contains(&before.id)
                    || fates.get(&before.id).is_some_and(|fate| fate.processed)
                    || ids[..place].contains(&before.id)
                    || before.id.starts_with('-');
                let is_first = fates.get(id).is_none_or(|fate| fate.offered_at == 0);
                if is_first && group.is_some() && before.group == group && !is_settled {
                    wrong.push(format!("order: {id} came before {} was at its end", before.id));
                }
            }
            if ids[..place].contains(id) {
                wrong.push(format!("duplicate: {id} is twice in one batch"));
            }
            let fate = fates.entry(id.clone()).or_default();
            if id.starts_with('-') {
                wrong.push(format!("filter: {id} was invoked"));
            }
            if settings.calm && settings.heartbeat && fate.running > 0 {
                wrong.push(format!("duplicate: {id} runs twice at the same time"));
            }
            if settings.calm && settings.heartbeat && fate.confirmed {
                wrong.push(format!("duplicate: {id} had been processed"));
            }
            fate.offered_at = fate.receives;
            fate.running += 1;
        }
        if let Some(group) = ids.first().and_then(|id| self.group(id)) {
            let running = running_groups.entry(group.clone()).or_default();
            *running += 1;
            if settings.calm && settings.heartbeat && *running > 1 {
                wrong.push(format!("order: two invocations of group {group} at the same time"));
            }
        }
        drop(state);
        wrong.into_iter().for_each(|what| self.violation(what));
    }

    /// An invocation is over, or was dropped.
    pub fn invocation_over(&self, ids: &[String]) {
        let mut state = self.state();
        state.running -= 1;
        for id in ids {
            state.fates.entry(id.clone()).or_default().running -= 1;
        }
        if let Some(group) = ids.first().and_then(|id| self.group(id)) {
            *state.running_groups.entry(group).or_default() -= 1;
        }
    }

    /// The function has done its work on these.
    pub fn processed(&self, ids: &[String]) {
        let mut state = self.state();
        ids.iter().for_each(|id| state.fates.entry(id.clone()).or_default().processed = true);
    }

    /// The engine is told what became of a batch.
    pub fn answered(&self, processed: &[String], failed: &[String]) {
        self.note(format_args!("answer: processed [{}] failed [{}]", processed.join(" "), failed.join(" ")));
        let mut state = self.state();
        for id in processed {
            state.fates.entry(id.clone()).or_default().confirmed = true;
        }
        for id in failed {
            let fate = state.fates.entry(id.clone()).or_default();
            fate.failed_receives.insert(fate.receives);
        }
    }

    /// OnFailure has accepted a record.
    pub fn reported(&self, id: &str) {
        self.note(format_args!("record of {id} accepted"));
        let mut state = self.state();
        state.records += 1;
        state.fates.entry(id.to_owned()).or_default().reported = true;
    }

    /// Records that OnFailure has accepted.
    pub fn records(&self) -> u64 {
        self.state().records
    }

    /// The engine settles a message.
    pub fn settling(&self, receipt: &Receipt, disposition: Disposition) {
        self.note(format_args!("settle {} {disposition:?}", receipt.0));
        let (id, receives) = receipt.0.split_once('#').unwrap_or((&receipt.0, "0"));
        let state = self.state();
        let none = Fate::default();
        let fate = state.fates.get(id).unwrap_or(&none);
        let wrong = match disposition {
            Disposition::Delivered if !fate.confirmed => Some(format!("early: {id} deleted before it was processed")),
            Disposition::Filtered if !id.starts_with('-') => Some(format!("early: {id} deleted as filtered")),
            Disposition::Discarded => self.unfounded(id, receives.parse().unwrap_or(0), fate),
            _ => None,
        };
        drop(state);
        wrong.into_iter().for_each(|what| self.violation(what));
    }

    /// Why a message may not be given up at this receive.
    fn unfounded(&self, id: &str, receives: u32, fate: &Fate) -> Option<String> {
        if self.schedule.maximum_retry_attempts.is_none_or(|retries| receives <= retries) {
            return Some(format!("early: {id} given up at its receive {receives}"));
        }
        if fate.failed_receives.is_empty() {
            return Some(format!("early: {id} given up though it never failed"));
        }
        (self.schedule.on_failure && !fate.reported).then(|| format!("early: {id} given up without a record"))
    }

    /// The engine has ended in order, so nothing that it never showed to the function may still be hidden.
    pub fn stopped(&self, queue: &FakeQueue) {
        if !self.schedule.calm {
            return;
        }
        let visible = queue.visible();
        let state = self.state();
        let is_held = |id: &String| {
            let fate = state.fates.get(id)?;
            (fate.receives > 0 && fate.receives != fate.offered_at && !visible.contains(id)).then(|| id.clone())
        };
        let waiting = queue.waiting();
        let held: Vec<String> = waiting.iter().filter_map(is_held).collect();
        drop(state);
        held.into_iter().for_each(|id| self.violation(format!("shutdown: {id} was received and not handed back")));
    }

    /// What must hold at the end.
    pub fn finish(&self, queue: &FakeQueue) {
        let (deleted, dead) = (queue.deleted(), queue.dead());
        let mut wrong = Vec::new();
        let state = self.state();
        let none = Fate::default();
        for message in &self.schedule.messages {
            let id = &message.id;
            let fate = state.fates.get(id).unwrap_or(&none);
            let last_receive = self.schedule.maximum_receives;
            if dead.contains(id) {
                let failed_at_last = last_receive.is_some_and(|last| fate.failed_receives.contains(&last));
                if last_receive.is_none() {
                    wrong.push(format!("lost: {id} is in the dead-letter queue without a limit"));
                }
                let strict = self.schedule.calm && self.schedule.heartbeat;
                let failures = fate.failed_receives.len() as u32;
                if strict && self.schedule.operations.is_empty() && last_receive != Some(failures) {
                    wrong.push(format!("lost: {id} is in the dead-letter queue after {failures} failures"));
                }
                if strict && self.schedule.on_failure && failed_at_last && !fate.reported {
                    wrong.push(format!("lost: {id} is in the dead-letter queue without a record"));
                }
            } else if deleted.contains(id) {
                let given_up = self.schedule.maximum_retry_attempts.is_some()
                    && !fate.failed_receives.is_empty()
                    && (fate.reported || !self.schedule.on_failure);
                if !(id.starts_with('-') || fate.processed || given_up) {
                    wrong.push(format!("lost: {id} is gone, not processed and not reported"));
                }
            } else {
                wrong.push(format!("hang: {id} is still in the queue"));
            }
        }
        if state.running != 0 {
            wrong.push(format!("hang: {} invocations run after the shutdown", state.running));
        }
        drop(state);
        wrong.into_iter().for_each(|what| self.violation(what));
    }

    /// What happened, and what should not have.
    pub fn take(&self) -> (Vec<String>, Vec<String>) {
        let mut state = self.state();
        (std::mem::take(&mut state.trace), std::mem::take(&mut state.violations))
    }

    fn group(&self, id: &str) -> Option<String> {
        self.schedule.messages.iter().find(|message| message.id == id).and_then(|message| message.group.clone())
    }
}
