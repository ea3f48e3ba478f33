//! Where reading begins, how it goes on, and where it ends.
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pelton_core::{PartitionId, Position, Source};
use pelton_testkit::FakeClock;
use serde_json::json;

use crate::server::{STREAM, Server};
use crate::support::{Reader, after, keys, source, source_at};

const SHARD: &str = "shardId-1";

async fn server() -> Server {
    let server = Server::start().await;
    server.open(SHARD, None);
    server
}

#[tokio::test]
async fn two_generations_are_read_from_the_first_record_to_the_last_in_order() {
    let server = server().await;
    let source = source(&server);
    for i in 0..25 {
        server.put(SHARD, &format!("old-{i}"));
    }
    server.roll_over(SHARD, "shardId-2");
    for i in 0..5 {
        server.put("shardId-2", &format!("new-{i}"));
    }
    // The parent can be read, to its end, also when it is no longer listed.
    server.unlist(SHARD);
    let listed = source.partitions().await.unwrap().partitions;
    assert_eq!(listed.iter().map(|it| &it.parents[..]).collect::<Vec<_>>(), [[PartitionId(SHARD.into())]]);

    let mut parent = Reader::new(&source, SHARD, Position::TrimHorizon);
    let mut read = Vec::new();
    loop {
        let polled = parent.poll(10).await;
        read.extend(keys(&polled.records));
        assert_eq!(polled.more, !polled.ended, "more until the end");
        if polled.ended {
            break;
        }
    }
    assert_eq!(read, (0..25).map(|i| format!("old-{i}")).collect::<Vec<_>>());
    assert!(parent.poll(10).await.ended, "and it stays ended");

    let mut child = Reader::new(&source, "shardId-2", Position::TrimHorizon);
    let polled = child.poll(10).await;
    assert_eq!(keys(&polled.records), ["new-0", "new-1", "new-2", "new-3", "new-4"]);
    assert!(polled.more && !polled.ended);
    let polled = child.poll(10).await;
    assert!(polled.records.is_empty() && !polled.more && !polled.ended, "{polled:?}");
}

#[tokio::test]
async fn empty_pages_in_the_middle_of_a_closed_shard_are_not_its_end() {
    let server = server().await;
    let source = source(&server);
    let number = server.put(SHARD, "a");
    server.roll_over(SHARD, "shardId-2");
    server.put_empty_pages(SHARD, 3);
    let mut reader = Reader::new(&source, SHARD, Position::TrimHorizon);
    for _ in 0..3 {
        let polled = reader.poll(10).await;
        assert!(polled.records.is_empty() && !polled.ended && !polled.more, "{polled:?}");
        assert_eq!(reader.cursor.position, Position::TrimHorizon);
    }
    let polled = reader.poll(10).await;
    assert_eq!((keys(&polled.records), polled.ended), (vec!["a".to_owned()], true));
    assert_eq!(reader.cursor.position, after(&number));
}

#[tokio::test]
async fn one_read_asks_for_a_thousand_records_at_most() {
    let server = server().await;
    let source = source(&server);
    for i in 0..1_005 {
        server.put(SHARD, &i.to_string());
    }
    let mut reader = Reader::new(&source, SHARD, Position::TrimHorizon);
    assert_eq!(reader.poll(10_000).await.records.len(), 1_000);
    assert_eq!(reader.poll(1).await.records.len(), 1);
    assert_eq!(reader.poll(10_000).await.records.len(), 4);
    assert_eq!(server.names_of_calls(), ["GetShardIterator", "GetRecords", "GetRecords", "GetRecords"]);
}

#[tokio::test]
async fn a_place_in_the_shard_is_where_reading_begins() {
    let server = server().await;
    let source = source(&server);
    let numbers: Vec<String> = ["a", "b", "c"].map(|key| server.put(SHARD, key)).into();
    let polled = Reader::new(&source, SHARD, after(&numbers[0])).poll(10).await;
    assert_eq!(keys(&polled.records), ["b", "c"]);
    assert_eq!(polled.records[0].id, numbers[1]);
    assert_eq!(polled.records[0].order_key.as_deref(), Some(r#"{"id":{"S":"b"}}"#));
    let mut done = Reader::new(&source, SHARD, Position::End);
    server.calls();
    let polled = done.poll(10).await;
    assert!(polled.ended && polled.records.is_empty() && server.calls().is_empty());
}

#[tokio::test]
async fn a_time_is_searched_from_the_horizon_in_large_steps() {
    let server = server().await;
    let source = source(&server);
    let begin: Timestamp = "2025-11-25T16:00:00Z".parse().unwrap();
    for i in 0..2_500 {
        server.put_at(SHARD, &i.to_string(), begin + SignedDuration::from_secs(i));
    }
    let since = begin + SignedDuration::from_millis(2_300_500);
    let mut reader = Reader::new(&source, SHARD, Position::AtTimestamp(since));
    for _ in 0..2 {
        let polled = reader.poll(3).await;
        assert!(polled.records.is_empty() && polled.more && !polled.ended, "{polled:?}");
        assert_eq!(reader.cursor.position, Position::AtTimestamp(since));
    }
    let mut read = Vec::new();
    while read.len() < 200 {
        let polled = reader.poll(3).await;
        assert!((1..=3).contains(&polled.records.len()), "at most as many as were asked for");
        assert_eq!(reader.cursor.position, after(&polled.records.last().unwrap().id));
        read.extend(keys(&polled.records));
    }
    assert_eq!(read, (2_300..2_500).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_search_in_a_closed_shard_that_is_too_old_ends_with_it() {
    let server = server().await;
    let source = source(&server);
    let begin: Timestamp = "2025-11-25T16:00:00Z".parse().unwrap();
    server.put_at(SHARD, "a", begin);
    server.roll_over(SHARD, "shardId-2");
    let mut reader = Reader::new(&source, SHARD, Position::AtTimestamp(begin + SignedDuration::from_secs(5)));
    let polled = reader.poll(10).await;
    assert!(polled.records.is_empty() && polled.ended && !polled.more, "{polled:?}");
}

#[tokio::test]
async fn a_search_in_a_closed_shard_does_not_end_before_all_of_its_records_are_given() {
    let server = server().await;
    let source = source(&server);
    let begin: Timestamp = "2025-11-25T16:00:00Z".parse().unwrap();
    for i in 0..5 {
        server.put_at(SHARD, &i.to_string(), begin + SignedDuration::from_secs(i));
    }
    server.roll_over(SHARD, "shardId-2");
    let mut reader = Reader::new(&source, SHARD, Position::AtTimestamp(begin + SignedDuration::from_secs(1)));
    let polled = reader.poll(3).await;
    assert_eq!((keys(&polled.records).len(), polled.ended, polled.more), (3, false, true));
    let polled = reader.poll(3).await;
    assert_eq!((keys(&polled.records), polled.ended), (vec!["4".to_owned()], true));
}

#[tokio::test]
async fn records_behind_latest_come_whatever_the_clocks_say() {
    let server = server().await;
    server.put(SHARD, "before");
    // The own clock is ten minutes ahead of the stream's.
    let ahead = Timestamp::now() + SignedDuration::from_mins(10);
    let source = source_at(&server, STREAM, Arc::new(FakeClock::at(ahead)));
    let mut reader = Reader::new(&source, SHARD, Position::Latest);
    let polled = reader.poll(10).await;
    assert!(polled.records.is_empty() && !polled.more);
    assert!(matches!(reader.cursor.position, Position::AtTimestamp(at) if at >= ahead), "{:?}", reader.cursor.position);
    let number = server.put(SHARD, "behind");
    assert_eq!(keys(&reader.poll(10).await.records), ["behind"]);
    assert_eq!(reader.cursor.position, after(&number));
}

#[tokio::test]
async fn how_far_behind_a_poll_is_goes_by_its_last_record() {
    let now: Timestamp = "2025-11-25T16:00:00Z".parse().unwrap();
    let server = server().await;
    let source = source_at(&server, STREAM, Arc::new(FakeClock::at(now)));
    server.put_at(SHARD, "a", now - SignedDuration::from_secs(90));
    server.put_at(SHARD, "b", now - SignedDuration::from_secs(40));
    let mut reader = Reader::new(&source, SHARD, Position::TrimHorizon);
    let behind = async |reader: &mut Reader<'_>| reader.poll(1).await.behind.unwrap().as_secs();
    assert!((90..100).contains(&behind(&mut reader).await));
    assert!((40..50).contains(&behind(&mut reader).await));
    assert_eq!(reader.poll(1).await.behind, Some(Duration::ZERO), "nothing there: not behind");
    let both = Reader::new(&source, SHARD, Position::TrimHorizon).poll(2).await;
    assert!((40..50).contains(&both.behind.unwrap().as_secs()));
    let skipped = Reader::new(&source, SHARD, Position::AtTimestamp(now)).poll(2).await;
    assert!(skipped.records.is_empty() && (40..50).contains(&skipped.behind.unwrap().as_secs()));
}

#[tokio::test]
async fn an_attribute_of_an_unknown_type_stops_the_shard_and_is_not_skipped() {
    let server = server().await;
    let source = source(&server);
    let number = server.put_image(SHARD, "a", Timestamp::now(), json!({ "new": { "X": "1" } }));
    let mut reader = Reader::new(&source, SHARD, Position::TrimHorizon);
    for _ in 0..2 {
        let error = reader.try_poll(10).await.unwrap_err();
        assert_eq!(error.kind, pelton_core::ErrorKind::Refused);
        assert!(error.message.starts_with(&format!("record {number} in {SHARD} of {STREAM} can't be")), "{error}");
        assert_eq!(reader.cursor.position, Position::TrimHorizon);
    }
}

#[tokio::test]
async fn a_delete_at_the_end_of_the_time_to_live_says_so() {
    let server = server().await;
    let source = source(&server);
    server.expire_item(SHARD, "a");
    let polled = Reader::new(&source, SHARD, Position::TrimHorizon).poll(10).await;
    let event = std::str::from_utf8(&polled.records[0].event).unwrap();
    let identity = r#"},"userIdentity":{"principalId":"dynamodb.amazonaws.com","type":"Service"},"eventSourceARN":"#;
    assert!(event.contains(r#""eventName":"REMOVE""#) && event.contains(identity), "{event}");
}
