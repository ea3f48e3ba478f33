use std::collections::BTreeMap;
use std::time::Duration;

use pelton_core::{MappingId, PartitionId, Receipt, StartingPosition, StreamKind, StreamSettings};
use pelton_pattern::{Decoding, Filters};
use proptest::prelude::*;

use super::*;
use crate::commands::replay::parse::Given;

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:work";

fn mapping(lanes: usize, patterns: &[&str]) -> Mapping {
    let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Mapping {
        id: MappingId::of(STREAM, "work"),
        event_source: STREAM.parse().unwrap(),
        function: "work".parse().unwrap(),
        function_arn: FUNCTION.parse().unwrap(),
        enabled: true,
        batch_size: 100,
        batching_window: Duration::ZERO,
        filters: Filters::compile(&patterns, Decoding::DynamoDb).unwrap(),
        report_batch_item_failures: false,
        maximum_concurrency: None,
        on_success: None,
        on_failure: None,
        overflow_bucket: None,
        maximum_retry_attempts: None,
        visibility_heartbeat: true,
        tags: BTreeMap::new(),
        stream: Some(StreamSettings {
            starting_position: StartingPosition::TrimHorizon,
            parallelization_factor: lanes,
            bisect_batch_on_function_error: false,
            maximum_record_age: None,
            tumbling_window: Duration::ZERO,
            poll_interval: None,
        }),
    }
}

fn record(number: u64, key: &str, event: &str) -> Record {
    Record {
        id: number.to_string(),
        receipt: Receipt(number.to_string()),
        order_key: Some(key.into()),
        receive_count: 1,
        arrived_at: None,
        event: Bytes::copy_from_slice(event.as_bytes()),
    }
}

fn range(start: u64, end: u64, size: usize) -> Range {
    Range {
        kind: StreamKind::Kinesis,
        stream: STREAM.parse().unwrap(),
        shard: PartitionId("shard-1".into()),
        start: start.to_string().parse().unwrap(),
        end: end.to_string().parse().unwrap(),
        first_arrival: jiff::Timestamp::UNIX_EPOCH,
        size,
    }
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.id.as_str()).collect()
}

#[test]
fn what_the_filters_held_back_is_held_back_again() {
    let found: Vec<_> = (1..=5).map(|number| record(number, "k", &format!("{{\"odd\":{}}}", number % 2))).collect();
    let mapping = mapping(1, &["{\"odd\":[1]}"]);
    let (records, mismatch) = select(&range(1, 5, 3), found.clone(), Some(&mapping));
    assert_eq!((ids(&records), mismatch), (vec!["1", "3", "5"], None));
    let (records, mismatch) = select(&range(1, 5, 3), found, None);
    assert_eq!(records.len(), 5);
    let mismatch = mismatch.unwrap().to_string();
    assert!(mismatch.starts_with("5 records between 1 and 5 would be sent, 3 failed: the mapping isn't in the file"));
}

#[test]
fn records_of_other_lanes_are_left_out() {
    let keys: Vec<String> = (0..40).map(|number| format!("key-{}", number % 13)).collect();
    let found: Vec<_> = keys.iter().zip(1..).map(|(key, number)| record(number, key, "{}")).collect();
    let mapping = mapping(4, &[]);
    for lane in 0..4 {
        let expected: Vec<&Record> =
            found.iter().filter(|it| lane_of(it.order_key.as_deref().unwrap(), 4) == lane).collect();
        let (Some(first), Some(last)) = (expected.first(), expected.last()) else { continue };
        let (start, end): (u64, u64) = (first.id.parse().unwrap(), last.id.parse().unwrap());
        let between: Vec<_> = found[usize::try_from(start).unwrap() - 1..usize::try_from(end).unwrap()].to_vec();
        let (records, mismatch) = select(&range(start, end, expected.len()), between, Some(&mapping));
        assert_eq!(mismatch, None);
        assert!(records.iter().eq(expected));
    }
}

#[test]
fn records_that_are_gone_are_counted() {
    let found: Vec<_> = (4..=5).map(|number| record(number, "k", "{}")).collect();
    let gone = |gone| Some(Mismatch::Gone { gone, size: 5, shard: "shard-1".into() });
    let (records, mismatch) = select(&range(1, 5, 5), found.clone(), None);
    assert_eq!((ids(&records), mismatch), (vec!["4", "5"], gone(3)));
    assert_eq!(select(&range(1, 9, 5), found, None).1, gone(3));
    assert_eq!(select(&range(1, 9, 5), Vec::new(), None).1, gone(5));
}

#[test]
fn a_failure_finds_its_mapping() {
    let mut other = mapping(1, &[]);
    other.event_source = "arn:aws:kinesis:us-east-1:000000000000:stream/other".parse().unwrap();
    let mappings = [other, mapping(1, &[])];
    let mut failure = Failure {
        request_id: "1".into(),
        function: FUNCTION.parse().unwrap(),
        source: Some(STREAM.parse().unwrap()),
        given: Given::Event(Bytes::new()),
    };
    assert_eq!(mapping_of(&mappings, &failure), Some(&mappings[1]));
    failure.source = None;
    assert_eq!(mapping_of(&mappings, &failure), None, "it may be of either");
    assert_eq!(mapping_of(&mappings[..1], &failure), Some(&mappings[0]));
    failure.function = format!("{FUNCTION}:live").parse().unwrap();
    assert_eq!(mapping_of(&mappings, &failure), None);
}

#[test]
fn an_event_is_sent_as_it_is_and_its_records_can_be_named() {
    let event = Bytes::from_static(
        b"{ \"Records\": [{\"messageId\":\"m\"}, {\"kinesis\":{\"sequenceNumber\":\"1\"}},\n {\"dynamodb\":{\"SequenceNumber\":\"2\"}}, 7] }",
    );
    let batch = as_it_is(&event);
    assert_eq!(batch.event, event);
    assert_eq!(ids(&batch.records), ["m", "1", "2", ""]);
    assert_eq!(lines(&[batch]).lines().count(), 4);
    let other = as_it_is(&Bytes::from_static(b"{\"a\":\n1}"));
    assert_eq!(lines(&[other]), "{\"a\": 1}\n");
}

#[test]
fn a_batch_holds_no_more_bytes_than_a_function_takes() {
    let large = format!("\"{}\"", "x".repeat(MAXIMUM_PAYLOAD_BYTES / 2 - 50));
    let records: Vec<_> = (1..=5).map(|number| record(number, "k", &large)).collect();
    let sizes: Vec<usize> = batches(records, 100).iter().map(|batch| batch.records.len()).collect();
    assert_eq!(sizes, [2, 2, 1]);
}

proptest! {
    #[test]
    fn batches_hold_every_record_in_order(count in 0..40_usize, size in 1..12_usize) {
        let records: Vec<_> = (1..).take(count).map(|number| record(number, "k", &number.to_string())).collect();
        let batches = batches(records.clone(), size);
        prop_assert_eq!(batches.len(), count.div_ceil(size));
        let mut all = Vec::new();
        for batch in batches {
            prop_assert!(batch.records.len() <= size && !batch.records.is_empty());
            let event: serde_json::Value = serde_json::from_slice(&batch.event).unwrap();
            let sent: Vec<String> =
                event["Records"].as_array().unwrap().iter().map(serde_json::Value::to_string).collect();
            prop_assert_eq!(sent, ids(&batch.records));
            prop_assert!(batch.event.len() <= MAXIMUM_PAYLOAD_BYTES);
            all.extend(batch.records);
        }
        prop_assert_eq!(all, records);
    }
}
