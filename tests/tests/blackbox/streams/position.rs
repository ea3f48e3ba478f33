//! Where a mapping begins to read (spec 5.1, 2.2).
use aws_sdk_kinesis::types::ShardIteratorType;
use pelton_tests::{
    Backend, Function, Kind, Pelton, Stream, mapping, on_every_stream, on_ministack, stream_mapping, texts,
};
use serde_json::json;

use super::{numbered, numbers};

async fn trim_horizon_gives_what_was_there_before_and_what_comes_later(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..20)).await;
    let more = json!({ "BatchSize": 10 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 20).await;
    feed.put_each(numbered(20..30)).await;
    pelton.has_settled(&feed, 30).await;
    let seen = function.seen();
    assert_eq!(texts(&seen), numbers(0..30), "each once, in order");
    assert!(seen[..2].iter().all(|seen| seen.records().len() == 10), "two batches of what waited");
}

async fn latest_gives_nothing_from_before_and_misses_nothing_after_enabled(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..5)).await;
    let latest = json!({ "StartingPosition": "LATEST" });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&feed, &function, latest)]).await;
    pelton.is_enabled(&feed).await;
    feed.put_each(numbered(5..10)).await;
    pelton.has_settled(&feed, 5).await;
    assert_eq!(texts(&function.seen()), numbers(5..10));
}

/// When the record of a new stream arrived that stands at this place, in seconds since 1970.
async fn arrival(stream: &Stream, place: usize) -> f64 {
    let shard = stream.shards().await.remove(0).shard_id;
    let iterator = stream.client.get_shard_iterator().stream_name(&stream.name).shard_id(shard);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let page = stream.client.get_records().set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
    page.records[place].approximate_arrival_timestamp.unwrap().as_secs_f64()
}

async fn at_timestamp_begins_with_the_first_record_that_arrived_then(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    for number in numbered(0..3) {
        stream.put("before", number).await;
    }
    // Arrival times have milliseconds: the next record's is another one.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    stream.put("then", "3").await;
    let at = json!({ "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": arrival(&stream, 3).await });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&stream, &function, at)]).await;
    pelton.has_settled(&stream, 1).await;
    stream.put("later", "4").await;
    pelton.has_settled(&stream, 2).await;
    assert_eq!(texts(&function.seen()), numbers(3..5));
}

on_every_stream!(
    trim_horizon_gives_what_was_there_before_and_what_comes_later,
    latest_gives_nothing_from_before_and_misses_nothing_after_enabled,
);
// LocalStack gives earlier records too.
mod with_precise_times {
    use super::*;
    on_ministack!(at_timestamp_begins_with_the_first_record_that_arrived_then);
}
