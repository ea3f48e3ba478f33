//! Shards that are polled.
use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pelton_core::{Cursor, ErrorKind, PartitionId, Position, Source as _};
use pelton_testkit::eventually;
use pelton_testkit::stream_suite::{StreamUnderTest as _, stream_suite};

use crate::support::{Backend, ClosedShards, LIMIT, keys, on, poll, read, shard};

on!(localstack:
    a_stream_passes_the_stream_suite,
    a_split_and_a_merge_name_their_parents,
    a_record_arrives_byte_for_byte,
    thousands_of_records_arrive_in_order,
    a_missing_stream_is_told_in_awss_words,
    a_stream_deleted_while_it_is_read_is_missing_and_a_new_one_is_another,
    a_shard_that_is_not_in_its_stream_has_ended,
    a_sequence_number_of_no_record_leads_to_the_horizon,
);
on!(ministack:
    a_stream_passes_the_stream_suite,
    a_split_and_a_merge_name_their_parents,
    a_record_arrives_byte_for_byte,
    thousands_of_records_arrive_in_order,
    a_missing_stream_is_told_in_awss_words,
    a_stream_deleted_while_it_is_read_is_missing_and_a_new_one_is_another,
    a_shard_that_is_not_in_its_stream_has_ended,
    shards_beyond_one_page_are_listed,
);

async fn a_stream_passes_the_stream_suite(backend: &Backend) {
    let stream = backend.stream(1).await;
    stream_suite(&stream.source(), &stream).await;
    stream.delete().await;
}

async fn a_split_and_a_merge_name_their_parents(backend: &Backend) {
    let stream = backend.stream(1).await;
    stream.split(&shard(0).0, 1 << 127).await;
    stream.merge(&shard(1).0, &shard(2).0).await;
    let listing = stream.source().partitions().await.unwrap();
    assert_eq!(listing.retention, Some(Duration::from_secs(24 * 3_600)));
    let merged = listing.partitions.iter().find(|partition| partition.id == shard(3)).unwrap();
    assert!(!merged.closed);
    assert_eq!(merged.parents.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&shard(1), &shard(2)]));
    let others: Vec<_> = listing.partitions.iter().filter(|partition| partition.id != shard(3)).collect();
    assert!(others.iter().all(|partition| partition.closed), "{others:?}");
    assert_eq!(others.len(), if backend.closed_shards == ClosedShards::Kept { 3 } else { 0 });
    stream.delete().await;
}

async fn a_record_arrives_byte_for_byte(backend: &Backend) {
    let stream = backend.stream(1).await;
    let data: Vec<u8> = (0..=255).collect();
    let number = stream.put_data("clé \"1\"", &data).await;
    let records = read(&stream.source(), &shard(0), &mut Cursor::default(), 1).await;
    let event: serde_json::Value = serde_json::from_slice(&records[0].event).unwrap();
    assert_eq!(event["kinesis"]["partitionKey"], "clé \"1\"");
    assert_eq!(event["kinesis"]["sequenceNumber"], number.as_str());
    assert_eq!(STANDARD.decode(event["kinesis"]["data"].as_str().unwrap()).unwrap(), data);
    assert_eq!(event["eventID"], format!("shardId-000000000000:{number}"));
    assert_eq!(event["eventSourceARN"], stream.arn.to_string());
    let arrived_at = records[0].arrived_at.unwrap().as_millisecond();
    assert_eq!(event["kinesis"]["approximateArrivalTimestamp"].as_f64().unwrap(), arrived_at as f64 / 1_000.0);
    stream.delete().await;
}

async fn thousands_of_records_arrive_in_order(backend: &Backend) {
    let stream = backend.stream(1).await;
    for start in (0..2_000).step_by(500) {
        stream.put_many(start..start + 500).await;
    }
    let source = stream.source();
    let mut cursor = Cursor::default();
    let first = source.poll(&shard(0), &mut cursor, 700, Duration::ZERO).await.unwrap();
    assert_eq!((first.records.len(), first.more), (700, true));
    let mut records = first.records;
    records.extend(read(&source, &shard(0), &mut cursor, 1_300).await);
    let expected: Vec<String> = (0..2_000).map(|number| format!("key{number}")).collect();
    assert_eq!(keys(&records), expected);
    eventually("a reader that is at the end isn't behind", LIMIT, || async {
        let mut cursor = cursor.clone();
        let polled = poll(&source, &shard(0), &mut cursor).await;
        !polled.more && polled.behind == Some(Duration::ZERO)
    })
    .await;
    stream.delete().await;
}

async fn a_missing_stream_is_told_in_awss_words(backend: &Backend) {
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/nowhere".parse().unwrap();
    let source = backend.source(&arn);
    for error in [
        source.partitions().await.unwrap_err(),
        source.poll(&shard(0), &mut Cursor::default(), 1, Duration::ZERO).await.unwrap_err(),
    ] {
        assert_eq!(error.message, format!("Stream not found: {arn}"));
        assert_eq!(error.kind, ErrorKind::Missing);
    }
}

async fn a_stream_deleted_while_it_is_read_is_missing_and_a_new_one_is_another(backend: &Backend) {
    let stream = backend.stream(1).await;
    let source = stream.source();
    stream.put("old").await;
    let mut cursor = Cursor::default();
    read(&source, &shard(0), &mut cursor, 1).await;
    let before = source.partitions().await.unwrap();
    stream.delete().await;
    let error = source.poll(&shard(0), &mut cursor, 10, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing, "{error}");
    // MiniStack keeps creation times in whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let again = backend.stream_called(&stream.name, 1).await;
    let after = source.partitions().await.unwrap();
    assert_ne!(after.incarnation, before.incarnation);
    again.put("new").await;
    assert_eq!(keys(&read(&source, &shard(0), &mut Cursor::default(), 1).await), ["new"]);
    again.delete().await;
}

/// Also how a split looks on a backend that drops closed shards: whoever reads one must get on to its children.
async fn a_shard_that_is_not_in_its_stream_has_ended(backend: &Backend) {
    let stream = backend.stream(1).await;
    let source = stream.source();
    let gone = if backend.closed_shards == ClosedShards::Dropped { shard(0) } else { shard(77) };
    let mut cursor = Cursor::default();
    if backend.closed_shards == ClosedShards::Dropped {
        stream.put("read").await;
        read(&source, &gone, &mut cursor, 1).await;
        stream.split(&gone.0, 1 << 127).await;
    }
    for cursor in [&mut cursor, &mut Cursor::at(Position::Latest)] {
        let polled = source.poll(&gone, cursor, 10, Duration::ZERO).await.unwrap();
        assert!(polled.ended && polled.trimmed && polled.records.is_empty(), "{polled:?}");
    }
    stream.delete().await;
}

/// MiniStack takes any number for a place.
async fn a_sequence_number_of_no_record_leads_to_the_horizon(backend: &Backend) {
    let stream = backend.stream(1).await;
    stream.put("oldest").await;
    let mut cursor = Cursor::at(Position::After("1".parse().unwrap()));
    let polled = stream.source().poll(&shard(0), &mut cursor, 10, Duration::ZERO).await.unwrap();
    assert!(polled.trimmed, "{polled:?}");
    assert_eq!(keys(&polled.records), ["oldest"]);
    stream.delete().await;
}

async fn shards_beyond_one_page_are_listed(backend: &Backend) {
    let stream = backend.stream(2_345).await;
    let listing = stream.source().partitions().await.unwrap();
    let ids: BTreeSet<PartitionId> = listing.partitions.into_iter().map(|partition| partition.id).collect();
    assert_eq!(ids, (0..2_345).map(shard).collect());
    stream.delete().await;
}

#[tokio::test]
async fn a_backend_that_is_not_there_is_an_error_that_passes() {
    let backend = Backend::at("http://127.0.0.1:9".into(), ClosedShards::Kept).await;
    let source = backend.source(&"arn:aws:kinesis:us-east-1:000000000000:stream/orders".parse().unwrap());
    let mut cursor = Cursor { position: Position::TrimHorizon, token: Some("iterator".into()) };
    let error = source.poll(&shard(5), &mut cursor, 1, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    assert!(error.message.starts_with("GetRecords on shard shardId-000000000005 of arn:aws:kinesis:"), "{error}");
    assert_eq!(cursor.token.as_deref(), Some("iterator"), "the next poll goes on with it");
}
