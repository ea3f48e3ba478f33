//! Streams that fail: the mapping stays, says what is wrong, and recovers by itself.
use std::time::Duration;

use pelton_tests::{
    Backend, EventSource, Feed, Forwarder, Function, Kind, Pelton, Refuser, eventually, mapping, on_both_backends,
    on_both_kinds, on_every_stream, stream_mapping, texts,
};
use serde_json::{Value, json};

use super::{numbered, numbers};

async fn is_in_trouble(pelton: &Pelton, source: &impl EventSource, words: &str) {
    eventually(&format!("a problem with {words:?} shows"), || async {
        let result = pelton.result(source);
        let metrics = pelton.get("/metrics").1;
        let metric = metrics.lines().find(|line| line.starts_with("pelton_problem{") && line.contains(source.arn()));
        result.starts_with("PROBLEM: ") && result.contains(words) && metric.is_some_and(|line| line.ends_with("} 1"))
    })
    .await;
    let status = pelton.status(source);
    assert!(status["LastError"]["Message"].as_str().unwrap().contains(words));
}

async fn is_fine(pelton: &Pelton, source: &impl EventSource) {
    eventually("the mapping is fine", || async { pelton.result(source) == "OK" }).await;
}

fn through(backend: &Backend, endpoint: &str, function: &Function, mapping: Value) -> Value {
    let mut configuration = backend.configuration(&[function], vec![mapping]);
    configuration["Endpoints"] = json!({ "Kinesis": endpoint, "DynamoDBStreams": endpoint });
    configuration
}

fn endpoint(backend: &Backend, kind: Kind) -> &str {
    if kind == Kind::Kinesis { &backend.endpoint } else { &backend.dynamodb_endpoint }
}

async fn throttles_and_refusals_show_and_are_survived(backend: Backend, kind: Kind) {
    let refuser = Refuser::start(endpoint(&backend, kind)).await;
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let mapping = stream_mapping(&feed, &function, json!({}));
    let pelton = Pelton::run(through(&backend, &refuser.endpoint, &function, mapping)).await;
    feed.put_each(numbered(0..1)).await;
    pelton.has_settled(&feed, 1).await;
    let throttle = match kind {
        Kind::Kinesis => "ProvisionedThroughputExceededException",
        Kind::DynamoDb => "ThrottlingException",
    };
    for (i, code) in [throttle, "InternalFailure", "AccessDeniedException"].into_iter().enumerate() {
        refuser.refuse("GetRecords", code, 2);
        feed.put_each(numbered(i + 1..i + 2)).await;
        is_in_trouble(&pelton, &feed, code).await;
        assert_eq!(pelton.status(&feed)["State"], "Enabled");
        pelton.has_settled(&feed, i as u64 + 2).await;
        is_fine(&pelton, &feed).await;
    }
    assert_eq!(texts(&function.seen()), numbers(0..4));
}

async fn an_expired_iterator_is_replaced_and_nothing_is_lost_or_repeated(backend: Backend, kind: Kind) {
    let refuser = Refuser::start(endpoint(&backend, kind)).await;
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let mapping = stream_mapping(&feed, &function, json!({}));
    let pelton = Pelton::run(through(&backend, &refuser.endpoint, &function, mapping)).await;
    feed.put_each(numbered(0..1)).await;
    pelton.has_settled(&feed, 1).await;
    for i in 1..4 {
        refuser.refuse("GetRecords", "ExpiredIteratorException", 1);
        eventually("it has expired", || async { refuser.left("GetRecords") == 0 }).await;
        feed.put_each(numbered(i..i + 1)).await;
        pelton.has_settled(&feed, i as u64 + 1).await;
    }
    assert_eq!(texts(&function.seen()), numbers(0..4));
    assert!(pelton.status(&feed).get("LastError").is_none(), "it is nothing to worry about");
}

async fn a_mapping_with_latest_is_enabled_only_when_its_place_is_taken(backend: Backend, kind: Kind) {
    let refuser = Refuser::start(endpoint(&backend, kind)).await;
    let (feed, function) = (backend.feed(kind).await, Function::new());
    refuser.refuse("GetShardIterator", "InternalFailure", 2);
    let mapping = mapping(&feed, &function, json!({ "StartingPosition": "LATEST" }));
    let pelton = Pelton::run(through(&backend, &refuser.endpoint, &function, mapping)).await;
    pelton.is_enabled(&feed).await;
    assert_eq!(refuser.left("GetShardIterator"), 0, "not before");
    feed.put_each(numbered(0..3)).await;
    pelton.has_settled(&feed, 3).await;
    assert_eq!(texts(&function.seen()), numbers(0..3));
}

async fn an_endpoint_that_goes_away_and_comes_back(backend: Backend, kind: Kind) {
    let forwarder = Forwarder::start(endpoint(&backend, kind), false).await;
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let mapping = stream_mapping(&feed, &function, json!({}));
    let pelton = Pelton::run(through(&backend, &forwarder.endpoint, &function, mapping)).await;
    feed.put_each(numbered(0..3)).await;
    is_in_trouble(&pelton, &feed, "failed").await;
    forwarder.switch(true);
    pelton.has_settled(&feed, 3).await;
    is_fine(&pelton, &feed).await;
    forwarder.switch(false);
    feed.put_each(numbered(3..6)).await;
    is_in_trouble(&pelton, &feed, "failed").await;
    forwarder.switch(true);
    pelton.has_settled(&feed, 6).await;
    is_fine(&pelton, &feed).await;
    assert_eq!(texts(&function.seen()), numbers(0..6));
}

async fn a_stream_that_is_missing_at_the_start_and_created_later(backend: Backend) {
    let (name, function) = (Backend::name("later"), Function::new());
    let arn = Backend::arn("kinesis", &format!("stream/{name}"));
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(arn.as_str(), &function, json!({}))]).await;
    eventually("it is missed", || async { pelton.result(arn.as_str()).contains("Stream not found") }).await;
    let stream = backend.create_stream(&name, 1).await;
    stream.put("key", "0").await;
    pelton.has_settled(&stream, 1).await;
    is_fine(&pelton, &stream).await;
    assert_eq!(texts(&function.seen()), ["0"]);
}

/// Also where the mapping began with the latest record: what came before Pelton has noticed is not missed.
async fn a_stream_that_is_deleted_and_made_again_is_read_from_its_beginning(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let latest = mapping(&stream, &function, json!({ "StartingPosition": "LATEST" }));
    let pelton = Pelton::start(&backend, &function, vec![latest]).await;
    pelton.is_enabled(&stream).await;
    stream.put("key", "0").await;
    pelton.has_settled(&stream, 1).await;
    stream.delete().await;
    is_in_trouble(&pelton, &stream, "not found").await;
    // MiniStack's creation times are whole seconds, and tell one life from the next.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stream = backend.create_stream(&stream.name, 1).await;
    stream.put("key", "1").await;
    stream.put("key", "2").await;
    pelton.has_settled(&stream, 3).await;
    is_fine(&pelton, &stream).await;
    assert_eq!(texts(&function.seen()), numbers(0..3));
    // MiniStack's numbers go on, so that the old checkpoint would do too.
    assert!(pelton.log().contains("the stream was deleted and made again"));
}

/// Its records so far can still be read.
async fn a_disabled_stream_of_a_table_is_read_to_its_end(backend: Backend) {
    let feed = backend.feed(Kind::DynamoDb).await;
    let Feed::DynamoDb(table) = &feed else { unreachable!() };
    let function = Function::new();
    feed.put_each(numbered(0..3)).await;
    table.disable_stream().await;
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, json!({}))]).await;
    pelton.has_settled(&feed, 3).await;
    eventually("the shard has ended", || async { pelton.status(&feed)["Shards"][0]["Position"] == "SHARD_END" }).await;
    assert_eq!(texts(&function.seen()), numbers(0..3));
}

on_every_stream!(an_endpoint_that_goes_away_and_comes_back);
on_both_kinds!(
    throttles_and_refusals_show_and_are_survived,
    an_expired_iterator_is_replaced_and_nothing_is_lost_or_repeated,
    a_mapping_with_latest_is_enabled_only_when_its_place_is_taken,
);
on_both_backends!(
    a_stream_that_is_missing_at_the_start_and_created_later,
    a_stream_that_is_deleted_and_made_again_is_read_from_its_beginning,
    a_disabled_stream_of_a_table_is_read_to_its_end,
);
