//! Tumbling windows (spec 17) with a function that counts records in its state.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{Clock as _, SystemClock};
use pelton_tests::{
    Backend, EventSource, Feed, Function, Kind, Pelton, Seen, eventually, on_both_backends, on_ministack,
    stream_mapping, texts,
};
use serde_json::{Value, json};

use super::{keys, numbers};

/// Seconds.
const LENGTH: i64 = 4;

fn with_window(source: &(impl EventSource + ?Sized), function: &Function, more: Value) -> Value {
    let mut mapping = stream_mapping(source, function, more);
    mapping["TumblingWindowInSeconds"] = json!(LENGTH);
    mapping
}

/// Waits until a window has just begun, so that what follows lies within it on any but a very slow machine. Nothing
/// that a test asserts depends on it: windows are told by the times of the records.
async fn a_window_begins() {
    let into = |now: Timestamp| now.as_millisecond().rem_euclid(LENGTH * 1000);
    while into(SystemClock.now()) > 500 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_final(seen: &Seen) -> bool {
    seen.event["isFinalInvokeForWindow"] == true
}

fn arrival(record: &Value) -> f64 {
    let time = record["kinesis"]["approximateArrivalTimestamp"].as_f64();
    time.or_else(|| record["dynamodb"]["ApproximateCreationDateTime"].as_f64()).unwrap()
}

/// Waits until the last invocations of windows tell of so many records.
async fn are_counted(function: &Function, records: u64) -> Vec<Seen> {
    let total = |seen: &[Seen]| -> u64 {
        let finals = seen.iter().filter(|seen| is_final(seen) && seen.end.is_some());
        finals.map(|seen| seen.event["state"]["records"].as_u64().unwrap()).sum()
    };
    eventually(&format!("{records} records are counted"), || async { total(&function.seen()) >= records }).await;
    let seen = function.seen();
    assert_eq!(total(&seen), records, "each counted once");
    seen
}

/// Each window is one chain: it begins with `{}`, goes on with what was returned, and ends with one final invocation
/// without records that tells of all its records.
fn are_chains(seen: &[Seen]) {
    let mut open: Option<(String, u64)> = None;
    for it in seen {
        let window = it.event["window"]["start"].as_str().unwrap().to_owned();
        let (start, count) = open.take().unwrap_or((window.clone(), 0));
        assert_eq!(start, window, "a window ends before the next begins");
        let state = if count == 0 { json!({}) } else { json!({ "records": count }) };
        assert_eq!(it.event["state"], state, "{}", it.event);
        let (from, to): (Timestamp, Timestamp) =
            (window.parse().unwrap(), it.event["window"]["end"].as_str().unwrap().parse().unwrap());
        assert_eq!((from.as_second() % LENGTH, to.as_second() - from.as_second()), (0, LENGTH));
        for record in it.records() {
            let at = arrival(record);
            assert!(at >= from.as_second() as f64 && at < to.as_second() as f64, "{at} lies in {window}");
        }
        if is_final(it) {
            assert_eq!((it.records().len(), &it.event["isWindowTerminatedEarly"]), (0, &json!(false)));
            assert!(it.start >= to.as_second() as f64, "not before its end");
        } else {
            open = Some((window, count + it.records().len() as u64));
        }
    }
    assert_eq!(open, None, "the last one is over");
}

async fn state_goes_from_invocation_to_invocation_and_to_the_last_one(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let more = json!({ "BatchSize": 2 });
    let pelton = Pelton::start(&backend, &function, vec![with_window(&feed, &function, more)]).await;
    pelton.is_enabled(&feed).await;
    a_window_begins().await;
    feed.put("key", (0..5).map(|i| i.to_string())).await;
    eventually("a window is open", || async { pelton.status(&feed)["Shards"][0]["OpenWindows"] == 1 }).await;
    let seen = are_counted(&function, 5).await;
    are_chains(&seen);
    let expected = [
        "Records",
        "window",
        "state",
        "shardId",
        "eventSourceARN",
        "isFinalInvokeForWindow",
        "isWindowTerminatedEarly",
    ];
    for it in &seen {
        assert_eq!(keys(&it.event), expected);
        assert_eq!(it.event["eventSourceARN"], feed.arn());
        assert!(it.event["shardId"].as_str().unwrap().starts_with("shardId-"));
    }
    feed.put("key", ["next"]).await;
    are_chains(&are_counted(&function, 6).await);
    eventually("no window is open", || async { pelton.status(&feed)["Shards"][0]["OpenWindows"] == 0 }).await;
}

async fn on_kinesis(backend: Backend) {
    state_goes_from_invocation_to_invocation_and_to_the_last_one(backend, Kind::Kinesis).await;
}

async fn on_dynamodb(backend: Backend) {
    state_goes_from_invocation_to_invocation_and_to_the_last_one(backend, Kind::DynamoDb).await;
}

async fn a_window_survives_a_restart_with_its_state(backend: Backend) {
    for ends_in_order in [true, false] {
        let (stream, function) = (backend.stream(1).await, Function::new());
        let mut pelton = Pelton::start(&backend, &function, vec![with_window(&stream, &function, json!({}))]).await;
        pelton.is_enabled(&stream).await;
        a_window_begins().await;
        for i in 0..3 {
            stream.put("key", i.to_string()).await;
        }
        pelton.has_settled(&stream, 3).await;
        eventually("the checkpoint moves", || async {
            pelton.status(&stream)["Shards"][0]["Position"] != "TRIM_HORIZON"
        })
        .await;
        if ends_in_order {
            pelton.restart().await;
        } else {
            // The checkpoint is durable a moment after it shows.
            tokio::time::sleep(Duration::from_millis(200)).await;
            pelton.kill();
            pelton.start_again().await;
        }
        stream.put("key", "3").await;
        let seen = are_counted(&function, 4).await;
        are_chains(&seen);
        assert_eq!(texts(&seen), numbers(0..4), "each once");
        let windows: BTreeMap<&str, usize> = seen
            .iter()
            .filter(|it| is_final(it))
            .map(|it| (it.event["window"]["start"].as_str().unwrap(), 1))
            .collect();
        assert_eq!(windows.len(), seen.iter().filter(|it| is_final(it)).count(), "one last invocation each");
    }
}

async fn an_answer_without_state_is_a_failure_and_is_tried_again(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    stream.put("key", json!({ "do": "answer", "answer": { "done": true }, "times": 1 }).to_string()).await;
    let pelton = Pelton::start(&backend, &function, vec![with_window(&stream, &function, json!({}))]).await;
    let seen = are_counted(&function, 1).await;
    assert_eq!(seen.iter().filter(|it| !is_final(it)).count(), 2, "the same record twice");
    assert_eq!(pelton.status(&stream)["Retries"], 1);
    let error = pelton.status(&stream)["LastError"]["Message"].as_str().unwrap().to_owned();
    assert!(error.contains("must return an object with its state: there is no state"), "{error}");
}

async fn what_is_given_up_leaves_the_state_of_the_last_success(backend: Backend) {
    let (stream, function, given_up) = (backend.stream(1).await, Function::new(), backend.queue(30).await);
    a_window_begins().await;
    stream.put("key", "0").await;
    stream.put("key", json!({ "do": "fail" }).to_string()).await;
    stream.put("key", "2").await;
    let more = json!({
        "BatchSize": 1, "MaximumRetryAttempts": 0,
        "DestinationConfig": { "OnFailure": { "Destination": given_up.arn } },
    });
    let _pelton = Pelton::start(&backend, &function, vec![with_window(&stream, &function, more)]).await;
    given_up.take(1).await;
    let seen = are_counted(&function, 2).await;
    assert_eq!(seen.iter().filter(|it| !is_final(it)).count(), 3);
}

async fn a_state_above_1_megabyte_ends_its_window_early(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    stream.put("key", json!({ "do": "large state", "bytes": 1_048_600 }).to_string()).await;
    let _pelton = Pelton::start(&backend, &function, vec![with_window(&stream, &function, json!({}))]).await;
    let seen = are_counted(&function, 1).await;
    let [first, last] = &seen[..] else { panic!("{} invocations", seen.len()) };
    assert!(!is_final(first) && is_final(last));
    assert_eq!(last.event["isWindowTerminatedEarly"], true);
    assert_eq!(last.event["state"]["filler"].as_str().unwrap().len(), 1_048_600);
}

async fn lanes_have_windows_of_their_own(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new().with_concurrency(4));
    a_window_begins().await;
    stream.put_all((0..40).map(|i| (format!("key-{}", i % 20), i.to_string()))).await;
    let more = json!({ "ParallelizationFactor": 4, "BatchSize": 5 });
    let mut pelton = Pelton::start(&backend, &function, vec![with_window(&stream, &function, more)]).await;
    pelton.has_settled(&stream, 40).await;
    pelton.restart().await;
    let seen = are_counted(&function, 40).await;
    let mut all = texts(&seen);
    all.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(all, numbers(0..40), "each once");
}

/// A record that ends its stream before its window is over.
async fn the_end_of_a_shard_ends_its_window(backend: Backend) {
    let (feed, function) = (Feed::Kinesis(backend.stream(1).await), Function::new());
    let Feed::Kinesis(stream) = &feed else { unreachable!() };
    let mut mapping = stream_mapping(&feed, &function, json!({}));
    mapping["TumblingWindowInSeconds"] = json!(900);
    let shard = stream.shards().await.remove(0).shard_id;
    stream.put("key", "0").await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping]).await;
    function.is_done(1).await;
    stream.split(&shard).await;
    let seen = are_counted(&function, 1).await;
    assert_eq!((seen.len(), is_final(&seen[1])), (2, true));
}

on_both_backends!(on_kinesis, the_end_of_a_shard_ends_its_window);
// DynamoDB Local's times are whole minutes, and LocalStack and MiniStack don't differ in the rest.
mod with_precise_times {
    use super::*;
    on_ministack!(
        on_dynamodb,
        a_window_survives_a_restart_with_its_state,
        an_answer_without_state_is_a_failure_and_is_tried_again,
        what_is_given_up_leaves_the_state_of_the_last_success,
        a_state_above_1_megabyte_ends_its_window_early,
        lanes_have_windows_of_their_own,
    );
}
