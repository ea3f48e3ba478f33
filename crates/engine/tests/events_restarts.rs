//! Asynchronous events through shutdowns, crashes, and a queue in trouble: none is lost.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::events::{RAISED, WORK, World, plan, raising, scripted, to, told};
use common::until;
use pelton_core::ErrorKind;
use pelton_engine::{EventPlan, Shutdown};
use pelton_testkit::{EventFault, FakeDestination, FakeEvents, FakeInvoker, Reply};
use uuid::Uuid;

fn slow(takes: u64) -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(takes)))
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cant_be_kept_is_not_accepted() {
    let invoker = slow(1);
    let world = World::with(plan(WORK, &invoker));
    world.queue.inject([EventFault::Add]);
    let error = world.accept(WORK, 1).await.unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(invoker.seen().is_empty());
    assert_eq!((world.status(WORK).received, world.status(WORK).waiting), (0, 0));
    world.send(1).await;
    assert!(world.accept(WORK, 1).await.is_err(), "the same id again");
    world.until_empty().await;
    assert_eq!(invoker.seen().len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_is_asked_again_until_it_works() {
    use EventFault::{PutBack, Remove, Take};
    let invoker = scripted([Reply::Raises]);
    let world = World::with(plan(WORK, &invoker));
    world.queue.inject([Take, Take, Take, PutBack, PutBack, PutBack, PutBack, Remove, Remove, Remove, Remove]);
    world.send(1).await;
    world.until_empty().await;
    assert_eq!(invoker.seen().len(), 2, "neither is repeated because of the queue");
    let status = world.status(WORK);
    assert_eq!(status.waiting, 0);
    assert!(status.last_error.unwrap().message.contains("the disk is full"));
    assert!(
        world
            .supervisor
            .status()
            .metrics_text()
            .contains("pelton_problem{FunctionName=\"arn:aws:lambda:us-east-1:000000000000:function:work:$LATEST\"} 0")
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_before_the_start_is_found_also_after_trouble() {
    let invoker = scripted([]);
    let world = World::on(Arc::default(), 1.0);
    for number in 0..10 {
        world.send(number).await;
    }
    world.plans.set(WORK, Ok(plan(WORK, &invoker)));
    world.queue.inject([EventFault::Waiting, EventFault::Waiting]);
    let world = world.crash();
    until("it is known what waits", async || world.supervisor.status().functions().len() == 1).await;
    world.until_empty().await;
    assert_eq!(invoker.seen().len(), 10);
    until("none waits", async || world.status(WORK).waiting == 0).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_at_a_shutdown_comes_to_its_end() {
    let (invoker, successes) = (slow(20), Arc::new(FakeDestination::default()));
    let world = World::with(EventPlan { on_success: to(&successes), ..plan(WORK, &invoker) });
    world.send(1).await;
    until("it runs", async || invoker.seen().len() == 1).await;
    assert_eq!(world.status(WORK).in_flight, 1);
    let (world, shutdown) = world.restart(Duration::from_secs(30)).await;
    assert_eq!(shutdown, Shutdown::Clean);
    assert!(world.queue.is_empty(), "and has left the queue");
    assert_eq!(successes.accepted().len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_at_a_shutdown_is_executed_again() {
    let invoker = slow(20);
    let world = World::with(plan(WORK, &invoker));
    world.send(1).await;
    until("it runs", async || invoker.seen().len() == 1).await;
    let (world, shutdown) = world.restart(Duration::from_secs(5)).await;
    assert_eq!(shutdown, Shutdown::Cut);
    world.until_empty().await;
    let ids: Vec<_> = invoker.seen().iter().filter_map(|call| call.call.request_id).collect();
    assert_eq!(ids, [Uuid::from_u128(1); 2]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_after_a_shutdown_and_nothing_is_lost() {
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1)).with_slots(3));
    let world = World::with(plan(WORK, &invoker));
    for number in 0..10 {
        world.send(number).await;
    }
    until("they run", async || invoker.seen().len() == 3).await;
    let door = world.door();
    let (world, shutdown) = world.restart(Duration::from_secs(30)).await;
    assert_eq!((shutdown, invoker.seen().len(), world.queue.kept().len()), (Shutdown::Clean, 3, 7));
    assert_eq!(world.queue.kept().iter().filter(|(_, is_taken)| *is_taken).count(), 0);
    door.accept(common::events::event(WORK, 10)).await.unwrap();
    world.until_empty().await;
    assert_eq!(invoker.seen().len(), 11, "what the old door took in too");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_during_a_report_neither_loses_it_nor_runs_the_function_again() {
    let (invoker, failures) = (raising(), Arc::new(FakeDestination::refusing(20)));
    let on = EventPlan { maximum_retry_attempts: 0, on_failure: to(&failures), ..plan(WORK, &invoker) };
    let world = World::with(on);
    world.send(1).await;
    until("it is refused", async || world.status(WORK).destination_delivery_failures == 3).await;
    let (world, shutdown) = world.restart(Duration::from_secs(30)).await;
    assert_eq!((shutdown, world.queue.kept().len()), (Shutdown::Clean, 1));
    world.until_empty().await;
    assert_eq!(told(&failures), [("RetriesExhausted", 1, None)], "the answer is not kept");
    assert_eq!(invoker.seen().len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_due_waits_for_a_function_that_is_away() {
    let (invoker, failures) = (raising(), Arc::new(FakeDestination::refusing(20)));
    let on = EventPlan { maximum_retry_attempts: 0, on_failure: to(&failures), ..plan(WORK, &invoker) };
    let world = World::with(on.clone());
    world.send(1).await;
    until("it is refused", async || world.status(WORK).destination_delivery_failures == 3).await;
    world.plans.set(WORK, Err(ErrorKind::Missing));
    let (world, _) = world.restart(Duration::from_secs(30)).await;
    tokio::time::sleep(Duration::from_secs(3_000)).await;
    assert_eq!(world.queue.kept().len(), 1, "nobody knows of it");
    world.plans.set(WORK, Ok(on));
    world.until_empty().await;
    assert_eq!(told(&failures), [("RetriesExhausted", 1, None)]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_while_the_queue_fails_leaves_the_event_to_the_next_start() {
    let invoker = scripted([]);
    let world = World::with(plan(WORK, &invoker));
    world.queue.inject([EventFault::Remove; 20]);
    world.send(1).await;
    until("it can't be removed", async || world.status(WORK).last_error.is_some()).await;
    let (world, shutdown) = world.restart(Duration::from_secs(30)).await;
    assert_eq!((shutdown, world.queue.kept().len()), (Shutdown::Clean, 1));
    world.until_empty().await;
    assert_eq!(invoker.seen().len(), 2, "executed again: nobody knows that it was");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_time_repeats_work_and_loses_none() {
    // From the first invocation to long after the last report.
    for seconds in [0, 1, 3, 59, 61, 63, 179, 181, 183] {
        let invoker = Arc::new(FakeInvoker::deciding_on_event(|_| Reply::Raises));
        let invoker = Arc::new(Arc::into_inner(invoker).unwrap().taking(Duration::from_secs(2)));
        let (failures, letters) = (Arc::new(FakeDestination::refusing(5)), Arc::new(FakeDestination::refusing(9)));
        let on = EventPlan { on_failure: to(&failures), dead_letter_queue: to(&letters), ..plan(WORK, &invoker) };
        let world = World::with(on);
        for number in 0..20 {
            world.send(number).await;
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let world = world.crash();
        world.until_empty().await;
        for destination in [&failures, &letters] {
            let mut ids: Vec<String> =
                destination.accepted().into_iter().map(|record| record.request_context.request_id).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 20, "each is reported after a crash at {seconds} s");
            assert!(told(destination).iter().all(|it| *it == ("RetriesExhausted", 3, Some(RAISED.into()))));
        }
        let invoked = invoker.seen().len();
        assert!((60..=80).contains(&invoked), "three times, and once more for what ran then: {invoked}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_keeps_no_event_from_being_executed() {
    let invoker = scripted([]);
    let world = World::on(Arc::<FakeEvents>::default(), 1.0);
    world.plans.set(WORK, Ok(plan(WORK, &invoker)));
    let door = world.door();
    let mut accepting = Box::pin(door.accept(common::events::event(WORK, 1)));
    assert!(futures_util::poll!(&mut accepting).is_pending());
    drop(accepting);
    until("it is executed", async || invoker.seen().len() == 1).await;
    world.until_empty().await;
    world.stop().await;
}
