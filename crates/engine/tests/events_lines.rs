//! How many events run at a time, and how functions stay apart, in paused time.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::events::{THROTTLED, WORK, World, event_of, function, plan, raising, refusing, scripted, to};
use common::until;
use futures_util::future::join_all;
use pelton_core::{ErrorKind, EventId, EventQueue as _};
use pelton_engine::EventPlan;
use pelton_testkit::{FakeDestination, FakeInvoker, Reply};
use serde_json::Value;
use uuid::Uuid;

#[tokio::test(start_paused = true)]
async fn eight_hundred_events_are_executed_eight_hundred_times() {
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_millis(500)));
    let world = World::with(plan(WORK, &invoker));
    join_all((0..800).map(|number| world.send(number))).await;
    world.until_empty().await;
    let mut ids: Vec<_> = invoker.seen().iter().filter_map(|call| call.call.request_id).collect();
    ids.sort();
    assert_eq!(ids, (0..800).map(Uuid::from_u128).collect::<Vec<_>>());
    assert_eq!((invoker.most_at_once(), world.queue.most_taken()), (256, 256), "all there is room for, and no more");
    assert_eq!((world.status(WORK).received, world.status(WORK).waiting), (800, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_is_taken_than_the_function_has_slots() {
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1)).with_slots(1));
    let world = World::with(plan(WORK, &invoker));
    join_all((0..20).map(|number| world.send(number))).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.queue.kept().iter().filter(|(_, is_taken)| *is_taken).count(), 1, "the others are in the queue");
    world.until_empty().await;
    assert_eq!((invoker.seen().len(), invoker.most_at_once()), (20, 1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn slots_that_are_free_are_filled_with_few_takes() {
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1)).with_slots(200));
    let world = World::on(Arc::default(), 1.0);
    world.plans.set(WORK, Err(ErrorKind::Transient));
    join_all((0..200).map(|number| world.send(number))).await;
    world.plans.set(WORK, Ok(plan(WORK, &invoker)));
    world.until_empty().await;
    assert_eq!((invoker.seen().len(), invoker.most_at_once()), (200, 200));
    assert!(world.queue.takes() < 20, "{} takes", world.queue.takes());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_in_which_nothing_is_due_is_left_alone() {
    let invoker = raising();
    let world = World::with(plan(WORK, &invoker));
    world.send(1).await;
    world.until_empty().await;
    let takes = world.queue.takes();
    assert!(takes <= 6, "{takes} takes in three minutes");
    tokio::time::sleep(Duration::from_secs(10_000)).await;
    assert_eq!(world.queue.takes(), takes, "a line with nothing left has ended");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_again_while_a_report_is_refused() {
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| match event["number"].as_u64() {
        Some(0) => Reply::Raises,
        _ => Reply::Returns(Value::Null),
    }));
    let invoker = Arc::new(Arc::into_inner(invoker).unwrap().with_slots(1));
    let failures = Arc::new(FakeDestination::refusing(u32::MAX));
    let on = EventPlan { maximum_retry_attempts: 0, on_failure: to(&failures), ..plan(WORK, &invoker) };
    let world = World::with(on);
    for number in 0..10 {
        world.send(number).await;
    }
    until("the others are done", async || world.queue.kept().len() == 1).await;
    assert!(world.began.elapsed() < Duration::from_secs(5));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_function_holds_up_no_other() {
    let (throttled, free) = (refusing(THROTTLED), scripted([]));
    let world = World::on(Arc::default(), 1.0);
    world.plans.set(WORK, Ok(plan(WORK, &throttled)));
    world.plans.set("other:1", Ok(plan("other:1", &free)));
    for number in 0..500 {
        world.send(number).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = throttled.seen().len();
    assert!(asked < 500, "a closed door is knocked at now and then, not {asked} times");
    let sent = tokio::time::Instant::now();
    world.accept("other:1", 1_000).await.unwrap();
    until("it is processed", async || free.seen().len() == 1).await;
    assert!(free.seen()[0].at - sent < Duration::from_millis(10));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_cancelled_counts_no_longer() {
    let invoker = raising();
    let world = World::with(plan(WORK, &invoker));
    world.send(1).await;
    until("it waits for a retry", async || world.queue.kept().first().is_some_and(|(event, _)| event.attempts == 1))
        .await;
    assert_eq!(world.status(WORK).waiting, 1);
    assert!(world.queue.cancel(EventId(Uuid::from_u128(1))).await.unwrap());
    until("none waits", async || world.status(WORK).waiting == 0).await;
    assert_eq!(invoker.seen().len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_metric_is_there_once() {
    let (invoker, failures) = (raising(), Arc::new(FakeDestination::default()));
    let world = World::with(EventPlan { on_failure: to(&failures), ..plan(WORK, &invoker) });
    world.send(1).await;
    world.until_empty().await;
    let text = world.supervisor.status().metrics_text();
    let arn = function(WORK);
    for line in [
        format!("AsyncEventsReceived_total{{FunctionName=\"{arn}\"}} 1"),
        format!("AsyncEventsDropped_total{{FunctionName=\"{arn}\"}} 1"),
        format!("Invocations_total{{FunctionName=\"{arn}\"}} 3"),
        format!("pelton_async_events_waiting{{FunctionName=\"{arn}\"}} 0"),
        format!("AsyncEventAge_seconds_count{{FunctionName=\"{arn}\"}} 3"),
    ] {
        assert!(text.lines().any(|it| it == line), "{line} isn't in\n{text}");
    }
    let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all, "a name stands for one metric");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_loses_nothing_and_stops_no_other_function() {
    let invoker = Arc::new(FakeInvoker::deciding_on_event({
        let calls = std::sync::atomic::AtomicU32::new(0);
        move |_| {
            assert!(calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0, "a bug");
            Reply::Returns(Value::Null)
        }
    }));
    let other = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(30)));
    let world = World::with(plan(WORK, &invoker));
    world.plans.set("other:1", Ok(plan("other:1", &other)));
    world.accept("other:1", 1).await.unwrap();
    until("it runs", async || other.seen().len() == 1).await;
    world.send(2).await;
    until("it ran", async || invoker.seen().len() == 1).await;
    world.plans.break_down(3);
    world.accept("other:1", 3).await.unwrap();
    world.until_empty().await;
    assert_eq!((invoker.seen().len(), other.seen().len()), (2, 2), "what ran went on, what waited was taken later");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_processes_events_are_taken_when_the_queue_tells_of_them() {
    let invoker = scripted([]);
    let world = World::with(plan(WORK, &invoker));
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.queue.add_elsewhere(event_of(&world, 1)).await;
    until("it is processed", async || invoker.seen().len() == 1).await;
    assert!((invoker.seen()[0].at - world.began).as_secs_f64() < 60.1);
    world.until_empty().await;
    world.stop().await;
}
