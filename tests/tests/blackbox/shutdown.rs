//! How Pelton ends, in order and not.
use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use pelton_tests::{Backend, Function, Pelton, eventually, mapping, on_both_backends, on_ministack};
use serde_json::json;
use tokio::time::Instant;

async fn sigterm_lets_the_batch_end(backend: Backend) {
    let (queue, function) = (backend.queue(20).await, Function::new());
    queue.send(json!({ "do": "sleep", "seconds": 2 })).await;
    let mut pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    function.is_invoked(1).await;
    pelton.terminate();
    let status = pelton.ends(Duration::from_secs(15)).await;
    assert_eq!(status.code(), Some(0));
    assert!(function.seen()[0].end.is_some(), "the invocation came to its end");
    assert_eq!(queue.counts().await, (0, 0), "and its message was deleted");
}

async fn what_was_not_invoked_is_visible_again_at_once(backend: Backend) {
    let (queue, function) = (backend.queue(60).await, Function::new());
    queue.send_all((0..3).map(|i| i.to_string())).await;
    let more = json!({ "BatchSize": 100, "MaximumBatchingWindowInSeconds": 60 });
    let mut pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    eventually("all are received", || async { queue.counts().await == (0, 3) }).await;
    pelton.terminate();
    assert_eq!(pelton.ends(Duration::from_secs(15)).await.code(), Some(0));
    assert_eq!(function.seen().len(), 0);
    let mut received = queue.receive(0).await;
    if received.len() < 3 {
        received.extend(queue.receive(0).await);
    }
    assert_eq!(received.len(), 3, "long before the 60 s of the visibility timeout");
    for message in received {
        let count = &message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount];
        assert_eq!(count, "2");
    }
}

async fn a_second_signal_ends_it_at_once(backend: Backend) {
    let (queue, function) = (backend.queue(20).await, Function::new());
    queue.send(json!({ "do": "sleep", "seconds": 15 })).await;
    let mut pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    function.is_invoked(1).await;
    pelton.terminate();
    eventually("it is stopping", || async { pelton.log().contains("waiting for invocations in flight") }).await;
    let start = Instant::now();
    pelton.terminate();
    assert_eq!(pelton.ends(Duration::from_secs(5)).await.code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_ne!(queue.counts().await, (0, 0), "the message is not lost");
}

async fn the_grace_period_is_the_longest_it_waits(backend: Backend) {
    let (queue, function) = (backend.queue(20).await, Function::new());
    queue.send(json!({ "do": "sleep", "seconds": 15 })).await;
    let mut pelton = Pelton::run(json!({
        "Endpoint": backend.endpoint, "Functions": [function.entry()], "GracePeriodSeconds": 4,
        "EventSourceMappings": [mapping(&queue, &function, json!({}))],
    }))
    .await;
    function.is_invoked(1).await;
    let start = Instant::now();
    pelton.terminate();
    assert_eq!(pelton.ends(Duration::from_secs(10)).await.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    assert_ne!(queue.counts().await, (0, 0), "the message is not lost");
}

/// MiniStack, the faster one.
async fn kill_in_the_middle_of_2000_messages_loses_nothing(backend: Backend) {
    const MESSAGES: usize = 2000;
    let (queue, function) = (backend.queue(3).await, Function::new().with_concurrency(2));
    let sent: HashSet<String> = queue.send_all((0..MESSAGES).map(|i| i.to_string())).await.into_iter().collect();
    assert_eq!(sent.len(), MESSAGES);
    let processed = || -> HashSet<String> {
        let done = function.seen().into_iter().filter(|seen| seen.end.is_some());
        let ids = done.flat_map(|seen| seen.records().iter().map(|it| it["messageId"].clone()).collect::<Vec<_>>());
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let start = || Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]);
    for part in [MESSAGES / 4, MESSAGES / 2] {
        let mut pelton = start().await;
        eventually("it is in the middle", || async { processed().len() >= part }).await;
        pelton.kill();
        assert!(processed().len() < MESSAGES, "killed in the middle");
    }
    let _pelton = start().await;
    queue.is_drained().await;
    assert_eq!(processed(), sent, "each message was processed");
}

on_both_backends!(
    sigterm_lets_the_batch_end,
    what_was_not_invoked_is_visible_again_at_once,
    a_second_signal_ends_it_at_once,
    the_grace_period_is_the_longest_it_waits,
);
mod killed {
    use super::*;
    on_ministack!(kill_in_the_middle_of_2000_messages_loses_nothing);
}
