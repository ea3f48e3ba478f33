//! What is shown of the functions that are invoked asynchronously.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pelton_core::{Clock, DestinationError, FunctionName};
use serde::{Deserialize, Serialize};

use crate::LastError;
use crate::metrics::{EventMetrics, Metrics};
use crate::report::Ledger;
use crate::status::Part;

/// The asynchronous events of one function, seen from outside. Counts are since the start of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FunctionStatus {
    /// The function, with its qualifier.
    pub function_arn: String,
    /// Events that have not come to their end, those that run included. Roughly, where other processes share the queue.
    pub waiting: u64,
    /// Invocations that run now.
    pub in_flight: u64,
    /// How old the event was that was given to the function last, in seconds; 0 when none waits, absent before the
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Events accepted.
    pub received: u64,
    /// Invocations that the function answered.
    pub invocations: u64,
    /// Invocations that ended in a function error.
    pub errors: u64,
    /// Invocations that were throttled before they reached the function.
    pub throttles: u64,
    /// Failed invocations that are followed by another.
    pub retries: u64,
    /// Events given up, reported or not.
    pub dropped: u64,
    /// Execution records accepted by the OnSuccess destination.
    pub reported_successes: u64,
    /// Execution records accepted by the OnFailure destination.
    pub reported_failures: u64,
    /// Events accepted by the dead-letter queue.
    pub dead_lettered: u64,
    /// Deliveries that a destination refused.
    pub destination_delivery_failures: u64,
    /// Deliveries that the dead-letter queue refused.
    pub dead_letter_errors: u64,
    /// The last thing that went wrong, also when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// Functions that are remembered at a time, at most, as far as they have nothing to do.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Default)]
struct Tally {
    /// Events accepted, and not ended.
    waiting: u64,
    /// Events that are being added now.
    adding: u64,
    /// Events accepted since the start.
    accepted: u64,
    age: Option<Duration>,
    problems: BTreeMap<Part, String>,
    last_error: Option<LastError>,
}

/// Where the events of one function write down how it goes.
pub(crate) struct EventWatch {
    pub metrics: EventMetrics,
    function: FunctionName,
    clock: Arc<dyn Clock>,
    tally: Mutex<Tally>,
}

/// An event on its way into the queue.
pub(crate) struct Adding<'a>(&'a EventWatch);

impl Adding<'_> {
    pub fn accepted(self) {
        self.0.metrics.received.inc();
        let mut tally = self.0.tally();
        tally.accepted += 1;
        self.0.set_waiting(&mut tally, |waiting| waiting.saturating_add(1));
    }
}

impl Drop for Adding<'_> {
    fn drop(&mut self) {
        self.0.tally().adding -= 1;
    }
}

impl EventWatch {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_waiting(&self, tally: &mut Tally, change: impl FnOnce(u64) -> u64) {
        tally.waiting = change(tally.waiting);
        self.metrics.waiting.set(i64::try_from(tally.waiting).unwrap_or(i64::MAX));
        if tally.waiting == 0 && tally.age.is_some() {
            tally.age = Some(Duration::ZERO);
        }
    }

    /// An event is about to be added.
    pub fn adding(&self) -> Adding<'_> {
        self.tally().adding += 1;
        Adding(self)
    }

    /// An event has left the queue.
    pub fn ended(&self) {
        self.set_waiting(&mut self.tally(), |waiting| waiting.saturating_sub(1));
    }

    /// So many were found in the queue.
    pub fn found(&self, events: u64) {
        self.set_waiting(&mut self.tally(), |waiting| waiting.max(events));
    }

    /// Notes which events the queue is known to hold, before it is looked into. `None`: more are about to come.
    pub fn known(&self) -> Option<u64> {
        let tally = self.tally();
        (tally.adding == 0).then_some(tally.accepted)
    }

    /// The queue was found empty, and nothing runs: whatever was counted beyond that has been cancelled, or was another
    /// process's. No word of events that came after [`Self::known`].
    pub fn found_none(&self, known: Option<u64>) {
        let mut tally = self.tally();
        if tally.adding == 0 && known == Some(tally.accepted) {
            self.set_waiting(&mut tally, |_| 0);
        }
    }

    /// How old an event is that the function gets now.
    pub fn note_age(&self, age: Duration) {
        self.metrics.age.observe(age.as_secs_f64());
        self.tally().age = Some(age);
    }

    /// Notes a problem. True if it is news.
    pub fn trouble(&self, part: Part, message: &str) -> bool {
        self.metrics.problem.set(1);
        let mut tally = self.tally();
        tally.last_error = Some(LastError { message: message.to_owned(), at: self.clock.now() });
        tally.problems.insert(part, message.to_owned()).is_none_or(|before| before != message)
    }

    /// Notes that a part works. True if it didn't before.
    pub fn works(&self, part: Part) -> bool {
        let mut tally = self.tally();
        let recovered = tally.problems.remove(&part).is_some();
        if tally.problems.is_empty() {
            self.metrics.problem.set(0);
        }
        recovered
    }

    fn status(&self) -> FunctionStatus {
        let tally = self.tally();
        let metrics = &self.metrics;
        FunctionStatus {
            function_arn: self.function.to_string(),
            waiting: tally.waiting,
            in_flight: u64::try_from(metrics.in_flight.get()).unwrap_or(0),
            age_seconds: tally.age.map(|age| age.as_secs_f64()),
            received: metrics.received.get(),
            invocations: metrics.invocations.get(),
            errors: metrics.errors.get(),
            throttles: metrics.throttles.get(),
            retries: metrics.retries.get(),
            dropped: metrics.dropped.get(),
            reported_successes: metrics.reported_successes.get(),
            reported_failures: metrics.reported_failures.get(),
            dead_lettered: metrics.dead_lettered.get(),
            destination_delivery_failures: metrics.undelivered.get(),
            dead_letter_errors: metrics.dead_letter_errors.get(),
            last_error: tally.last_error.clone(),
        }
    }
}

impl Ledger for EventWatch {
    fn delivered(&self, part: Part) -> bool {
        match part {
            Part::OnSuccess => self.metrics.reported_successes.inc(),
            Part::DeadLetterQueue => self.metrics.dead_lettered.inc(),
            _ => self.metrics.reported_failures.inc(),
        };
        self.works(part)
    }

    fn undelivered(&self, part: Part, error: &DestinationError) -> bool {
        match part {
            Part::DeadLetterQueue => self.metrics.dead_letter_errors.inc(),
            _ => self.metrics.undelivered.inc(),
        };
        self.trouble(part, &error.to_string())
    }
}

/// All functions that have got events. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Functions(Arc<Mutex<BTreeMap<FunctionName, Arc<EventWatch>>>>);

impl Functions {
    fn watches(&self) -> MutexGuard<'_, BTreeMap<FunctionName, Arc<EventWatch>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watch(&self, function: &FunctionName, metrics: &Metrics, clock: &Arc<dyn Clock>) -> Arc<EventWatch> {
        let mut watches = self.watches();
        if let Some(watch) = watches.get(function) {
            return watch.clone();
        }
        if watches.len() >= REMEMBERED {
            // Nobody else holds it, and nobody can get hold of it meanwhile.
            let is_idle = |watch: &Arc<EventWatch>| Arc::strong_count(watch) == 1 && watch.tally().waiting == 0;
            let idle = watches.iter().find(|(_, watch)| is_idle(watch)).map(|(function, _)| function.clone());
            if let Some(idle) = idle {
                watches.remove(&idle);
                metrics.forget_function(&idle);
            }
        }
        let watch = Arc::new(EventWatch {
            metrics: metrics.of_function(function),
            function: function.clone(),
            clock: clock.clone(),
            tally: Mutex::default(),
        });
        watches.insert(function.clone(), watch.clone());
        watch
    }

    pub fn list(&self) -> Vec<FunctionStatus> {
        self.watches().values().map(|watch| watch.status()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(number: usize) -> FunctionName {
        format!("arn:aws:lambda:us-east-1:000000000000:function:f{number}:$LATEST").parse().unwrap()
    }

    #[test]
    fn only_so_many_functions_are_remembered_and_none_that_has_something_to_do_is_forgotten() {
        let (functions, metrics) = (Functions::default(), Metrics::new());
        let clock: Arc<dyn Clock> = Arc::new(pelton_core::SystemClock);
        functions.watch(&function(0), &metrics, &clock).found(1);
        let held = functions.watch(&function(1), &metrics, &clock);
        for number in 2..REMEMBERED + 50 {
            functions.watch(&function(number), &metrics, &clock);
        }
        let shown: Vec<String> = functions.list().into_iter().map(|status| status.function_arn).collect();
        assert_eq!(shown.len(), REMEMBERED);
        assert!([0, 1].iter().all(|number| shown.contains(&function(*number).to_string())));
        let text = metrics.text();
        assert_eq!(text.lines().filter(|line| line.starts_with("AsyncEventsReceived_total{")).count(), REMEMBERED);
        drop(held);
    }

    #[test]
    fn what_is_added_while_the_queue_is_looked_into_stays_counted() {
        let (functions, metrics) = (Functions::default(), Metrics::new());
        let watch = functions.watch(&function(0), &metrics, &(Arc::new(pelton_core::SystemClock) as Arc<dyn Clock>));
        let added_before = watch.adding();
        let known = watch.known();
        added_before.accepted();
        watch.found_none(known);
        assert_eq!(watch.status().waiting, 1, "it was on its way when the look began");
        let known = watch.known();
        watch.adding().accepted();
        watch.found_none(known);
        assert_eq!(watch.status().waiting, 2, "it came during the look");
        watch.found_none(watch.known());
        assert_eq!(watch.status().waiting, 0, "the others were cancelled");
        watch.ended();
        assert_eq!(watch.status().waiting, 0);
    }
}
