//! Checkpoints: what keeps them, and what doesn't.
use pelton_tests::{
    Backend, EventSource as _, Function, Kind, Pelton, eventually, mapping, on_both_kinds, on_every_stream,
    stream_mapping, texts,
};
use serde_json::json;

use super::{numbered, numbers};

async fn a_restart_goes_on_where_it_was(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..5)).await;
    let mut pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, json!({}))]).await;
    pelton.has_settled(&feed, 5).await;
    pelton.stop().await;
    feed.put_each(numbered(5..10)).await;
    pelton.start_again().await;
    pelton.has_settled(&feed, 5).await;
    assert_eq!(texts(&function.seen()), numbers(0..10), "each once, also what came meanwhile");
    assert_eq!(pelton.status(&feed)["Polled"], 5);
}

async fn with_latest_a_restart_misses_nothing_that_came_meanwhile(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    // LocalStack's LATEST gives a stream's only record.
    feed.put_each(["before", "before"]).await;
    let latest = json!({ "StartingPosition": "LATEST" });
    let mut pelton = Pelton::start(&backend, &function, vec![mapping(&feed, &function, latest)]).await;
    pelton.is_enabled(&feed).await;
    // DynamoDB Local's times are whole minutes: what came in the same minute as LATEST was taken could come again,
    // unless a record was read since.
    feed.put_each(numbered(0..1)).await;
    pelton.has_settled(&feed, 1).await;
    pelton.stop().await;
    feed.put_each(numbered(1..5)).await;
    pelton.start_again().await;
    pelton.has_settled(&feed, 4).await;
    assert_eq!(texts(&function.seen()), numbers(0..5));
}

async fn kill_9_repeats_only_the_batch_in_flight(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let slow = json!({ "do": "sleep", "seconds": 1, "times": 1 }).to_string();
    feed.put_each(numbered(0..4).chain([slow.clone()])).await;
    let more = json!({ "BatchSize": 2 });
    let mut pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    function.is_invoked(3).await;
    let number = function.seen()[1].sequence_numbers()[1].to_owned();
    eventually("the checkpoint is behind the second batch", || async {
        pelton.status(&feed)["Shards"][0]["Position"] == number.as_str()
    })
    .await;
    // It is durable a moment after it shows.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    pelton.kill();
    pelton.start_again().await;
    pelton.has_settled(&feed, 1).await;
    let mut expected = numbers(0..4);
    expected.extend([slow.clone(), slow]);
    assert_eq!(texts(&function.seen()), expected);
}

async fn disabling_and_enabling_by_reload_keeps_the_checkpoint(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let with = |enabled: bool| {
        backend.configuration(&[&function], vec![stream_mapping(&feed, &function, json!({ "Enabled": enabled }))])
    };
    feed.put_each(numbered(0..3)).await;
    let pelton = Pelton::run(with(true)).await;
    pelton.has_settled(&feed, 3).await;
    pelton.replace_configuration(with(false));
    pelton.has_reloaded(1).await;
    assert_eq!(pelton.status(&feed)["State"], "Disabled");
    feed.put_each(numbered(3..6)).await;
    pelton.replace_configuration(with(true));
    pelton.has_reloaded(2).await;
    pelton.has_settled(&feed, 6).await;
    assert_eq!(texts(&function.seen()), numbers(0..6));
}

async fn an_update_by_reload_keeps_the_checkpoint(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let with = |lanes: u32| {
        let more = json!({ "ParallelizationFactor": lanes, "BatchSize": 3 * lanes });
        backend.configuration(&[&function], vec![stream_mapping(&feed, &function, more)])
    };
    feed.put_each(numbered(0..3)).await;
    let pelton = Pelton::run(with(1)).await;
    pelton.has_settled(&feed, 3).await;
    pelton.replace_configuration(with(2));
    pelton.has_reloaded(1).await;
    feed.put("key", numbered(3..6)).await;
    pelton.has_settled(&feed, 6).await;
    assert_eq!(texts(&function.seen()), numbers(0..6));
}

async fn removing_the_mapping_by_reload_deletes_its_checkpoint(backend: Backend, kind: Kind) {
    let (feed, other, function) = (backend.feed(kind).await, backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..3)).await;
    let stays = stream_mapping(&other, &function, json!({}));
    let both = backend.configuration(&[&function], vec![stays.clone(), stream_mapping(&feed, &function, json!({}))]);
    let pelton = Pelton::run(both.clone()).await;
    pelton.has_settled(&feed, 3).await;
    pelton.replace_configuration(backend.configuration(&[&function], vec![stays]));
    pelton.has_reloaded(1).await;
    assert!(!pelton.get("/status").1.contains(feed.arn()), "it is gone");
    pelton.replace_configuration(both);
    pelton.has_reloaded(2).await;
    pelton.has_settled(&feed, 3).await;
    let mut twice = numbers(0..3);
    twice.extend(numbers(0..3));
    assert_eq!(texts(&function.seen()), twice, "added again, it begins at its StartingPosition");
}

async fn a_stop_lets_the_batch_in_flight_end_and_keeps_it_settled(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each([json!({ "do": "sleep", "seconds": 1 }).to_string(), "next".to_owned()]).await;
    let more = json!({ "BatchSize": 1 });
    let mut pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    function.is_invoked(1).await;
    pelton.stop().await;
    assert!(function.seen()[0].end.is_some() && function.seen().len() == 1, "it ended, and no other began");
    pelton.start_again().await;
    pelton.has_settled(&feed, 1).await;
    assert_eq!(function.seen().len(), 2);
    assert_eq!(function.seen()[1].texts(), ["next"]);
}

on_every_stream!(a_restart_goes_on_where_it_was, with_latest_a_restart_misses_nothing_that_came_meanwhile);
on_both_kinds!(
    kill_9_repeats_only_the_batch_in_flight,
    disabling_and_enabling_by_reload_keeps_the_checkpoint,
    an_update_by_reload_keeps_the_checkpoint,
    removing_the_mapping_by_reload_deletes_its_checkpoint,
    a_stop_lets_the_batch_in_flight_end_and_keeps_it_settled,
);
