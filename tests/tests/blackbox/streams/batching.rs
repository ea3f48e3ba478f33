//! How records of a shard become batches (spec 5.2, 17).
use std::time::Duration;

use pelton_tests::{Backend, Function, Kind, Pelton, on_both_backends, on_both_kinds, stream_mapping, texts};
use serde_json::json;

use super::{numbered, numbers};

/// Spec 13: bytes of event JSON.
const MAXIMUM_PAYLOAD: usize = 6_291_556;

fn sizes(function: &Function) -> Vec<usize> {
    function.seen().iter().map(|seen| seen.records().len()).collect()
}

async fn ten_records_that_are_put_together_are_one_invocation(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, json!({}))]).await;
    pelton.is_enabled(&stream).await;
    stream.put_all((0..10).map(|i| (format!("key-{i}"), i.to_string()))).await;
    pelton.has_settled(&stream, 10).await;
    assert_eq!(sizes(&function), [10]);
}

async fn batch_size_is_the_limit(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..25)).await;
    let more = json!({ "BatchSize": 10 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 25).await;
    assert_eq!(sizes(&function), [10, 10, 5]);
    assert_eq!(texts(&function.seen()), numbers(0..25));
}

async fn a_window_gathers_records_into_one_invocation(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let more = json!({ "MaximumBatchingWindowInSeconds": 3 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    for text in numbered(0..5) {
        feed.put("key", [text]).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(function.seen().len(), 0, "the window is still open: {}", pelton.status(&feed));
    pelton.has_settled(&feed, 5).await;
    assert_eq!(sizes(&function), [5]);
}

async fn a_full_batch_does_not_wait_for_its_window(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..7)).await;
    let more = json!({ "BatchSize": 5, "MaximumBatchingWindowInSeconds": 300 });
    let _pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    assert_eq!(function.is_done(1).await[0].texts(), numbers(0..5));
    feed.put_each(numbered(7..10)).await;
    assert_eq!(function.is_done(2).await[1].texts(), numbers(5..10));
}

async fn a_batch_stays_within_6_megabytes(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    for i in 0..10_u8 {
        stream.put("key", vec![i; 800_000]).await;
    }
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, json!({}))]).await;
    pelton.has_settled(&stream, 10).await;
    let seen = function.seen();
    let sizes: Vec<usize> = seen.iter().map(|seen| seen.event.to_string().len()).collect();
    assert!(sizes.iter().all(|size| *size <= MAXIMUM_PAYLOAD), "{sizes:?}");
    let order: Vec<u8> = seen.iter().flat_map(|seen| seen.records()).map(|it| pelton_tests::data(it)[0]).collect();
    assert_eq!(order, (0..10).collect::<Vec<u8>>());
    assert_eq!(seen[0].records().len(), 5, "as many as fit");
}

on_both_backends!(ten_records_that_are_put_together_are_one_invocation, a_batch_stays_within_6_megabytes);
on_both_kinds!(
    batch_size_is_the_limit,
    a_window_gathers_records_into_one_invocation,
    a_full_batch_does_not_wait_for_its_window,
);
