//! How long messages stay hidden.
use pelton_tests::{Backend, Function, Pelton, eventually, mapping, on_both_backends};
use serde_json::json;

async fn a_slow_function_gets_no_duplicates(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new());
    queue.send(json!({ "do": "sleep", "seconds": 5 })).await;
    let pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    function.is_invoked(1).await;
    // Another consumer would get the message as soon as it were visible.
    assert_eq!(queue.receive(4).await, [], "hidden while the function runs");
    assert_eq!(function.seen()[0].end, None, "which it still does");
    function.is_done(1).await;
    queue.is_drained().await;
    let seen = function.seen();
    assert_eq!(seen.len(), 1, "invoked once");
    assert_eq!(seen[0].receive_counts(), ["1"]);
    assert_eq!(pelton.status(&queue)["ExpiredReceipts"], 0);
}

async fn without_the_heartbeat_it_gets_them_and_that_is_counted(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new().with_concurrency(2));
    queue.send(json!({ "do": "sleep", "seconds": 4, "times": 1 })).await;
    // Two that share the work, because one that processes a batch doesn't receive its duplicate.
    let more = json!({ "VisibilityHeartbeat": false });
    let start = || Pelton::start(&backend, &function, vec![mapping(&queue, &function, more.clone())]);
    let (one, other) = tokio::join!(start(), start());
    let seen = function.is_done(2).await;
    assert_eq!((seen[0].receive_counts(), seen[1].receive_counts()), (vec!["1"], vec!["2"]));
    assert!(seen[1].start < seen[0].end.unwrap(), "the duplicate came while the function still ran");
    eventually("the expired receipt is counted", || async {
        let expired = |pelton: &Pelton| pelton.status(&queue)["ExpiredReceipts"].as_u64().unwrap();
        expired(&one) + expired(&other) == 1
    })
    .await;
    let metrics = [one.get("/metrics").1, other.get("/metrics").1].concat();
    let is_counted = |line: &str| line.starts_with("pelton_expired_receipts_total{") && line.ends_with("} 1");
    assert!(metrics.lines().any(is_counted), "{metrics}");
    queue.is_drained().await;
}

async fn after_a_failure_a_message_comes_back_after_the_visibility_timeout(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new());
    queue.send(json!({ "do": "fail", "times": 1 })).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    let seen = function.is_done(2).await;
    let pause = seen[1].start - seen[0].start;
    // Backends round to whole seconds.
    assert!((1.0..3.5).contains(&pause), "{pause} s with a visibility timeout of 2 s");
}

async fn extended_messages_come_back_no_later_either(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new().with_timeout(3));
    // Killed after 3 s: AWS would have shown the message again after 2.
    queue.send(json!({ "do": "hang", "times": 1 })).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    let seen = function.is_invoked(2).await;
    let pause = seen[1].start - seen[0].start;
    assert!((3.0..4.8).contains(&pause), "{pause} s: at once after the failure, not another visibility timeout later");
}

on_both_backends!(
    a_slow_function_gets_no_duplicates,
    without_the_heartbeat_it_gets_them_and_that_is_counted,
    after_a_failure_a_message_comes_back_after_the_visibility_timeout,
    extended_messages_come_back_no_later_either,
);
