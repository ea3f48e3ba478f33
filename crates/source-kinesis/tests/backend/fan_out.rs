//! Enhanced fan-out.
use std::time::Duration;

use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition};
use pelton_core::{Arn, Cursor, ErrorKind, Position, Record, Source as _};
use pelton_source_kinesis::KinesisSource;
use pelton_testkit::stream_suite::{StreamUnderTest as _, stream_suite};
use tokio::time::Instant;

use crate::forwarder::Forwarder;
use crate::support::{Backend, LIMIT, keys, on, read, shard, source};

on!(localstack:
    records_are_pushed_while_polls_come_and_go,
    a_shard_that_a_backend_cuts_off_at_its_end_has_ended,
    a_missing_consumer_is_told,
);
on!(ministack:
    a_consumer_passes_the_stream_suite,
    records_are_pushed_while_polls_come_and_go,
    an_event_larger_than_the_poll_is_given_in_portions,
    nothing_is_lost_when_the_connection_is_cut,
    a_silent_subscription_is_given_up,
    nothing_is_lost_when_somebody_else_takes_the_subscription_over,
    a_split_ends_the_shard,
    a_missing_consumer_is_told,
    a_consumer_deleted_while_it_is_read_is_missing,
);

async fn a_consumer_passes_the_stream_suite(backend: &Backend) {
    let stream = backend.stream(1).await;
    let source = backend.source(&stream.consumer().await);
    assert!(source.is_pushed());
    stream_suite(&source, &stream).await;
    stream.delete().await;
}

async fn records_are_pushed_while_polls_come_and_go(backend: &Backend) {
    let stream = backend.stream(1).await;
    let source = backend.source(&stream.consumer().await);
    let mut cursor = Cursor::default();
    stream.put("first").await;
    assert_eq!(keys(&read(&source, &shard(0), &mut cursor, 1).await), ["first"]);
    let mut records = Vec::new();
    for number in 0..5 {
        stream.put(&format!("later{number}")).await;
        // Dropped before much can have come, again and again.
        for _ in 0..3 {
            let shard = shard(0);
            let poll = source.poll(&shard, &mut cursor, 10, LIMIT);
            if let Ok(polled) = tokio::time::timeout(Duration::from_micros(50), poll).await {
                records.extend(polled.unwrap().records);
            }
        }
    }
    records.extend(read(&source, &shard(0), &mut cursor, 5 - records.len()).await);
    assert_eq!(keys(&records), ["later0", "later1", "later2", "later3", "later4"]);
    let event: serde_json::Value = serde_json::from_slice(&records[0].event).unwrap();
    assert_eq!(event["eventSourceARN"], stream.arn.to_string(), "the stream, not its consumer");
    stream.delete().await;
}

async fn an_event_larger_than_the_poll_is_given_in_portions(backend: &Backend) {
    let stream = backend.stream(1).await;
    let source = backend.source(&stream.consumer().await);
    stream.put_many(0..100).await;
    let mut cursor = Cursor::default();
    let mut records = Vec::new();
    while records.len() < 100 {
        let polled = source.poll(&shard(0), &mut cursor, 30, LIMIT).await.unwrap();
        assert!(!polled.records.is_empty() && polled.records.len() <= 30);
        records.extend(polled.records);
        assert_eq!(polled.more, records.len() < 100);
        if records.len() == 60 {
            // Another one, restarted here, gets the rest as well; this one goes on after it.
            let mut restarted = Cursor::at(cursor.position.clone());
            let rest = patient(&source, &mut restarted, 40).await;
            assert_eq!(rest[0].order_key.as_deref(), Some("key60"));
            records.extend(patient(&source, &mut cursor, 1).await);
        }
    }
    let expected: Vec<String> = (0..100).map(|number| format!("key{number}")).collect();
    assert_eq!(keys(&records), expected);
    stream.delete().await;
}

/// Reads as the engine does: after an error it comes again.
async fn patient(source: &KinesisSource, cursor: &mut Cursor, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let deadline = Instant::now() + LIMIT;
    while records.len() < count {
        assert!(Instant::now() < deadline, "{:?} came", keys(&records));
        match source.poll(&shard(0), cursor, 10_000, Duration::from_secs(1)).await {
            Ok(polled) => records.extend(polled.records),
            Err(error) => {
                assert!(matches!(error.kind, ErrorKind::Transient | ErrorKind::Throttled { .. }), "{error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    records
}

/// A source whose connections go through a forwarder.
async fn through(forwarder: &Forwarder, backend: &Backend, consumer: &Arn) -> KinesisSource {
    let backend = Backend::at(forwarder.endpoint.clone(), backend.closed_shards).await;
    source(&backend.config, consumer)
}

async fn nothing_is_lost_when_the_connection_is_cut(backend: &Backend) {
    let stream = backend.stream(1).await;
    let forwarder = Forwarder::start(&backend.endpoint).await;
    let source = through(&forwarder, backend, &stream.consumer().await).await;
    let mut cursor = Cursor::default();
    let mut came = Vec::new();
    for number in 0..6 {
        stream.put(&format!("key{number}")).await;
        came.extend(patient(&source, &mut cursor, 1).await);
        forwarder.cut();
    }
    assert_eq!(keys(&came), ["key0", "key1", "key2", "key3", "key4", "key5"]);
    assert!(forwarder.connections() >= 6, "it subscribed again: {} connections", forwarder.connections());
    stream.delete().await;
}

async fn a_silent_subscription_is_given_up(backend: &Backend) {
    let stream = backend.stream(1).await;
    let forwarder = Forwarder::start(&backend.endpoint).await;
    let source = through(&forwarder, backend, &stream.consumer().await).await;
    let mut cursor = Cursor::default();
    stream.put("heard").await;
    read(&source, &shard(0), &mut cursor, 1).await;
    forwarder.hold(true);
    stream.put("held").await;
    let start = Instant::now();
    let error = loop {
        match source.poll(&shard(0), &mut cursor, 10, Duration::from_secs(2)).await {
            Ok(polled) => assert!(polled.records.is_empty()),
            Err(error) => break error,
        }
        assert!(start.elapsed() < Duration::from_secs(40));
    };
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.message.contains("nothing came for 3") && error.message.contains(&shard(0).0), "{error}");
    forwarder.hold(false);
    assert_eq!(keys(&patient(&source, &mut cursor, 1).await), ["held"]);
    stream.delete().await;
}

async fn nothing_is_lost_when_somebody_else_takes_the_subscription_over(backend: &Backend) {
    let stream = backend.stream(1).await;
    let consumer = stream.consumer().await;
    let source = backend.source(&consumer);
    let mut cursor = Cursor::default();
    stream.put("one").await;
    read(&source, &shard(0), &mut cursor, 1).await;
    // AWS refuses another subscription for five seconds, and then lets it replace the first.
    let other = || {
        let latest = StartingPosition::builder().r#type(ShardIteratorType::Latest).build().unwrap();
        let subscribe = backend.kinesis.subscribe_to_shard().consumer_arn(consumer.to_string());
        subscribe.shard_id(&shard(0).0).starting_position(latest).send()
    };
    assert!(other().await.is_err());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let taken = other().await.unwrap();
    stream.put("two").await;
    let error = loop {
        match source.poll(&shard(0), &mut cursor, 10, LIMIT).await {
            Ok(polled) if polled.records.is_empty() => {}
            // It came before the takeover was noticed.
            Ok(polled) => assert_eq!(keys(&polled.records), ["two"]),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, ErrorKind::Throttled { retry_after: Some(Duration::from_secs(5)) }, "{error}");
    assert!(error.message.contains("ResourceInUseException"), "{error}");
    drop(taken);
    stream.put("three").await;
    let came = patient(&source, &mut cursor, 1).await;
    assert_eq!(keys(&came).last(), Some(&"three"));
    stream.delete().await;
}

async fn a_split_ends_the_shard(backend: &Backend) {
    let stream = backend.stream(1).await;
    let source = backend.source(&stream.consumer().await);
    let mut cursor = Cursor::default();
    stream.put("last").await;
    read(&source, &shard(0), &mut cursor, 1).await;
    stream.split(&shard(0).0, 1 << 127).await;
    let deadline = Instant::now() + LIMIT;
    loop {
        let polled = source.poll(&shard(0), &mut cursor, 10, Duration::from_secs(1)).await.unwrap();
        assert!(polled.records.is_empty() && Instant::now() < deadline, "{polled:?}");
        if polled.ended {
            assert!(!polled.trimmed, "it ended with the names of its children");
            break;
        }
    }
    let number = stream.put_data("next", b"").await;
    let mut came = Vec::new();
    for child in [shard(1), shard(2)] {
        let polled = source.poll(&child, &mut Cursor::default(), 10, Duration::from_secs(2)).await.unwrap();
        came.extend(polled.records.into_iter().map(|record| record.id));
    }
    assert_eq!(came, [number]);
    stream.delete().await;
}

/// LocalStack has no event for the end: it breaks the connection off.
async fn a_shard_that_a_backend_cuts_off_at_its_end_has_ended(backend: &Backend) {
    let stream = backend.stream(1).await;
    let source = backend.source(&stream.consumer().await);
    let mut cursor = Cursor::default();
    stream.put("one").await;
    read(&source, &shard(0), &mut cursor, 1).await;
    stream.put("last").await;
    stream.split(&shard(0).0, 1 << 127).await;
    let mut records = Vec::new();
    let deadline = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < deadline, "it ends");
        // An error is what the engine meets with a pause.
        if let Ok(polled) = source.poll(&shard(0), &mut cursor, 10, Duration::from_secs(1)).await {
            records.extend(polled.records);
            if polled.ended {
                assert!(!polled.trimmed, "nothing is missing");
                break;
            }
        }
    }
    assert_eq!(keys(&records), ["last"]);
    stream.delete().await;
}

async fn a_missing_consumer_is_told(backend: &Backend) {
    let stream = backend.stream(1).await;
    let consumer: Arn = format!("{}/consumer/nobody:1700000000", stream.arn).parse().unwrap();
    let source = backend.source(&consumer);
    let error = source.partitions().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    assert!(error.message.starts_with(&format!("Stream consumer not found: {consumer}")), "{error}");
    stream.delete().await;
    let error = source.partitions().await.unwrap_err();
    assert_eq!(error.message, format!("Stream not found: {}", stream.arn));
}

async fn a_consumer_deleted_while_it_is_read_is_missing(backend: &Backend) {
    let stream = backend.stream(1).await;
    let consumer = stream.consumer().await;
    let source = backend.source(&consumer);
    let mut cursor = Cursor::at(Position::Latest);
    source.poll(&shard(0), &mut cursor, 10, Duration::from_millis(200)).await.unwrap();
    backend.kinesis.deregister_stream_consumer().consumer_arn(consumer.to_string()).send().await.unwrap();
    let deadline = Instant::now() + LIMIT;
    let error = loop {
        match source.poll(&shard(0), &mut cursor, 10, Duration::from_secs(1)).await {
            Ok(_) => assert!(Instant::now() < deadline),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, ErrorKind::Missing, "{error}");
    assert!(error.message.contains("onsumer"), "{error}");
    stream.delete().await;
}
