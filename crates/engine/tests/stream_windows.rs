//! Tumbling windows in paused time: what the function is told, which state it is given, and when a window ends.
#![allow(clippy::unwrap_used, reason = "test support")]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::stream::World;
use common::until;
use common::windows::*;
use pelton_core::{Condition, Mapping, Subject};
use pelton_testkit::{FakeInvoker, Reply};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn state_is_passed_on_from_batch_to_batch_and_ends_with_its_window() {
    let world = World::new(1);
    put(&world, 4);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| match is_final(event) {
        // What the last invocation returns must not matter.
        true => Reply::Returns(json!({ "state": { "ids": ["unused"] } })),
        false => gather(event),
    }));
    let begun = tokio::time::Instant::now();
    let run = world.start(windowed(2), &invoker);
    seen(&invoker, 3).await;
    let ended = begun.elapsed().as_secs_f64();
    assert!((10.0..13.0).contains(&ended), "the window of 10 s ended after {ended} s");
    put(&world, 1);
    seen(&invoker, 5).await;
    seconds(60).await;
    assert_eq!(
        views(&invoker),
        ["00 [1,2] <- {}", "00 [3,4] <- {1,2}", "00 [] <- {1,2,3,4} final", "10 [5] <- {}", "10 [] <- {5} final"]
    );
    let event = &invoker.seen()[0].event;
    assert_eq!(event["window"], json!({ "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:10Z" }));
    assert_eq!(event["shardId"], json!("shard-1"));
    assert_eq!(event["eventSourceARN"], json!("arn:aws:kinesis:us-east-1:000000000000:stream/orders"));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_never_spans_two_windows_and_a_record_of_a_later_one_ends_the_open_one() {
    let world = World::new(1);
    put_at(&world, [8, 9, 10, 11, 19, 40]);
    let invoker = gathering();
    let run = world.start(windowed(100), &invoker);
    position(&run, 6).await;
    seconds(60).await;
    assert_eq!(
        views(&invoker),
        [
            "00 [1,2] <- {}",
            "00 [] <- {1,2} final",
            "10 [3,4,5] <- {}",
            "10 [] <- {3,4,5} final",
            "40 [6] <- {}",
            "40 [] <- {6} final"
        ],
        "and no invocation for the windows in which nothing arrived"
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_filtered_opens_no_window() {
    let world = World::new(1);
    let patterns = [r#"{"key": ["take"]}"#];
    let filters = pelton_pattern::Filters::compile(&patterns, pelton_pattern::Decoding::DynamoDb).unwrap();
    put(&world, 3);
    let invoker = gathering();
    let run = world.start(Mapping { filters, ..windowed(10) }, &invoker);
    position(&run, 3).await;
    seconds(60).await;
    assert_eq!(views(&invoker), [""; 0]);
    run.stop().await;
}

/// Spec 17: a response without state is a failed invocation, and the state stays that of the last successful one.
#[tokio::test(start_paused = true)]
async fn an_answer_without_state_fails_the_batch_and_leaves_the_state_as_it_was() {
    let world = World::new(1);
    put(&world, 3);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| match records_of(event).contains(&"2".into()) {
        true => Reply::Returns(json!({ "ids": ["2"] })),
        false => gather(event),
    }));
    let run = world.start(Mapping { maximum_retry_attempts: Some(1), ..windowed(1) }, &invoker);
    seen(&invoker, 5).await;
    assert_eq!(
        views(&invoker),
        ["00 [1] <- {}", "00 [2] <- {1}", "00 [2] <- {1}", "00 [3] <- {1}", "00 [] <- {1,3} final"]
    );
    let [record] = &world.failures.accepted()[..] else { panic!("one record") };
    let context = &record.request_context;
    assert_eq!((context.condition, context.approximate_invoke_count), (Condition::RetryAttemptsExhausted, 2));
    assert!(run.status().last_error.unwrap().message.contains("must return an object with its state"));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_partial_failure_keeps_the_state_it_returned() {
    let world = World::new(1);
    put(&world, 4);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| {
        let ids = records_of(event);
        match ids.len() {
            4 => Reply::Returns(
                json!({ "state": gathered(event, &ids[..2]), "batchItemFailures": [{ "itemIdentifier": "3" }] }),
            ),
            _ => gather(event),
        }
    }));
    let run = world.start(windowed(10), &invoker);
    seen(&invoker, 3).await;
    assert_eq!(views(&invoker), ["00 [1,2,3,4] <- {}", "00 [3,4] <- {1,2}", "00 [] <- {1,2,3,4} final"]);
    run.stop().await;
}

/// A batch that fails partially without progress has processed nothing, so its state counts for nothing.
#[tokio::test(start_paused = true)]
async fn the_state_of_a_batch_without_progress_is_not_kept() {
    let world = World::new(1);
    put(&world, 2);
    let failing = json!({ "state": { "ids": ["1"] }, "batchItemFailures": [{ "itemIdentifier": "1" }] });
    let invoker = Arc::new(FakeInvoker::deciding_on_event(move |event| match is_final(event) {
        true => gather(event),
        false => Reply::Returns(failing.clone()),
    }));
    let run = world.start(Mapping { maximum_retry_attempts: Some(1), ..windowed(10) }, &invoker);
    seen(&invoker, 3).await;
    assert_eq!(views(&invoker), ["00 [1,2] <- {}", "00 [1,2] <- {}", "00 [] <- {} final"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_state_above_1_mb_ends_its_window_early_and_the_rest_of_it_begins_anew() {
    let world = World::new(1);
    put(&world, 3);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| match records_of(event).contains(&"1".into()) {
        true => Reply::Returns(json!({ "state": large(event, &records_of(event)) })),
        false => gather(event),
    }));
    let run = world.start(windowed(2), &invoker);
    seen(&invoker, 4).await;
    assert_eq!(views(&invoker), ["00 [1,2] <- {}", "00 [] <- {1,2} early", "00 [3] <- {}", "00 [] <- {3} final"]);
    assert!(invoker.seen()[1].event["state"]["filling"].as_str().unwrap().len() > 1_000_000);
    put(&world, 1);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_window_that_ended_early_and_got_no_more_records_is_not_ended_again() {
    let world = World::new(1);
    put(&world, 1);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| match is_final(event) {
        true => Reply::Returns(json!({ "state": {} })),
        false => Reply::Returns(json!({ "state": large(event, &records_of(event)) })),
    }));
    let run = world.start(windowed(2), &invoker);
    seen(&invoker, 2).await;
    seconds(60).await;
    assert_eq!(views(&invoker), ["00 [1] <- {}", "00 [] <- {1} early"]);
    run.stop().await;
}

/// Regression: the rest of a batch was sent without window and state.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_batch_that_ended_its_window_early_is_still_of_that_window() {
    let world = World::new(1);
    put(&world, 4);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(|event| {
        let ids = records_of(event);
        match ids.len() {
            4 => Reply::Returns(
                json!({ "state": large(event, &ids[..2]), "batchItemFailures": [{ "itemIdentifier": "3" }] }),
            ),
            _ => gather(event),
        }
    }));
    let run = world.start(windowed(10), &invoker);
    seen(&invoker, 4).await;
    assert_eq!(
        views(&invoker),
        ["00 [1,2,3,4] <- {}", "00 [] <- {1,2} early", "00 [3,4] <- {}", "00 [] <- {3,4} final"]
    );
    run.stop().await;
}

/// Regression: after a crash in between, the window went on with a state above the limit.
#[tokio::test(start_paused = true)]
async fn each_lane_has_a_state_of_its_own() {
    let world = World::new(1);
    let keys = keys(2);
    [0, 1, 0, 1, 0].into_iter().for_each(|lane: usize| {
        world.stream.put(1, &keys[lane]);
    });
    let invoker = gathering();
    let run = world.start(lanes(2), &invoker);
    seen(&invoker, 7).await;
    let mut finals: Vec<String> = views(&invoker).split_off(5);
    finals.sort();
    assert_eq!(finals, ["00 [] <- {1,3,5} final", "00 [] <- {2,4} final"]);
    run.stop().await;
}

/// One lane is far ahead of the checkpoint when the process dies: its state must hold each of its records once.
/// Regression too: the ends of the windows ran beside the lanes, so that there were more invocations at once than
/// ParallelizationFactor allows.
/// Regression: a window whose first batch had not succeeded before the restart was ended too.
/// The process dies before the left-over windows could be ended: the next one ends them.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_shard_ends_its_windows_before_its_children_are_read() {
    let world = World::new(1);
    put(&world, 2);
    world.stream.reshard(&[1], &[2]);
    world.stream.put(2, "key");
    let invoker = gathering();
    let begun = tokio::time::Instant::now();
    let run = world.start(windowed(1), &invoker);
    seen(&invoker, 4).await;
    assert!(begun.elapsed() < Duration::from_secs(9), "nobody waits for the window: {:?}", begun.elapsed());
    assert_eq!(
        views(&invoker),
        ["00 [1] <- {}", "00 [2] <- {1}", "00 [] <- {1,2} final", "00 [3] <- {}"],
        "and the child begins without state"
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batching_window_works_within_a_tumbling_one_and_ends_with_it() {
    for (batching, expected) in
        [(3, ["00 [1,2] <- {}", "00 [3] <- {1,2}"]), (30, ["00 [1,2,3] <- {}", "00 [] <- {1,2,3} final"])]
    {
        let world = World::new(1);
        let invoker = gathering();
        let mapping = Mapping { batching_window: Duration::from_secs(batching), ..windowed(100) };
        let run = world.start(mapping, &invoker);
        run.enabled().await;
        put(&world, 1);
        seconds(2).await;
        put(&world, 1);
        seconds(4).await;
        put(&world, 1);
        seen(&invoker, 2).await;
        assert_eq!(views(&invoker), expected, "batching window of {batching} s");
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_comes_late_belongs_to_the_window_that_is_open() {
    let world = World::new(1);
    put_at(&world, [12]);
    let invoker = gathering();
    let run = world.start(windowed(10), &invoker);
    put_at(&world, [9, 13, 21]);
    seen(&invoker, 5).await;
    position(&run, 4).await;
    seconds(60).await;
    assert_eq!(
        views(&invoker),
        ["10 [1] <- {}", "10 [2,3] <- {1}", "10 [] <- {1,2,3} final", "20 [4] <- {}", "20 [] <- {4} final"]
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_window_is_retried_and_given_up_as_a_batch_is() {
    let world = World::new(1);
    put_at(&world, [1, 11]);
    let invoker =
        Arc::new(FakeInvoker::deciding_on_event(|event| match is_final(event) && ids_of(&event["state"]) == ["1"] {
            true => Reply::Raises,
            false => gather(event),
        }));
    let run = world.start(Mapping { maximum_retry_attempts: Some(1), ..windowed(10) }, &invoker);
    seen(&invoker, 5).await;
    assert_eq!(
        views(&invoker),
        ["00 [1] <- {}", "00 [] <- {1} final", "00 [] <- {1} final", "10 [2] <- {}", "10 [] <- {2} final"]
    );
    let [record] = &world.failures.accepted()[..] else { panic!("one record") };
    let Subject::Batch { info, event } = &record.subject else { panic!("not a batch") };
    assert_eq!((info.size, info.start.as_str(), info.end.as_str()), (0, "1", "1"));
    assert_eq!(ids_of(&serde_json::from_slice::<Value>(event).unwrap()["state"]), ["1"], "the state isn't lost");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_open_window_is_shown() {
    let world = World::new(1);
    put(&world, 1);
    let run = world.start(windowed(10), &gathering());
    position(&run, 1).await;
    assert_eq!(run.shard(1).open_windows, 1);
    until("it is closed", async || run.shard(1).open_windows == 0).await;
    run.stop().await;
}
