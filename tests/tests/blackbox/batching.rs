//! How messages become batches, and how many run at once.
use std::time::Duration;

use pelton_tests::{Backend, Function, Pelton, largest_overlap, mapping, on_both_backends};
use serde_json::json;

/// Spec 4: bytes of event JSON.
const MAXIMUM_PAYLOAD: usize = 6_291_556;

fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|i| i.to_string())
}

async fn a_window_gathers_25_messages_into_one_invocation(backend: Backend) {
    let (queue, function) = (backend.queue(20).await, Function::new());
    queue.send_all(numbered(25)).await;
    let more = json!({ "BatchSize": 25, "MaximumBatchingWindowInSeconds": 3 });
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    queue.is_drained().await;
    let sizes: Vec<usize> = function.seen().iter().map(|seen| seen.records().len()).collect();
    assert_eq!(sizes, [25]);
}

async fn messages_that_come_within_the_window_join_the_batch(backend: Backend) {
    let (queue, function) = (backend.queue(20).await, Function::new());
    let more = json!({ "BatchSize": 25, "MaximumBatchingWindowInSeconds": 3 });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    for i in 0..5 {
        queue.send(i).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(function.seen().len(), 0, "the window is still open: {}", pelton.status(&queue));
    queue.is_drained().await;
    let sizes: Vec<usize> = function.seen().iter().map(|seen| seen.records().len()).collect();
    assert_eq!(sizes, [5]);
}

async fn a_batch_has_ten_messages_at_most_by_default(backend: Backend) {
    let (queue, function) = (backend.queue(20).await, Function::new());
    queue.send_all(numbered(25)).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    queue.is_drained().await;
    let seen = function.seen();
    let sizes: Vec<usize> = seen.iter().map(|seen| seen.records().len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 25, "{sizes:?}");
    assert_eq!(sizes.iter().max(), Some(&10), "{sizes:?}");
}

async fn a_batch_stays_within_6_megabytes(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    for _ in 0..30 {
        queue.send("x".repeat(250_000)).await;
    }
    let more = json!({ "BatchSize": 100, "MaximumBatchingWindowInSeconds": 3 });
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    queue.is_drained().await;
    let seen = function.seen();
    assert_eq!(seen.iter().map(|seen| seen.records().len()).sum::<usize>(), 30, "each message once");
    let sizes: Vec<usize> = seen.iter().map(|seen| seen.event.to_string().len()).collect();
    assert!(sizes.iter().all(|size| *size <= MAXIMUM_PAYLOAD), "{sizes:?}");
    // A message is some 250,800 bytes in the event: 25 of them are the most that fits.
    let largest = seen.iter().map(|seen| seen.records().len()).max().unwrap();
    assert_eq!(largest, MAXIMUM_PAYLOAD / (seen[0].records()[0].to_string().len() + 1), "the limit is made use of");
}

async fn maximum_concurrency_is_a_hard_limit(backend: Backend) {
    let slow = || (0..20).map(|_| json!({ "do": "sleep", "seconds": 0.4 }).to_string());
    let (limited, function) = (backend.queue(30).await, Function::new().with_concurrency(5));
    limited.send_all(slow()).await;
    let more = json!({ "BatchSize": 1, "ScalingConfig": { "MaximumConcurrency": 2 } });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&limited, &function, more)]).await;
    limited.is_drained().await;
    assert_eq!(largest_overlap(&function.seen()), 2);
    drop(pelton);

    let (free, function) = (backend.queue(30).await, Function::new().with_concurrency(5));
    free.send_all(slow()).await;
    let more = json!({ "BatchSize": 1 });
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&free, &function, more)]).await;
    free.is_drained().await;
    assert_eq!(largest_overlap(&function.seen()), 5, "without it, all processes of the function are used");
}

on_both_backends!(
    a_window_gathers_25_messages_into_one_invocation,
    messages_that_come_within_the_window_join_the_batch,
    a_batch_has_ten_messages_at_most_by_default,
    a_batch_stays_within_6_megabytes,
    maximum_concurrency_is_a_hard_limit,
);
