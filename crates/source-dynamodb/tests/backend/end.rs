//! Streams that are disabled, and tables that are deleted.
use aws_sdk_dynamodb::types::StreamViewType;
use pelton_core::{Position, Source};

use crate::support::{Backend, Reader, on_both, text};

on_both!(
    a_disabled_stream_is_read_to_its_end,
    the_stream_of_a_deleted_table_is_read_to_its_end,
    a_stream_of_the_same_table_is_another_one,
);

async fn a_disabled_stream_is_read_to_its_end(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    let source = backend.source(&table.stream);
    let mut follower = Reader::new(&source, Position::TrimHorizon).await;
    let mut newest = Reader::new(&source, Position::Latest).await;
    newest.poll(10).await;
    table.put("a", "name", text("value")).await;
    follower.read(1).await;
    table.put("b", "name", text("value")).await;
    table.disable_stream().await;
    let listed = source.partitions().await.unwrap().partitions;
    assert!(listed.iter().all(|shard| shard.closed), "{listed:?}");
    assert_eq!(follower.read_to_end().await.len(), 1);
    assert_eq!(newest.read_to_end().await.len(), 2);
    assert_eq!(Reader::new(&source, Position::TrimHorizon).await.read_to_end().await.len(), 2);
    let done = follower.cursor.position;
    assert_eq!(Reader::new(&source, done).await.read_to_end().await.len(), 0, "restarted behind the last record");
    assert_eq!(Reader::new(&source, Position::Latest).await.read_to_end().await.len(), 0);
}

async fn the_stream_of_a_deleted_table_is_read_to_its_end(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    let source = backend.source(&table.stream);
    let mut follower = Reader::new(&source, Position::TrimHorizon).await;
    table.put("a", "name", text("value")).await;
    follower.read(1).await;
    table.put("b", "name", text("value")).await;
    table.drop().await;
    assert_eq!(follower.read_to_end().await.len(), 1);
}

async fn a_stream_of_the_same_table_is_another_one(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    let first = backend.source(&table.stream).partitions().await.unwrap();
    assert!(table.stream.ends_with(&first.incarnation), "{first:?}");
    table.disable_stream().await;
    let again = backend.source(&table.stream).partitions().await.unwrap();
    assert_eq!(again.incarnation, first.incarnation, "disabled, it is still the same");
}
