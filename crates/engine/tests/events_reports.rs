//! Who is told how an asynchronous event ended, and that it is kept until they know.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::events::{RAISED, WORK, World, event, plan, raising, scripted, to, told};
use common::{request_payload, until};
use pelton_core::{Origin, TraceHeader};
use pelton_engine::{EventPlan, NewEvent};
use pelton_testkit::FakeDestination;

fn both(failures: &Arc<FakeDestination>, letters: &Arc<FakeDestination>) -> EventPlan {
    EventPlan {
        maximum_retry_attempts: 0,
        on_failure: to(failures),
        dead_letter_queue: to(letters),
        ..plan(WORK, &raising())
    }
}

#[tokio::test(start_paused = true)]
async fn the_dead_letter_queue_is_told_beside_the_on_failure_destination() {
    let (failures, letters) = (Arc::new(FakeDestination::default()), Arc::new(FakeDestination::default()));
    let world = World::with(both(&failures, &letters));
    world.send(1).await;
    world.until_empty().await;
    for destination in [&failures, &letters] {
        assert_eq!(told(destination), [("RetriesExhausted", 1, Some(RAISED.into()))]);
        assert_eq!(request_payload(&destination.accepted()[0]), "{\"number\":1}");
        let trace = TraceHeader::received(Some("Root=1-67a-9c"));
        assert_eq!(destination.accepted()[0].origin, Origin::Event { trace }, "as it came in");
    }
    let status = world.status(WORK);
    assert_eq!((status.reported_failures, status.dead_lettered, status.dropped), (1, 1, 1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_is_kept_until_both_have_accepted_it() {
    for (refused_failures, refused_letters) in [(40, 0), (0, 40), (40, 80)] {
        let failures = Arc::new(FakeDestination::refusing(refused_failures));
        let letters = Arc::new(FakeDestination::refusing(refused_letters));
        let world = World::with(both(&failures, &letters));
        world.send(1).await;
        until("one half has gone by", async || {
            let status = world.status(WORK);
            status.destination_delivery_failures + status.dead_letter_errors >= 20
        })
        .await;
        assert_eq!(world.queue.kept().len(), 1, "not before both know");
        assert_eq!(world.status(WORK).waiting, 1);
        until("both know", async || failures.accepted().len() + letters.accepted().len() == 2).await;
        world.until_empty().await;
        let status = world.status(WORK);
        let refused = (status.destination_delivery_failures, status.dead_letter_errors);
        assert_eq!(refused, (refused_failures.into(), refused_letters.into()));
        assert!(status.last_error.unwrap().message.contains("refused"));
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_is_reported_for_a_bounded_time() {
    for (refusals, accepted) in [(4, 1), (5, 0)] {
        let successes = Arc::new(FakeDestination::refusing(refusals));
        let world = World::with(EventPlan { on_success: to(&successes), ..plan(WORK, &scripted([])) });
        world.send(1).await;
        world.until_empty().await;
        assert_eq!(successes.accepted().len(), accepted);
        let status = world.status(WORK);
        assert_eq!((status.destination_delivery_failures, status.dropped), (refusals.into(), 0));
        assert_eq!(status.reported_successes, accepted as u64);
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_after_a_retry_counts_both() {
    let successes = Arc::new(FakeDestination::default());
    let invoker = scripted([pelton_testkit::Reply::Raises]);
    let world = World::with(EventPlan { on_success: to(&successes), ..plan(WORK, &invoker) });
    world.send(1).await;
    world.until_empty().await;
    assert_eq!(told(&successes), [("Success", 2, Some("null".into()))]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_anybody_to_tell_an_event_is_dropped_and_counted() {
    let world = World::with(EventPlan { maximum_retry_attempts: 0, ..plan(WORK, &raising()) });
    world.send(1).await;
    world.until_empty().await;
    assert_eq!((world.status(WORK).dropped, world.status(WORK).reported_failures), (1, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_was_set_wrong_can_be_set_right() {
    let (wrong, right) = (Arc::new(FakeDestination::refusing(u32::MAX)), Arc::new(FakeDestination::default()));
    let world = World::with(both(&right, &wrong));
    world.send(1).await;
    until("it is refused", async || world.status(WORK).dead_letter_errors > 3).await;
    world.plans.set(WORK, Ok(both(&right, &right)));
    world.until_empty().await;
    assert_eq!((right.accepted().len(), wrong.accepted().len()), (2, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn functions_that_report_to_each_other_in_a_circle_come_to_an_end() {
    let (failures, letters) = (Arc::new(FakeDestination::default()), Arc::new(FakeDestination::default()));
    let world = World::with(both(&failures, &letters));
    let mut trace = (0..17).fold(TraceHeader::received(None), |trace, _| trace.next_hop());
    for number in 0..20 {
        world.door().accept(NewEvent { trace: trace.clone(), ..event(WORK, number) }).await.unwrap();
        world.until_empty().await;
        // As a destination does that is a function.
        trace = trace.next_hop();
    }
    assert_eq!(failures.accepted().len(), 16, "the events with 17 to 32 hops");
    assert_eq!(letters.accepted().len(), 20);
    assert!(told(&letters).iter().all(|it| it.0 == "RecursionDepthExceeded" && it.1 == 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_destination_in_trouble_does_not_stop_the_function() {
    let failures = Arc::new(FakeDestination::refusing(u32::MAX));
    let invoker = scripted([pelton_testkit::Reply::Raises]);
    let on = EventPlan { maximum_retry_attempts: 0, on_failure: to(&failures), ..plan(WORK, &invoker) };
    let world = World::with(on);
    for number in 0..100 {
        world.send(number).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("the others are done", async || world.queue.kept().len() == 1).await;
    assert_eq!(invoker.seen().len(), 100);
    world.stop().await;
}
