//! Order within a shard, and lanes side by side (spec 5.2, 17).
use std::collections::BTreeMap;

use pelton_tests::{
    Backend, Function, Kind, Pelton, Seen, Stream, eventually, largest_overlap, on_both_backends, on_both_kinds,
    on_every_stream, stream_mapping, texts,
};
use serde_json::{Value, json};

use super::numbers;

fn slow(number: usize) -> String {
    json!({ "n": number, "do": "sleep", "seconds": 0.1 }).to_string()
}

async fn one_batch_of_a_shard_runs_at_a_time(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new().with_concurrency(3));
    feed.put_each((0..6).map(slow)).await;
    let more = json!({ "BatchSize": 1 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 6).await;
    let seen = function.seen();
    assert_eq!(largest_overlap(&seen), 1);
    assert_eq!(texts(&seen), (0..6).map(slow).collect::<Vec<_>>());
}

/// What a record says: its key and its number in it.
fn orders(seen: &[Seen]) -> BTreeMap<String, Vec<u64>> {
    let mut orders: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for text in texts(seen) {
        let text: Value = serde_json::from_str(&text).unwrap();
        orders.entry(text["key"].as_str().unwrap().to_owned()).or_default().push(text["n"].as_u64().unwrap());
    }
    orders
}

async fn lanes_run_side_by_side_and_keep_the_order_of_each_key(backend: Backend, kind: Kind) {
    lanes(&backend, kind, 4).await;
}

async fn ten_lanes_run_side_by_side_and_keep_the_order_of_each_key(backend: Backend, kind: Kind) {
    lanes(&backend, kind, 10).await;
}

async fn lanes(backend: &Backend, kind: Kind, lanes: u32) {
    let (feed, function) = (backend.feed(kind).await, Function::new().with_concurrency(lanes + 2));
    let (keys, each) = (16, 5);
    let record = |i: u64| {
        let key = format!("key-{}", i % keys);
        let body = json!({ "key": key, "n": i / keys, "do": "sleep", "seconds": 0.02 });
        (key, body.to_string())
    };
    feed.put_all((0..keys * each).map(record)).await;
    let more = json!({ "ParallelizationFactor": lanes, "BatchSize": 5 });
    let pelton = Pelton::start(backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, keys * each).await;
    let seen = function.seen();
    for (key, order) in orders(&seen) {
        assert_eq!(order, (0..each).collect::<Vec<_>>(), "{key}");
    }
    assert_eq!(texts(&seen).len() as u64, keys * each, "each once");
    let overlap = largest_overlap(&seen);
    assert!(overlap > 1 && overlap <= lanes as usize, "{overlap} at once");
}

async fn a_failing_lane_does_not_delay_the_others_and_its_keys_wait(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new().with_concurrency(4));
    let record = |key: &str, n: u64, todo: Value| {
        let mut body = json!({ "key": key, "n": n });
        body.as_object_mut().unwrap().extend(todo.as_object().unwrap().clone());
        (key.to_owned(), body.to_string())
    };
    let fails = json!({ "do": "fail", "times": 3 });
    let mut records = vec![record("bad", 0, fails), record("bad", 1, json!({}))];
    records.extend((0..24).map(|i| record(&format!("good-{i}"), i, json!({}))));
    feed.put_all(records).await;
    let more = json!({ "ParallelizationFactor": 4, "BatchSize": 1 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 26).await;
    let seen = function.seen();
    assert_eq!(orders(&seen)["bad"], [0, 0, 0, 0, 1]);
    let times: BTreeMap<String, f64> = seen.iter().map(|it| (it.texts()[0].clone(), it.end.unwrap())).collect();
    let last_failure = seen.iter().filter(|it| it.texts()[0].contains("times")).nth(2).unwrap().start;
    let ahead = times.iter().filter(|(text, end)| text.contains("good") && **end < last_failure).count();
    // A quarter of the keys shares the lane of the bad one, more or less.
    assert!(ahead >= 10, "{ahead} of 24 were processed while a lane failed");
}

async fn a_failing_shard_does_not_delay_another(backend: Backend) {
    let (stream, function) = (backend.stream(2).await, Function::new().with_concurrency(2));
    let [first, second] = stream.shards().await.try_into().unwrap();
    stream.put_to_shard(&first.shard_id, "key", json!({ "do": "fail" }).to_string()).await;
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, json!({}))]).await;
    eventually("it fails", || async { pelton.result(&stream).starts_with("PROBLEM: Function call failed") }).await;
    for number in 0..5 {
        let before = function.seen().iter().filter(|seen| seen.shard() == second.shard_id).count();
        stream.put_to_shard(&second.shard_id, "key", number.to_string()).await;
        eventually("the other shard goes on", || async {
            function.seen().iter().filter(|seen| seen.shard() == second.shard_id && seen.end.is_some()).count() > before
        })
        .await;
    }
    let seen = function.seen();
    let of = |shard: &str| seen.iter().filter(|seen| seen.shard() == shard).cloned().collect::<Vec<_>>();
    assert_eq!(texts(&of(&second.shard_id)), numbers(0..5));
    let attempts = of(&first.shard_id).len();
    eventually("the first shard still tries", || async {
        function.seen().iter().filter(|seen| seen.shard() == first.shard_id).count() > attempts
    })
    .await;
}

async fn two_mappings_on_one_stream_each_get_every_record(backend: Backend, kind: Kind) {
    let (feed, one, two) = (backend.feed(kind).await, Function::named("one"), Function::named("two"));
    feed.put_each((0..10).map(|i| i.to_string())).await;
    let mappings = vec![stream_mapping(&feed, &one, json!({})), stream_mapping(&feed, &two, json!({}))];
    let _pelton = Pelton::run(backend.configuration(&[&one, &two], mappings)).await;
    for function in [&one, &two] {
        eventually("all are seen", || async { texts(&function.seen()).len() >= 10 }).await;
        assert_eq!(texts(&function.seen()), numbers(0..10));
    }
}

async fn many_shards_are_read_at_the_same_time(backend: Backend) {
    let (stream, function): (Stream, _) = (backend.stream(4).await, Function::new().with_concurrency(4));
    for shard in stream.shards().await {
        stream.put_to_shard(&shard.shard_id, "key", json!({ "do": "sleep", "seconds": 1 }).to_string()).await;
    }
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, json!({}))]).await;
    pelton.has_settled(&stream, 4).await;
    assert!(largest_overlap(&function.seen()) >= 3, "{:?}", function.seen());
}

on_every_stream!(one_batch_of_a_shard_runs_at_a_time, lanes_run_side_by_side_and_keep_the_order_of_each_key);
mod common {
    use super::*;
    on_both_kinds!(
        ten_lanes_run_side_by_side_and_keep_the_order_of_each_key,
        a_failing_lane_does_not_delay_the_others_and_its_keys_wait,
        two_mappings_on_one_stream_each_get_every_record,
    );
}
mod of_kinesis {
    use super::*;
    on_both_backends!(a_failing_shard_does_not_delay_another, many_shards_are_read_at_the_same_time);
}
