//! How asynchronous events are tried and tried again, in paused time: every rule of spec 9.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::events::{RAISED, THROTTLED, WORK, World, event, function, plan, raising, refusing, scripted, to, told};
use common::until;
use pelton_core::{ErrorKind, TraceHeader};
use pelton_engine::{EventPlan, Shutdown};
use pelton_testkit::{FakeDestination, FakeInvoker, Reply};
use serde_json::{Value, json};
use uuid::Uuid;

fn assert_times(times: &[f64], expected: &[f64]) {
    let is_near = |(time, expected): (&f64, &f64)| (time - expected).abs() < 0.1;
    let are_near = times.len() == expected.len() && times.iter().zip(expected).all(is_near);
    assert!(are_near, "{times:?} instead of {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_invoked_once_reported_and_forgotten() {
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| Reply::Returns(json!({"got": event["number"]}))));
    let (successes, failures) = (Arc::new(FakeDestination::default()), Arc::new(FakeDestination::default()));
    let on = EventPlan { on_success: to(&successes), on_failure: to(&failures), ..plan(WORK, &invoker) };
    let world = World::with(on);
    world.send(7).await;
    world.until_empty().await;
    let seen = invoker.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].event, json!({"number": 7}));
    assert_eq!(seen[0].call.request_id, Some(Uuid::from_u128(7)));
    assert_eq!(seen[0].call.client_context.as_deref(), Some("e30="));
    assert_eq!(seen[0].call.trace_header.as_deref(), Some("Root=1-67a-9c;Lineage=1:pelton:1"), "one hop further");
    assert!(failures.accepted().is_empty());
    let record: Value = serde_json::from_str(&successes.accepted()[0].to_json().unwrap()).unwrap();
    assert_eq!(
        record,
        json!({
            "version": "1.0",
            "timestamp": record["timestamp"],
            "requestContext": {
                "requestId": Uuid::from_u128(7).to_string(),
                "functionArn": function(WORK).as_str(),
                "condition": "Success",
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"number": 7},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
            "responsePayload": {"got": 7},
        })
    );
    let status = world.status(WORK);
    assert_eq!((status.received, status.invocations, status.errors, status.waiting), (1, 1, 0, 0));
    assert_eq!((status.reported_successes, status.dropped, status.age_seconds), (1, 0, Some(0.0)));
    assert_eq!(world.stop().await, Shutdown::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_failing_function_is_tried_again_after_one_minute_and_after_two_with_the_same_id() {
    let (invoker, failures) = (raising(), Arc::new(FakeDestination::default()));
    let world = World::with(EventPlan { on_failure: to(&failures), ..plan(WORK, &invoker) });
    world.send(1).await;
    world.until_empty().await;
    assert_times(&world.times(&invoker), &[0.0, 60.0, 180.0]);
    assert!(invoker.seen().iter().all(|call| call.call.request_id == Some(Uuid::from_u128(1))));
    assert_eq!(told(&failures), [("RetriesExhausted", 3, Some(RAISED.into()))]);
    let record: Value = serde_json::from_str(&failures.accepted()[0].to_json().unwrap()).unwrap();
    assert_eq!(record["requestContext"]["requestId"], Uuid::from_u128(1).to_string());
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    let status = world.status(WORK);
    assert_eq!((status.invocations, status.errors, status.retries, status.dropped), (3, 3, 2, 1));
    assert_eq!((status.waiting, status.in_flight, status.reported_failures), (0, 0, 1));
    assert!(status.last_error.unwrap().message.contains("raised"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn maximum_retry_attempts_counts_the_retries() {
    for (retries, attempts) in [(0, 1), (1, 2), (2, 3)] {
        let (invoker, failures) = (raising(), Arc::new(FakeDestination::default()));
        let limited = EventPlan { maximum_retry_attempts: retries, on_failure: to(&failures), ..plan(WORK, &invoker) };
        let world = World::with(limited);
        world.send(1).await;
        world.until_empty().await;
        assert_eq!(told(&failures), [("RetriesExhausted", attempts, Some(RAISED.into()))]);
        assert_eq!(invoker.seen().len(), attempts as usize);
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_come_after_the_maximum_age_is_not_waited_for() {
    for (age, times) in [(60, &[0.0][..]), (90, &[0.0, 60.0]), (181, &[0.0, 60.0, 180.0])] {
        let (invoker, failures) = (raising(), Arc::new(FakeDestination::default()));
        let maximum_event_age = Duration::from_secs(age);
        let world = World::with(EventPlan { maximum_event_age, on_failure: to(&failures), ..plan(WORK, &invoker) });
        world.send(1).await;
        world.until_empty().await;
        assert_times(&world.times(&invoker), times);
        let condition = if age == 181 { "RetriesExhausted" } else { "EventAgeExceeded" };
        assert_eq!(told(&failures), [(condition, times.len() as u32, Some(RAISED.into()))]);
        let ended = failures.accepted()[0].timestamp.clone();
        assert!(world.began.elapsed().as_secs_f64() - times[times.len() - 1] < 0.1, "at once, not at {ended}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_times_are_scaled() {
    let invoker = raising();
    let world = World::on(Arc::default(), 0.01);
    world.plans.set(WORK, Ok(plan(WORK, &invoker)));
    world.send(1).await;
    world.until_empty().await;
    let times = world.times(&invoker);
    assert!((times[1] - 0.6).abs() < 0.05 && (times[2] - 1.8).abs() < 0.05, "{times:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn throttles_use_up_no_attempt_and_their_pauses_double_for_six_hours() {
    let (invoker, failures) = (refusing(THROTTLED), Arc::new(FakeDestination::default()));
    let world = World::with(EventPlan { on_failure: to(&failures), ..plan(WORK, &invoker) });
    world.send(1).await;
    world.until_over().await;
    let times = world.times(&invoker);
    let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (i, pause) in pauses.iter().enumerate() {
        let ideal = 2f64.powi(i as i32).min(300.0);
        let range = ideal / 2.0 - 0.1..=(ideal * 1.5).min(300.0) + 0.1;
        assert!(range.contains(pause), "{pause} s is no pause around {ideal} s");
    }
    assert_eq!(told(&failures), [("EventAgeExceeded", 0, None)]);
    let last = times[times.len() - 1];
    assert!((21_000.0..21_600.0).contains(&last), "up to six hours, not {last} s");
    let status = world.status(WORK);
    assert_eq!((status.invocations, status.throttles), (0, times.len() as u64));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_error_between_attempts_changes_nothing_about_them() {
    let script = [
        Reply::Raises,
        Reply::Refuses(ErrorKind::Transient),
        Reply::Refuses(THROTTLED),
        Reply::Raises,
        Reply::Refuses(ErrorKind::Refused),
        Reply::Raises,
    ];
    let (invoker, failures) = (scripted(script), Arc::new(FakeDestination::default()));
    let world = World::with(EventPlan { on_failure: to(&failures), ..plan(WORK, &invoker) });
    world.send(1).await;
    world.until_empty().await;
    assert_eq!(told(&failures), [("RetriesExhausted", 3, Some(RAISED.into()))]);
    let times = world.times(&invoker);
    assert_eq!(times.len(), 6);
    assert!(times[5] - times[4] <= 1.6, "an answer has ended the refusals: {times:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_time_gets_it() {
    let retry_after = Some(Duration::from_secs(40));
    let invoker = scripted([Reply::Refuses(ErrorKind::Throttled { retry_after })]);
    let world = World::with(plan(WORK, &invoker));
    world.send(1).await;
    world.until_empty().await;
    assert_times(&world.times(&invoker), &[0.0, 40.0]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_can_never_be_accepted_is_given_up_at_once() {
    let (invoker, failures) = (refusing(ErrorKind::Payload), Arc::new(FakeDestination::default()));
    let world = World::with(EventPlan { on_failure: to(&failures), ..plan(WORK, &invoker) });
    world.send(1).await;
    world.until_empty().await;
    assert_eq!(told(&failures), [("RetriesExhausted", 1, None)]);
    assert_eq!(invoker.seen().len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_may_not_run_gives_its_events_up_at_once() {
    let (invoker, failures) = (scripted([]), Arc::new(FakeDestination::default()));
    let stopped = EventPlan { reserved_concurrency: Some(0), on_failure: to(&failures), ..plan(WORK, &invoker) };
    let world = World::with(stopped);
    world.send(1).await;
    world.until_empty().await;
    let record = failures.accepted()[0].to_json().unwrap();
    assert!(record.contains("\"condition\":\"ZeroReservedConcurrency\",\"approximateInvokeCount\":0"), "{record}");
    assert!(!record.contains("responseContext") && !record.contains("responsePayload"), "{record}");
    assert!(invoker.seen().is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_functions_ends_after_sixteen_hops() {
    let (invoker, failures) = (scripted([]), Arc::new(FakeDestination::default()));
    let world = World::with(EventPlan { on_failure: to(&failures), ..plan(WORK, &invoker) });
    let mut trace = TraceHeader::received(None);
    for hop in 0..18u128 {
        world.door().accept(pelton_engine::NewEvent { trace: trace.clone(), ..event(WORK, hop) }).await.unwrap();
        world.until_empty().await;
        // As an SDK inside the function does.
        trace = match invoker.seen().get(hop as usize) {
            Some(call) => TraceHeader::received(call.call.trace_header.as_deref()),
            None => trace,
        };
    }
    assert_eq!(invoker.seen().len(), 17, "the first one and sixteen behind it");
    assert_eq!(told(&failures)[0], ("RecursionDepthExceeded", 0, None));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_settings_counts_for_what_waits() {
    let (before, after) = (raising(), scripted([Reply::Raises]));
    let failures = Arc::new(FakeDestination::default());
    let world = World::with(plan(WORK, &before));
    world.send(1).await;
    until("it has failed once", async || before.seen().len() == 1).await;
    let changed = EventPlan { maximum_retry_attempts: 1, on_failure: to(&failures), ..plan(WORK, &after) };
    world.plans.set(WORK, Ok(changed));
    world.until_empty().await;
    assert_eq!((before.seen().len(), after.seen().len()), (1, 1));
    assert_eq!(told(&failures), [("RetriesExhausted", 2, Some(RAISED.into()))]);
    world.plans.set(WORK, Ok(EventPlan { on_failure: to(&failures), ..plan(WORK, &before) }));
    world.send(2).await;
    until("it has failed twice", async || before.seen().len() == 3).await;
    let lowered = EventPlan { maximum_retry_attempts: 1, on_failure: to(&failures), ..plan(WORK, &before) };
    world.plans.set(WORK, Ok(lowered));
    world.until_empty().await;
    assert_eq!(before.seen().len(), 3, "its retries are used up by now");
    assert_eq!(told(&failures)[1], ("RetriesExhausted", 2, None));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_wait_while_nothing_is_known_of_their_function() {
    let invoker = scripted([]);
    let world = World::on(Arc::default(), 1.0);
    world.plans.set(WORK, Err(ErrorKind::Transient));
    world.send(1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.status(WORK).last_error.unwrap().message.contains("no plan"));
    world.plans.set(WORK, Ok(plan(WORK, &invoker)));
    world.until_empty().await;
    assert_eq!(invoker.seen().len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_made_again_gets_what_waited_and_one_that_stays_away_does_not_keep_it_for_ever() {
    let invoker = scripted([]);
    let world = World::on(Arc::default(), 1.0);
    world.send(1).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.plans.set(WORK, Ok(plan(WORK, &invoker)));
    world.until_empty().await;
    assert_eq!(invoker.seen().len(), 1);
    world.accept("gone:1", 2).await.unwrap();
    world.until_over().await;
    assert_eq!(world.status("gone:1").dropped, 1);
    world.stop().await;
}
