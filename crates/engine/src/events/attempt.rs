//! What becomes of an event, before and after its invocation: spec 9. Pure: no clock, no I/O, no chance.
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{AsyncEvent, Condition, ErrorKind};

use crate::events::EventPlan;

/// Invocations of one chain that may lie before an event (Lambda's recursive loop detection: "approximately 16").
pub(crate) const MAXIMUM_HOPS: u32 = 16;
/// Pauses before the first retry, and before every later one.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
/// No event is due again at once, however small the scale.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long and how often an event is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Policy {
    /// `MaximumRetryAttempts`.
    pub maximum_retry_attempts: u32,
    /// `MaximumEventAgeInSeconds`, before it is scaled.
    pub maximum_event_age: Duration,
    /// The function's reserved concurrency isn't 0.
    pub may_run: bool,
    /// Multiplies every time.
    pub delay_scale: f64,
}

/// What to do with an event after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is done.
    Succeed,
    /// It waits for its next attempt.
    Wait {
        /// [`AsyncEvent::attempts`] from now on.
        attempts: u32,
        /// [`AsyncEvent::refusals`] from now on.
        refusals: u32,
        /// Later than now.
        due_at: Timestamp,
    },
    /// It is reported, then forgotten.
    GiveUp {
        /// Why.
        condition: Condition,
        /// `approximateInvokeCount`.
        attempts: u32,
    },
}

impl Policy {
    pub(crate) fn of(plan: &EventPlan, delay_scale: f64) -> Self {
        Self {
            maximum_retry_attempts: plan.maximum_retry_attempts,
            maximum_event_age: plan.maximum_event_age,
            may_run: plan.reserved_concurrency != Some(0),
            delay_scale,
        }
    }

    /// From when on the event is too old.
    fn limit(&self, event: &AsyncEvent) -> Timestamp {
        later(event.accepted_at, self.maximum_event_age.mul_f64(self.delay_scale))
    }

    /// AWS looks ahead: an attempt that would come too late is given up now.
    fn wait(&self, event: &AsyncEvent, attempts: u32, refusals: u32, due_at: Timestamp) -> Next {
        if due_at >= self.limit(event) {
            return Next::GiveUp { condition: Condition::EventAgeExceeded, attempts };
        }
        Next::Wait { attempts, refusals, due_at }
    }
}

/// Whether an event is given up without being tried, and why. Its count stays what it was.
pub(crate) fn before(event: &AsyncEvent, policy: &Policy, now: Timestamp) -> Option<Condition> {
    if event.trace.hops() > MAXIMUM_HOPS {
        Some(Condition::RecursionDepthExceeded)
    } else if !policy.may_run {
        Some(Condition::ZeroReservedConcurrency)
    } else if event.attempts > policy.maximum_retry_attempts {
        // The setting was lowered while it waited, or a shutdown came before its report was accepted.
        Some(Condition::RetriesExhausted)
    } else {
        (now >= policy.limit(event)).then_some(Condition::EventAgeExceeded)
    }
}

/// The function has answered.
pub(crate) fn after_answer(event: &AsyncEvent, has_failed: bool, policy: &Policy, now: Timestamp) -> Next {
    if !has_failed {
        return Next::Succeed;
    }
    let attempts = event.attempts.saturating_add(1);
    if attempts > policy.maximum_retry_attempts {
        return Next::GiveUp { condition: Condition::RetriesExhausted, attempts };
    }
    let [first, later_ones] = RETRY_PAUSES;
    let pause = if attempts == 1 { first } else { later_ones };
    policy.wait(event, attempts, 0, later(now, pause.mul_f64(policy.delay_scale)))
}

/// The function could not be asked. That is no attempt, except where this very event can never be accepted: that is its
/// last one. `pause` is how long to wait for the next.
pub(crate) fn after_refusal(
    event: &AsyncEvent,
    kind: ErrorKind,
    pause: Duration,
    policy: &Policy,
    now: Timestamp,
) -> Next {
    match kind {
        ErrorKind::Payload => {
            Next::GiveUp { condition: Condition::RetriesExhausted, attempts: event.attempts.saturating_add(1) }
        }
        ErrorKind::Throttled { .. } | ErrorKind::Transient | ErrorKind::Refused | ErrorKind::Missing => {
            policy.wait(event, event.attempts, event.refusals.saturating_add(1), later(now, pause))
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by.max(SHORTEST_PAUSE)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
