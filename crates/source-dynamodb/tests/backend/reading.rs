//! Positions, order, and what is refused.
use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use jiff::Timestamp;
use pelton_core::{ErrorKind, PartitionId, Position, Source};

use crate::support::{Backend, Reader, event, on_both, text};

on_both!(
    each_item_keeps_its_order_however_small_the_portions,
    from_any_record_on_the_rest_comes,
    nothing_from_behind_a_time_is_left_out,
    large_items_come_in_several_pages,
    a_missing_stream_is_named,
    what_an_iterator_can_not_be_is_replaced,
);

async fn each_item_keeps_its_order_however_small_the_portions(backend: &Backend) {
    let table = backend.table(StreamViewType::NewImage).await;
    let source = backend.source(&table.stream);
    for i in 0..60 {
        table.put(&format!("item-{}", i % 4), "n", AttributeValue::N(i.to_string())).await;
    }
    let mut reader = Reader::new(&source, Position::TrimHorizon).await;
    let mut seen: HashMap<String, Vec<i32>> = HashMap::new();
    let mut count = 0;
    while count < 60 {
        let polled = reader.poll(7).await;
        assert!(polled.more, "not all have come");
        assert!(polled.behind.unwrap() < Duration::from_secs(120));
        count += polled.records.len();
        for record in polled.records {
            let event = event(&record);
            let number = event["dynamodb"]["NewImage"]["n"]["N"].as_str().unwrap().parse().unwrap();
            assert_eq!(record.order_key.as_ref(), Some(&event["dynamodb"]["Keys"].to_string()));
            seen.entry(record.order_key.unwrap()).or_default().push(number);
        }
        // As after a restart: all that is left is the position.
        reader = Reader { cursor: pelton_core::Cursor::at(reader.cursor.position), ..reader };
    }
    assert_eq!(seen.len(), 4);
    for item in 0..4 {
        let expected: Vec<i32> = (0..15).map(|i| i * 4 + item).collect();
        assert_eq!(seen[&format!(r#"{{"id":{{"S":"item-{item}"}}}}"#)], expected);
    }
}

async fn from_any_record_on_the_rest_comes(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    let source = backend.source(&table.stream);
    for i in 0..5 {
        table.put(&i.to_string(), "name", text("value")).await;
    }
    let all = Reader::new(&source, Position::TrimHorizon).await.read(5).await;
    for (i, record) in all.iter().enumerate() {
        let after = Position::After(record.id.parse().unwrap());
        let rest = Reader::new(&source, after).await.read(4 - i).await;
        assert_eq!(rest, all[i + 1..], "the same to the byte");
    }
}

/// Also where arrival times are cut to whole minutes.
async fn nothing_from_behind_a_time_is_left_out(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    let source = backend.source(&table.stream);
    table.put("first", "name", text("value")).await;
    let at = Timestamp::now();
    table.put("second", "name", text("value")).await;
    let mut reader = Reader::new(&source, Position::AtTimestamp(at)).await;
    let records = reader.poll(10).await.records;
    assert_eq!(event(records.last().unwrap())["dynamodb"]["Keys"]["id"]["S"], "second");
    let hour = jiff::SignedDuration::from_hours(1);
    assert_eq!(Reader::new(&source, Position::AtTimestamp(at - hour)).await.read(2).await.len(), 2);
    let mut future = Reader::new(&source, Position::AtTimestamp(at + hour)).await;
    let polled = future.poll(10).await;
    assert!(polled.records.is_empty() && polled.more, "{polled:?}");
    assert_eq!(future.cursor.position, Position::AtTimestamp(at + hour));
}

async fn large_items_come_in_several_pages(backend: &Backend) {
    let table = backend.table(StreamViewType::NewImage).await;
    let source = backend.source(&table.stream);
    for i in 0..6 {
        table.put(&i.to_string(), "large", text(&"x".repeat(380_000))).await;
    }
    let records = Reader::new(&source, Position::TrimHorizon).await.read(6).await;
    for (i, record) in records.iter().enumerate() {
        let event = event(record);
        assert_eq!(event["dynamodb"]["Keys"]["id"]["S"], i.to_string());
        assert_eq!(event["dynamodb"]["NewImage"]["large"]["S"].as_str().unwrap().len(), 380_000);
    }
}

async fn a_missing_stream_is_named(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    for missing in [table.stream.replace(&table.name, "nowhere"), format!("{}9", table.stream)] {
        let source = backend.source(&missing);
        let error = source.partitions().await.unwrap_err();
        assert_eq!((error.message, error.kind), (format!("Stream not found: {missing}"), ErrorKind::Missing));
        let shard = PartitionId("shardId-00000000000000000000-00000000".into());
        let mut cursor = pelton_core::Cursor::default();
        let error = source.poll(&shard, &mut cursor, 10, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Missing);
        assert!(error.message.contains(&missing) && error.message.contains(&shard.0), "{error}");
    }
}

async fn what_an_iterator_can_not_be_is_replaced(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    let source = backend.source(&table.stream);
    table.put("first", "name", text("value")).await;
    let mut reader = Reader::new(&source, Position::TrimHorizon).await;
    assert_eq!(reader.poll(1).await.records.len(), 1);
    let good = reader.cursor.token.clone().unwrap();
    for garbage in ["", "AAAA", "nonsense|1|AAAA", &good[..good.len() - 10]] {
        table.put(&uuid::Uuid::new_v4().to_string(), "name", text("value")).await;
        reader.cursor.token = Some(garbage.to_owned());
        assert_eq!(reader.read(1).await.len(), 1, "{garbage:?}");
    }
}

/// DynamoDB Local keeps all it has; MiniStack calls every number trimmed that it doesn't have.
#[tokio::test]
async fn a_place_that_is_gone_is_replaced_by_the_horizon_on_ministack() {
    let backend = Backend::ministack();
    let table = backend.table(StreamViewType::KeysOnly).await;
    let source = backend.source(&table.stream);
    for key in ["a", "b"] {
        table.put(key, "name", text("value")).await;
    }
    let gone = Position::After("000000000000000000001".parse().unwrap());
    let mut reader = Reader::new(&source, gone).await;
    let polled = reader.poll(10).await;
    assert!(polled.trimmed);
    assert_eq!(polled.records.len(), 2);
    let polled = reader.poll(10).await;
    assert!(!polled.trimmed && polled.records.is_empty());
}
