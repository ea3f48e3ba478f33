//! Streams in paused time: order, retries, lanes, windows, checkpoints.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::stream::{World, batch_size, mapping, put, settings, succeeding};
use common::{ids, until};
use pelton_core::{Condition, ErrorKind, Mapping, StreamSettings, Subject};
use pelton_engine::{Shutdown, lane_of};
use pelton_testkit::{FakeInvoker, Reply};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Fails whenever a record with one of these sequence numbers is in the batch.
fn failing_on(poison: &'static [&'static str]) -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::deciding(move |records| {
        let is_poisoned =
            records.iter().any(|record| poison.contains(&record["messageId"].as_str().unwrap_or_default()));
        if is_poisoned { Reply::Raises } else { Reply::Returns(json!(null)) }
    }))
}

/// Returns the first record with one of these sequence numbers as its batch item failure.
fn reporting(poison: &'static [&'static str]) -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::deciding(move |records| {
        let ids = records.iter().map(|record| record["messageId"].as_str().unwrap_or_default());
        let failed: Vec<Value> =
            ids.filter(|id| poison.contains(id)).map(|id| json!({ "itemIdentifier": id })).collect();
        Reply::Returns(json!({ "batchItemFailures": failed }))
    }))
}

/// Sequence numbers, condition and invoke count of every failure record.
fn failures(world: &World) -> Vec<(String, String, usize, Condition, u32)> {
    let of = |record: &pelton_core::ExecutionRecord| {
        let Subject::Batch { info, .. } = &record.subject else { panic!("not a batch") };
        let context = &record.request_context;
        (info.start.clone(), info.end.clone(), info.size, context.condition, context.approximate_invoke_count)
    };
    world.failures.accepted().iter().map(of).collect()
}

fn failure(
    first: &str,
    last: &str,
    size: usize,
    condition: Condition,
    attempts: u32,
) -> (String, String, usize, Condition, u32) {
    (first.into(), last.into(), size, condition, attempts)
}

#[tokio::test(start_paused = true)]
async fn records_are_delivered_in_order_and_batches_never_overlap() {
    let world = World::new(1);
    put(&world, 1, 25);
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(5)));
    let run = world.start(batch_size(10), &invoker);
    until("all is delivered", async || run.shard(1).position == "25").await;
    assert_eq!(invoker.batches(), [ids(1..11), ids(11..21), ids(21..26)]);
    assert_eq!(invoker.most_at_once(), 1);
    put(&world, 1, 1);
    until("what comes later is delivered", async || run.shard(1).position == "26").await;
    assert_eq!(run.stop().await, Shutdown::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_at_the_checkpoint() {
    let world = World::new(2);
    put(&world, 1, 3);
    put(&world, 2, 2);
    let run = world.start(batch_size(10), &succeeding());
    until("all is delivered", async || run.shard(1).position == "3" && run.shard(2).position == "5").await;
    run.stop().await;
    put(&world, 1, 1);
    let invoker = succeeding();
    let run = world.start(batch_size(10), &invoker);
    until("the new record is delivered", async || !invoker.seen().is_empty()).await;
    run.stop().await;
    assert_eq!(invoker.batches(), [ids(6..7)]);
}

/// Spec 5.3: N retries are N + 1 invocations, then the batch is reported and the shard goes on.
#[tokio::test(start_paused = true)]
async fn retries_are_counted_and_what_is_given_up_is_reported_before_the_checkpoint_moves() {
    for retries in [0, 1, 3] {
        let world = World::new(1);
        put(&world, 1, 3);
        let invoker = failing_on(&["2"]);
        let run = world.start(Mapping { maximum_retry_attempts: Some(retries), ..batch_size(10) }, &invoker);
        until("the batch is given up", async || run.shard(1).position == "3").await;
        assert_eq!(invoker.seen().len(), retries as usize + 1);
        assert_eq!(failures(&world), [failure("1", "3", 3, Condition::RetryAttemptsExhausted, retries + 1)]);
        put(&world, 1, 1);
        until("the shard goes on", async || run.shard(1).position == "4").await;
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_settled_while_the_destination_refuses() {
    let world = World { failures: Arc::new(pelton_testkit::FakeDestination::refusing(20)), ..World::new(1) };
    put(&world, 1, 1);
    let run = world.start(Mapping { maximum_retry_attempts: Some(0), ..batch_size(10) }, &failing_on(&["1"]));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(run.shard(1).position, "TRIM_HORIZON");
    assert!(run.status().last_processing_result.starts_with("PROBLEM: "), "{}", run.status().last_processing_result);
    until("the destination accepts", async || run.shard(1).position == "1").await;
    assert_eq!(failures(&world).len(), 1);
    run.stop().await;
}

/// Spec 5.3, the recorded case: batch size 3, three retries, six records, only the last fails.
#[tokio::test(start_paused = true)]
async fn progress_gives_the_rest_all_its_retries_again() {
    let world = World::new(1);
    put(&world, 1, 6);
    let invoker = reporting(&["6"]);
    let run = world.start(Mapping { maximum_retry_attempts: Some(3), ..batch_size(3) }, &invoker);
    until("the record is given up", async || run.shard(1).position == "6").await;
    run.stop().await;
    let sightings = |id: &str| invoker.batches().iter().filter(|batch| batch.iter().any(|it| it == id)).count();
    assert_eq!(["1", "4", "5", "6"].map(sightings), [1, 1, 1, 5]);
    assert_eq!(failures(&world), [failure("6", "6", 1, Condition::RetryAttemptsExhausted, 4)]);
}

#[tokio::test(start_paused = true)]
async fn bisecting_isolates_the_poison_and_uses_up_no_retry() {
    let world = World::new(1);
    put(&world, 1, 8);
    let invoker = failing_on(&["6"]);
    let bisecting = StreamSettings { bisect_batch_on_function_error: true, ..settings() };
    let run = world.start(Mapping { maximum_retry_attempts: Some(1), ..mapping(bisecting) }, &invoker);
    until("all is settled", async || run.shard(1).position == "8").await;
    assert_eq!(
        invoker.batches(),
        [ids(1..9), ids(1..5), ids(5..9), ids(5..7), ids(5..6), ids(6..7), ids(6..7), ids(7..9)]
    );
    assert_eq!(failures(&world), [failure("6", "6", 1, Condition::RetryAttemptsExhausted, 2)]);
    assert_eq!(run.status().bisects, 3);
    run.stop().await;
}

/// Spec 5.4: a mixed batch.
#[tokio::test(start_paused = true)]
async fn records_that_are_too_old_are_reported_without_an_invocation() {
    let world = World::new(1);
    world.stream.put_at(1, "old", world.at("2025-12-31T23:58:59Z"));
    put(&world, 1, 5);
    let invoker = succeeding();
    let limited = StreamSettings { maximum_record_age: Some(Duration::from_secs(60)), ..settings() };
    let run = world.start(Mapping { maximum_retry_attempts: Some(0), ..mapping(limited) }, &invoker);
    until("all is settled", async || run.shard(1).position == "6").await;
    run.stop().await;
    assert_eq!(invoker.batches(), [ids(2..7)]);
    assert_eq!(failures(&world), [failure("1", "1", 1, Condition::RecordAgeExceeded, 1)]);
    assert!(world.failures.accepted()[0].response_context.is_none());
}

/// Spec 5.3 and 5.4: retried without limit until it is too old; AWS's function that fails at once was called seven times.
#[tokio::test(start_paused = true)]
async fn age_cuts_the_pause_before_a_retry_short() {
    let world = World::new(1);
    put(&world, 1, 1);
    let limited = StreamSettings { maximum_record_age: Some(Duration::from_secs(60)), ..settings() };
    let invoker = failing_on(&["1"]);
    let start = Instant::now();
    let run = world.start(mapping(limited), &invoker);
    until("the record is given up", async || run.shard(1).position == "1").await;
    run.stop().await;
    assert!(start.elapsed() < Duration::from_secs(62), "{:?}", start.elapsed());
    let [(_, _, 1, Condition::RecordAgeExceeded, count)] = failures(&world)[..] else {
        panic!("{:?}", failures(&world))
    };
    assert_eq!(count as usize, invoker.seen().len() + 1);
    assert!((6..=10).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn throttles_and_service_errors_use_up_no_retry() {
    let world = World::new(1);
    put(&world, 1, 2);
    let throttled = ErrorKind::Throttled { retry_after: None };
    let script = [throttled, ErrorKind::Transient, throttled].map(Reply::Refuses);
    let invoker = Arc::new(FakeInvoker::scripted(script));
    let run = world.start(Mapping { maximum_retry_attempts: Some(0), ..batch_size(10) }, &invoker);
    until("it is delivered", async || run.shard(1).position == "2").await;
    run.stop().await;
    assert_eq!(failures(&world), []);
    assert_eq!(invoker.batches(), vec![ids(1..3); 4]);
}

#[tokio::test(start_paused = true)]
async fn lanes_run_side_by_side_and_keep_the_order_of_their_keys() {
    let world = World::new(1);
    for _ in 0..10 {
        (0..12).for_each(|key| {
            world.stream.put(1, &format!("key-{key}"));
        });
    }
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1)));
    let lanes = StreamSettings { parallelization_factor: 4, ..settings() };
    let run = world.start(Mapping { batch_size: 5, ..mapping(lanes) }, &invoker);
    until("all is delivered", async || run.shard(1).position == "120").await;
    run.stop().await;
    assert_eq!(invoker.most_at_once(), 4);
    let mut last = std::collections::HashMap::new();
    for record in invoker.seen().iter().flat_map(|it| it.event["Records"].as_array().unwrap().clone()) {
        let (key, number) =
            (record["key"].as_str().unwrap().to_owned(), record["messageId"].as_str().unwrap().parse::<u64>().unwrap());
        assert!(last.insert(key, number).is_none_or(|before| before < number));
    }
    let lanes_of = |batch: &pelton_testkit::Invocation| -> std::collections::BTreeSet<usize> {
        batch.event["Records"].as_array().unwrap().iter().map(|it| lane_of(it["key"].as_str().unwrap(), 4)).collect()
    };
    assert!(invoker.seen().iter().all(|batch| lanes_of(batch).len() == 1));
}

/// One lane fails for long: the others go on, and the checkpoint waits in front of it.
#[tokio::test(start_paused = true)]
async fn the_checkpoint_never_passes_an_unsettled_record() {
    let world = World::new(1);
    let key = |lane| (0..).map(|number| format!("key-{number}")).find(|key| lane_of(key, 2) == lane).unwrap();
    let (bad, good) = (key(0), key(1));
    world.stream.put(1, &good);
    world.stream.put(1, &bad);
    (0..5).for_each(|_| {
        world.stream.put(1, &good);
    });
    let lanes = StreamSettings { parallelization_factor: 2, ..settings() };
    let invoker = failing_on(&["2"]);
    let run = world.start(Mapping { batch_size: 1, maximum_retry_attempts: Some(5), ..mapping(lanes) }, &invoker);
    until("the good lane is through", async || invoker.batches().contains(&ids(7..8))).await;
    assert_eq!(run.shard(1).position, "1");
    until("the bad one is given up", async || run.shard(1).position == "7").await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_shard_never_delays_another() {
    let world = World::new(3);
    (1..=3).for_each(|shard| put(&world, shard, 5));
    world.stream.break_shard(3, true);
    let invoker = failing_on(&["3"]);
    let run = world.start(batch_size(10), &invoker);
    let start = Instant::now();
    until("the second shard is through", async || run.shard(2).position == "10").await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(run.shard(1).position, "TRIM_HORIZON");
    world.stream.break_shard(3, false);
    until("the third shard recovers", async || run.shard(3).position == "15").await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn filtered_records_move_the_checkpoint() {
    let world = World::new(1);
    (0..3).for_each(|_| {
        world.stream.put(1, "skip");
    });
    let patterns = [r#"{"key": ["take"]}"#];
    let filters = pelton_pattern::Filters::compile(&patterns, pelton_pattern::Decoding::DynamoDb).unwrap();
    let invoker = succeeding();
    let run = world.start(Mapping { filters, ..batch_size(10) }, &invoker);
    until("the checkpoint moves", async || run.shard(1).position == "3").await;
    world.stream.put(1, "take");
    world.stream.put(1, "skip");
    until("all is settled", async || run.shard(1).position == "5").await;
    assert_eq!(invoker.batches(), [ids(4..5)]);
    assert_eq!(run.status().filtered, 4);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_window_gathers_records_into_one_batch() {
    let world = World::new(1);
    let invoker = succeeding();
    let windowed = Mapping { batching_window: Duration::from_secs(10), ..batch_size(100) };
    let run = world.start(windowed, &invoker);
    run.enabled().await;
    let start = Instant::now();
    put(&world, 1, 2);
    tokio::time::sleep(Duration::from_secs(5)).await;
    put(&world, 1, 2);
    until("the batch comes", async || !invoker.seen().is_empty()).await;
    assert_eq!(invoker.batches(), [ids(1..5)]);
    assert!((10_000..10_400).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_invocation_in_flight_settle() {
    let world = World::new(1);
    put(&world, 1, 20);
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(10)));
    let run = world.start(batch_size(10), &invoker);
    until("a batch is in flight", async || !invoker.seen().is_empty()).await;
    assert_eq!(run.stop().await, Shutdown::Clean);
    let again = succeeding();
    let run = world.start(batch_size(100), &again);
    until("the rest comes", async || !again.seen().is_empty()).await;
    assert_eq!(again.batches(), [ids(11..21)]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_window_leaves_room_for_its_state() {
    let world = World::new(1);
    let large = "x".repeat(60_000);
    (0..120).for_each(|_| {
        world.stream.put(1, &large);
    });
    let state = "y".repeat(1_000_000);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(move |event| {
        assert!(event.to_string().len() <= pelton_engine::MAXIMUM_PAYLOAD_BYTES, "{} bytes", event.to_string().len());
        Reply::Returns(json!({ "state": { "gathered": state } }))
    }));
    let windows = StreamSettings { tumbling_window: Duration::from_secs(60), ..settings() };
    let run = world.start(Mapping { batch_size: 10_000, ..mapping(windows) }, &invoker);
    until("all is delivered", async || run.shard(1).position == "120").await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_invocation_of_a_window_gets_too_old_as_records_do() {
    let world = World::new(1);
    put(&world, 1, 1);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| match event["isFinalInvokeForWindow"] == true {
        true => Reply::Raises,
        false => Reply::Returns(json!({ "state": {} })),
    }));
    let windows = StreamSettings {
        tumbling_window: Duration::from_secs(10),
        maximum_record_age: Some(Duration::from_secs(60)),
        ..settings()
    };
    let run = world.start(mapping(windows), &invoker);
    until("it is given up", async || !failures(&world).is_empty()).await;
    let [(first, last, 0, Condition::RecordAgeExceeded, _)] = &failures(&world)[..] else {
        panic!("{:?}", failures(&world))
    };
    assert_eq!((first.as_str(), last.as_str()), ("1", "1"), "the last record that the window has processed");
    put(&world, 1, 1);
    until("the lane goes on", async || run.shard(1).position == "2").await;
    run.stop().await;
}

/// A lane that is far ahead of a failing one doesn't begin again behind it.
#[tokio::test(start_paused = true)]
async fn what_a_lane_has_settled_ahead_of_the_checkpoint_is_not_delivered_again_after_a_crash() {
    let world = World::new(1);
    let key = |lane| (0..).map(|number| format!("key-{number}")).find(|key| lane_of(key, 2) == lane).unwrap();
    world.stream.put(1, &key(0));
    (0..5).for_each(|_| {
        world.stream.put(1, &key(1));
    });
    let lanes = || Mapping { batch_size: 1, ..mapping(StreamSettings { parallelization_factor: 2, ..settings() }) };
    let invoker = failing_on(&["1"]);
    let run = world.start(lanes(), &invoker);
    until("the good lane is through, and the store knows it", async || {
        let rows = world.rows().await;
        let lanes = rows.first().map(|row| row.checkpoint.lanes.clone()).unwrap_or_default();
        lanes.iter().any(|lane| lane.settled.as_ref().is_some_and(|settled| settled.as_str() == "6"))
    })
    .await;
    drop(run);
    let again = succeeding();
    let run = world.start(lanes(), &again);
    until("the rest is delivered", async || run.shard(1).position == "6").await;
    assert_eq!(again.batches(), [ids(1..2)]);
    run.stop().await;
}
