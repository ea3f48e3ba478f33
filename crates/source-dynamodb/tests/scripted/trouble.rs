//! Iterators that get old, records that are gone, and errors.
use pelton_core::{ErrorKind, Position};

use crate::server::{STREAM, Server};
use crate::support::{Reader, after, keys, source};

const SHARD: &str = "shardId-1";

async fn server() -> Server {
    let server = Server::start().await;
    server.open(SHARD, None);
    server
}

#[tokio::test]
async fn an_iterator_that_has_expired_is_replaced_within_the_same_poll() {
    let server = server().await;
    let source = source(&server);
    for key in ["a", "b", "c"] {
        server.put(SHARD, key);
    }
    let mut reader = Reader::new(&source, SHARD, Position::TrimHorizon);
    assert_eq!(keys(&reader.poll(2).await.records), ["a", "b"]);
    server.expire_iterators();
    server.calls();
    let polled = reader.poll(10).await;
    assert_eq!(keys(&polled.records), ["c"], "nothing twice, nothing left out");
    assert!(!polled.trimmed);
    let calls = server.calls();
    assert_eq!(
        calls.iter().map(|(call, _)| call.as_str()).collect::<Vec<_>>(),
        ["GetRecords", "GetShardIterator", "GetRecords"]
    );
    assert_eq!(calls[1].1["ShardIteratorType"], "AFTER_SEQUENCE_NUMBER");
}

#[tokio::test]
async fn an_iterator_that_has_expired_is_not_tried_again() {
    let server = server().await;
    let source = source(&server);
    let mut reader = Reader::new(&source, SHARD, Position::TrimHorizon);
    reader.poll(10).await;
    server.put(SHARD, "a");
    server.expire_iterators();
    server.fail("GetShardIterator", 400, "AccessDeniedException");
    assert_eq!(reader.try_poll(10).await.unwrap_err().kind, ErrorKind::Refused);
    server.calls();
    assert_eq!(keys(&reader.poll(10).await.records), ["a"]);
    assert_eq!(server.names_of_calls(), ["GetShardIterator", "GetRecords"]);
}

#[tokio::test]
async fn a_token_that_the_service_does_not_know_is_replaced() {
    let server = server().await;
    let source = source(&server);
    let number = server.put(SHARD, "a");
    server.put(SHARD, "b");
    for token in ["garbage", "", "seeks ", "gone|1|0|0"] {
        let mut reader = Reader::new(&source, SHARD, after(&number));
        reader.cursor.token = Some(token.into());
        assert_eq!(keys(&reader.poll(10).await.records), ["b"], "{token:?}");
    }
}

#[tokio::test]
async fn after_latest_an_iterator_that_expires_before_the_first_record_loses_nothing() {
    let server = server().await;
    let source = source(&server);
    let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    server.put_at(SHARD, "before", hour_ago);
    let mut reader = Reader::new(&source, SHARD, Position::Latest);
    assert_eq!(keys(&reader.poll(10).await.records), [""; 0]);
    server.put(SHARD, "behind");
    server.expire_iterators();
    assert_eq!(keys(&reader.poll(10).await.records), ["behind"]);
}

#[tokio::test]
async fn nothing_behind_the_first_poll_of_latest_is_lost_when_that_poll_fails() {
    let server = server().await;
    let source = source(&server);
    for call in ["GetShardIterator", "GetRecords"] {
        let mut reader = Reader::new(&source, SHARD, Position::Latest);
        // The SDK tries the first of them three times.
        for _ in 0..3 {
            server.fail(call, 500, "InternalServerError");
        }
        reader.try_poll(10).await.unwrap_err();
        server.put(SHARD, call);
        let mut polled = Err(());
        for _ in 0..3 {
            polled = reader.try_poll(10).await.map_err(|_| ());
            if polled.is_ok() {
                break;
            }
        }
        assert!(keys(&polled.unwrap().records).contains(&call.to_owned()), "{call}");
    }
}

#[tokio::test]
async fn a_place_that_is_gone_is_replaced_by_the_horizon_and_said() {
    let server = server().await;
    let source = source(&server);
    let numbers: Vec<String> = ["a", "b", "c", "d"].map(|key| server.put(SHARD, key)).into();
    let mut running = Reader::new(&source, SHARD, Position::TrimHorizon);
    running.poll(1).await;
    server.trim(SHARD, &numbers[2]);
    // One that begins there, and one whose iterator stands there.
    let mut begins = Reader::new(&source, SHARD, after(&numbers[0]));
    for reader in [&mut begins, &mut running] {
        let polled = reader.poll(10).await;
        assert!(polled.trimmed);
        assert_eq!(keys(&polled.records), ["c", "d"]);
        assert!(!reader.poll(10).await.trimmed, "said once");
    }
    // From the horizon, nothing that was asked for is gone.
    let polled = Reader::new(&source, SHARD, Position::TrimHorizon).poll(10).await;
    assert_eq!((keys(&polled.records).len(), polled.trimmed), (2, false));
}

#[tokio::test]
async fn that_records_are_gone_is_not_forgotten_when_the_read_from_the_horizon_fails() {
    let server = server().await;
    let source = source(&server);
    let numbers: Vec<String> = ["a", "b", "c"].map(|key| server.put(SHARD, key)).into();
    server.trim(SHARD, &numbers[2]);
    let mut reader = Reader::new(&source, SHARD, after(&numbers[0]));
    server.fail("GetRecords", 500, "InternalServerError");
    assert_eq!(reader.try_poll(10).await.unwrap_err().kind, ErrorKind::Transient);
    assert_eq!(reader.cursor.position, after(&numbers[0]));
    let polled = reader.poll(10).await;
    assert_eq!((keys(&polled.records), polled.trimmed), (vec!["c".to_owned()], true));
}

#[tokio::test]
async fn every_error_says_what_it_asks_for_and_leaves_the_cursor_good() {
    let throttled = ErrorKind::Throttled { retry_after: None };
    let cases = [
        (400, "LimitExceededException", throttled),
        (400, "ProvisionedThroughputExceededException", throttled),
        (400, "ThrottlingException", throttled),
        (500, "InternalServerError", ErrorKind::Transient),
        (503, "ServiceUnavailable", ErrorKind::Transient),
        (400, "AccessDeniedException", ErrorKind::Refused),
        (400, "ResourceNotFoundException", ErrorKind::Missing),
        (400, "ExpiredIteratorException", ErrorKind::Transient),
        (400, "TrimmedDataAccessException", ErrorKind::Transient),
    ];
    for (status, code, kind) in cases {
        let server = server().await;
        let source = source(&server);
        server.put(SHARD, "a");
        let mut reader = Reader::new(&source, SHARD, Position::TrimHorizon);
        server.fail("GetRecords", status, code);
        let error = reader.try_poll(10).await.unwrap_err();
        assert_eq!(error.kind, kind, "{code}");
        assert_eq!(error.message, format!("GetRecords on {SHARD} of {STREAM} failed: {code}: as scripted"));
        assert_eq!(server.names_of_calls(), ["GetShardIterator", "GetRecords"], "no retry within a poll: {code}");
        assert_eq!(keys(&reader.poll(10).await.records), ["a"], "{code}");
        assert_eq!(server.names_of_calls(), ["GetRecords"], "the iterator is kept: {code}");
    }
}

#[tokio::test]
async fn a_shard_that_is_gone_is_missing() {
    let server = server().await;
    let source = source(&server);
    let mut reader = Reader::new(&source, "shardId-9", Position::TrimHorizon);
    let error = reader.try_poll(10).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    let expected = format!("GetShardIterator on shardId-9 of {STREAM} failed: ResourceNotFoundException: as scripted");
    assert_eq!(error.message, expected);
}

#[tokio::test]
async fn a_connection_that_is_refused_is_passing() {
    let server = server().await;
    let source = source(&server);
    drop(server);
    let error = Reader::new(&source, SHARD, Position::TrimHorizon).try_poll(10).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.message.starts_with(&format!("GetShardIterator on {SHARD} of {STREAM} failed: ")), "{error}");
}
