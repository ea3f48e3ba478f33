use bytes::Bytes;
use pelton_core::{EventId, TraceHeader};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const AWS: Policy = Policy {
    maximum_retry_attempts: 2,
    maximum_event_age: Duration::from_secs(21_600),
    may_run: true,
    delay_scale: 1.0,
};

fn at(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(Duration::from_secs_f64(seconds)).unwrap()
}

fn event(attempts: u32, refusals: u32) -> AsyncEvent {
    AsyncEvent {
        id: EventId(Uuid::nil()),
        function: "arn:aws:lambda:us-east-1:000000000000:function:work:$LATEST".parse().unwrap(),
        payload: Bytes::from_static(b"{}"),
        client_context: None,
        trace: TraceHeader::received(None),
        accepted_at: at(0.0),
        attempts,
        refusals,
        due_at: at(0.0),
    }
}

fn given_up(condition: Condition, attempts: u32) -> Next {
    Next::GiveUp { condition, attempts }
}

#[test]
fn retries_come_after_one_minute_and_after_two() {
    let wait = |attempts, due_at| Next::Wait { attempts, refusals: 0, due_at };
    assert_eq!(after_answer(&event(0, 7), true, &AWS, at(0.5)), wait(1, at(60.5)), "an answer ends the refusals");
    assert_eq!(after_answer(&event(1, 0), true, &AWS, at(61.0)), wait(2, at(181.0)));
    assert_eq!(after_answer(&event(2, 0), true, &AWS, at(182.0)), given_up(Condition::RetriesExhausted, 3));
    assert_eq!(after_answer(&event(2, 0), false, &AWS, at(182.0)), Next::Succeed);
    let scaled = Policy { delay_scale: 0.01, ..AWS };
    assert_eq!(after_answer(&event(0, 0), true, &scaled, at(0.0)), wait(1, at(0.6)));
}

#[test]
fn a_retry_that_would_come_too_late_is_given_up_now() {
    let minute = Policy { maximum_event_age: Duration::from_secs(60), ..AWS };
    assert_eq!(after_answer(&event(0, 0), true, &minute, at(0.0)), given_up(Condition::EventAgeExceeded, 1));
    let more = Policy { maximum_event_age: Duration::from_secs(90), ..AWS };
    assert!(matches!(after_answer(&event(0, 0), true, &more, at(0.0)), Next::Wait { .. }));
    assert_eq!(after_answer(&event(1, 0), true, &more, at(60.0)), given_up(Condition::EventAgeExceeded, 2));
    let refusal = after_refusal(&event(1, 3), ErrorKind::Transient, Duration::from_secs(31), &more, at(60.0));
    assert_eq!(refusal, given_up(Condition::EventAgeExceeded, 1), "a refusal is no attempt");
}

#[test]
fn what_may_not_run_is_not_tried() {
    let far = (0..17).fold(TraceHeader::received(None), |trace, _| trace.next_hop());
    let circling = AsyncEvent { trace: far, ..event(0, 0) };
    assert_eq!(before(&circling, &AWS, at(0.0)), Some(Condition::RecursionDepthExceeded));
    let stopped = Policy { may_run: false, ..AWS };
    assert_eq!(before(&event(0, 0), &stopped, at(0.0)), Some(Condition::ZeroReservedConcurrency));
    let once = Policy { maximum_retry_attempts: 0, ..AWS };
    assert_eq!(before(&event(1, 0), &once, at(0.0)), Some(Condition::RetriesExhausted));
    assert_eq!(before(&event(0, 0), &AWS, at(21_600.0)), Some(Condition::EventAgeExceeded));
    assert_eq!(before(&event(0, 0), &AWS, at(21_599.9)), None);
}

#[test]
fn an_event_that_can_never_be_accepted_is_given_up() {
    let next = after_refusal(&event(1, 0), ErrorKind::Payload, Duration::ZERO, &AWS, at(0.0));
    assert_eq!(next, given_up(Condition::RetriesExhausted, 2));
}

#[derive(Debug, Clone)]
enum Step {
    Answer { has_failed: bool },
    Refusal { kind: ErrorKind, pause: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(ErrorKind::Transient),
        Just(ErrorKind::Throttled { retry_after: None }),
        Just(ErrorKind::Refused),
        Just(ErrorKind::Missing),
    ];
    prop_oneof![
        any::<bool>().prop_map(|has_failed| Step::Answer { has_failed }),
        (kind, 0u64..400_000).prop_map(|(kind, pause)| Step::Refusal { kind, pause }),
    ]
}

proptest! {
    /// Whatever happens, an event waits for a time to come, or ends with a report or a success; and it ends by its age.
    #[test]
    fn an_event_is_never_lost_and_never_tried_too_often(
        steps in proptest::collection::vec((step(), 0u64..20_000), 1..60),
        retries in 0u32..3,
        age in 60u64..21_600,
        scale in prop_oneof![Just(1.0), Just(0.0), 0.000_1f64..2.0],
    ) {
        let policy = Policy {
            maximum_retry_attempts: retries,
            maximum_event_age: Duration::from_secs(age),
            delay_scale: scale,
            ..AWS
        };
        let mut waiting = event(0, 0);
        let mut now = waiting.accepted_at;
        let mut failures = 0;
        for (step, takes) in steps {
            if let Some(condition) = before(&waiting, &policy, now) {
                prop_assert_eq!(condition, Condition::EventAgeExceeded);
                return Ok(());
            }
            now = now.saturating_add(Duration::from_millis(takes)).unwrap();
            let next = match step {
                Step::Answer { has_failed } => {
                    failures += u32::from(has_failed);
                    after_answer(&waiting, has_failed, &policy, now)
                }
                Step::Refusal { kind, pause } => {
                    after_refusal(&waiting, kind, Duration::from_millis(pause), &policy, now)
                }
            };
            match next {
                Next::Wait { attempts, refusals, due_at } => {
                    prop_assert!(due_at > now && due_at < policy.limit(&waiting));
                    prop_assert_eq!(attempts, failures, "only answers are attempts");
                    prop_assert!(attempts <= retries);
                    waiting = AsyncEvent { attempts, refusals, due_at, ..waiting };
                    now = due_at;
                }
                Next::GiveUp { attempts, .. } => {
                    prop_assert_eq!(attempts, failures);
                    prop_assert!(attempts <= retries + 1);
                    return Ok(());
                }
                Next::Succeed => {
                    let has_succeeded = matches!(step, Step::Answer { has_failed: false });
                    prop_assert!(has_succeeded);
                    return Ok(());
                }
            }
        }
    }
}
