//! The shards of a stream.
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{ErrorKind, Partition, PartitionId, Source, SystemClock};

use crate::server::{STREAM, Server};
use crate::support::{source, source_at};

#[tokio::test]
async fn every_page_of_the_listing_is_read() {
    for (shards, page, calls) in [(7, 3, 3), (6, 3, 2), (1, 1, 1), (0, 5, 1), (250, 100, 3)] {
        let server = Server::start().await;
        let names: Vec<String> = (0..shards).map(|i| format!("shardId-{i:03}")).collect();
        names.iter().for_each(|name| server.open(name, None));
        server.list_by(page);
        let listing = source(&server).partitions().await.unwrap();
        assert_eq!(listing.partitions.iter().map(|it| it.id.0.clone()).collect::<Vec<_>>(), names);
        assert_eq!(server.calls().len(), calls, "{shards} shards by {page}");
    }
}

#[tokio::test]
async fn generations_of_shards_name_their_parents_also_when_they_are_no_longer_listed() {
    let server = Server::start().await;
    server.open("shardId-1", None);
    server.roll_over("shardId-1", "shardId-2");
    server.roll_over("shardId-2", "shardId-3");
    server.unlist("shardId-1");
    let listing = source(&server).partitions().await.unwrap();
    let shard = |id: &str, parent: &str, closed| Partition {
        id: PartitionId(id.into()),
        parents: vec![PartitionId(parent.into())],
        closed,
    };
    assert_eq!(listing.partitions, [shard("shardId-2", "shardId-1", true), shard("shardId-3", "shardId-2", false)]);
    assert_eq!(listing.incarnation, "2025-11-25T15:46:02.123");
    assert_eq!(listing.retention, Some(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn a_missing_stream_is_named_in_the_words_of_aws() {
    let server = Server::start().await;
    let other = STREAM.replace("orders", "other");
    let error = source_at(&server, &other, Arc::new(SystemClock)).partitions().await.unwrap_err();
    assert_eq!((error.message, error.kind), (format!("Stream not found: {other}"), ErrorKind::Missing));
}

#[tokio::test]
async fn a_listing_that_is_throttled_or_refused_says_so() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.fail("DescribeStream", 400, "LimitExceededException");
    }
    let error = source(&server).partitions().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled { retry_after: None });
    assert_eq!(error.message, format!("DescribeStream on {STREAM} failed: LimitExceededException: as scripted"));
    server.fail("DescribeStream", 400, "AccessDeniedException");
    let error = source(&server).partitions().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert_eq!(error.message, format!("DescribeStream on {STREAM} failed: AccessDeniedException: as scripted"));
}
