//! Enhanced fan-out: records are pushed to a consumer of the stream.
use pelton_tests::{
    Backend, Function, Pelton, Stream, eventually, mapping, on_both_backends, on_ministack, stream_mapping, texts,
};
use serde_json::json;

async fn put(stream: &Stream, numbers: std::ops::Range<usize>) {
    stream.put_all(numbers.map(|i| (format!("key-{i}"), i.to_string()))).await;
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|i| i.to_string()).collect()
}

async fn a_consumer_gets_what_was_there_and_what_comes(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    put(&stream, 0..5).await;
    let consumer = stream.consumer().await;
    let more = json!({ "BatchSize": 2 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(consumer.as_str(), &function, more)]).await;
    pelton.has_settled(consumer.as_str(), 5).await;
    put(&stream, 5..10).await;
    pelton.has_settled(consumer.as_str(), 10).await;
    let seen = function.seen();
    assert_eq!(texts(&seen), numbers(0..10));
    assert_eq!(seen[0].records()[0]["eventSource"], "aws:kinesis");
}

async fn a_consumer_with_latest_misses_nothing_after_enabled(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    put(&stream, 0..5).await;
    let consumer = stream.consumer().await;
    let latest = json!({ "StartingPosition": "LATEST" });
    let pelton = Pelton::start(&backend, &function, vec![mapping(consumer.as_str(), &function, latest)]).await;
    pelton.is_enabled(consumer.as_str()).await;
    put(&stream, 5..8).await;
    pelton.has_settled(consumer.as_str(), 3).await;
    assert_eq!(texts(&function.seen()), numbers(5..8));
}

async fn a_restart_goes_on_behind_the_checkpoint(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let consumer = stream.consumer().await;
    put(&stream, 0..5).await;
    let mapping = stream_mapping(consumer.as_str(), &function, json!({}));
    let mut pelton = Pelton::start(&backend, &function, vec![mapping]).await;
    pelton.has_settled(consumer.as_str(), 5).await;
    pelton.stop().await;
    put(&stream, 5..8).await;
    pelton.start_again().await;
    pelton.has_settled(consumer.as_str(), 3).await;
    assert_eq!(texts(&function.seen()), numbers(0..8));
}

async fn a_split_is_followed(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let consumer = stream.consumer().await;
    let mapping = stream_mapping(consumer.as_str(), &function, json!({}));
    let pelton = Pelton::start(&backend, &function, vec![mapping]).await;
    put(&stream, 0..3).await;
    pelton.has_settled(consumer.as_str(), 3).await;
    let parent = stream.shards().await.remove(0).shard_id;
    stream.split(&parent).await;
    put(&stream, 3..13).await;
    eventually("the children are read", || async { texts(&function.seen()).len() >= 13 }).await;
    let mut all = texts(&function.seen());
    assert_eq!(all[..3], numbers(0..3));
    all.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(all, numbers(0..13), "each once");
}

async fn a_consumer_that_is_missing_shows(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let missing = format!("{}/consumer/missing:1700000000", stream.arn);
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(missing.as_str(), &function, json!({}))]).await;
    eventually("it is missed", || async {
        pelton.result(missing.as_str()).contains("Register it with RegisterStreamConsumer")
    })
    .await;
}

on_both_backends!(a_consumer_that_is_missing_shows);
// LocalStack's subscriptions begin after 3 s or, on a busy machine, not at all, and break at a shard's end.
mod pushed {
    use super::*;
    on_ministack!(
        a_consumer_gets_what_was_there_and_what_comes,
        a_consumer_with_latest_misses_nothing_after_enabled,
        a_restart_goes_on_behind_the_checkpoint,
        a_split_is_followed,
    );
}
