//! Filter criteria in the poller, in paused time: what is filtered is settled, counted, and never in the way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Run, ids, mapping, until};
use pelton_core::{ErrorKind, Mapping};
use pelton_pattern::{Decoding, Filters};
use pelton_testkit::{FakeInvoker, FakeQueue, Fault, Reply};
use tokio::time::Instant;

/// Lets messages through whose id begins with `+`.
fn only_plus() -> Filters {
    Filters::compile(&[r#"{"messageId": [{"prefix": "+"}]}"#], Decoding::Sqs).unwrap()
}

fn queue() -> Arc<FakeQueue> {
    Arc::new(FakeQueue::new(Duration::from_secs(30)))
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test(start_paused = true)]
async fn what_does_not_match_is_deleted_and_counted_and_never_invoked() {
    let (queue, invoker) = (queue(), Arc::new(FakeInvoker::scripted(vec![])));
    ["-1", "+2", "-3", "+4"].iter().for_each(|id| queue.send(id));
    let run = Run::start(Mapping { filters: only_plus(), ..mapping() }, &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [["+2", "+4"]]);
    assert_eq!(sorted(queue.deleted()), ["+2", "+4", "-1", "-3"]);
    let status = run.status();
    assert_eq!((status.polled, status.filtered, status.invoked, status.deleted), (4, 2, 2, 4));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batching_window_gathers_what_matches_and_deletes_the_rest_at_once() {
    let (queue, invoker) = (queue(), Arc::new(FakeInvoker::scripted(vec![])));
    let window = Duration::from_secs(20);
    let mapping = Mapping { filters: only_plus(), batch_size: 3, batching_window: window, ..mapping() };
    let run = Run::start(mapping, &queue, &invoker);
    ["+1", "-2", "-3", "-4", "-5"].iter().for_each(|id| queue.send(id));
    until("the rest is deleted", async || queue.deleted().len() == 4).await;
    assert!(invoker.seen().is_empty(), "one of three, and the window has just begun");
    ["+6", "+7"].iter().for_each(|id| queue.send(id));
    let sent = Instant::now();
    until("the queue is empty", async || queue.is_empty()).await;
    assert!(sent.elapsed() < Duration::from_secs(1), "three that match are a full batch");
    assert_eq!(invoker.batches(), [["+1", "+6", "+7"]]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_fails_is_repeated_and_holds_up_nothing() {
    let (queue, invoker) = (queue(), Arc::new(FakeInvoker::scripted(vec![])));
    ["-1", "-2"].iter().for_each(|id| queue.send(id));
    queue.fail([Fault::Settle(ErrorKind::Transient), Fault::SettleOne]);
    let run = Run::start(Mapping { filters: only_plus(), ..mapping() }, &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    queue.send("+3");
    until("the function was invoked", async || invoker.seen().len() == 1).await;
    assert_eq!(sorted(queue.deleted())[1..], ["-1", "-2"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_function_does_not_bring_filtered_messages_back() {
    let (queue, invoker) = (queue(), Arc::new(FakeInvoker::scripted(vec![Reply::Raises])));
    ["-1", "+2"].iter().for_each(|id| queue.send(id));
    let run = Run::start(Mapping { filters: only_plus(), ..mapping() }, &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [["+2"], ["+2"]]);
    assert_eq!(run.status().filtered, 1);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pollers_are_added_also_when_little_matches() {
    let (queue, invoker) = (queue(), Arc::new(FakeInvoker::scripted(vec![]).taking(Duration::from_secs(1))));
    for id in ids(0..1_000) {
        queue.send(&format!("{}{id}", if id.ends_with('0') { "+" } else { "-" }));
    }
    let run = Run::start(Mapping { filters: only_plus(), ..mapping() }, &queue, &invoker);
    let start = Instant::now();
    until("the queue is empty", async || queue.is_empty()).await;
    assert!(start.elapsed() < Duration::from_secs(40), "a poller alone needs 100 s: {:?}", start.elapsed());
    assert_eq!(invoker.seen().len(), 100);
    run.stop().await;
}
