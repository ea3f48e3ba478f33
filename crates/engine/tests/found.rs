//! What the simulation has found, each as a test of its own.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Run, ids, mapping, until};
use pelton_core::Mapping;
use pelton_testkit::{FakeInvoker, FakeQueue, Reply};
use serde_json::json;
use tokio::time::Instant;

/// Seed 6391: the batch was 0, 1, 0, 1, so a group's order was broken and the answer meant two receipts.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_while_it_waits_is_in_its_batch_once() {
    let queue = Arc::new(FakeQueue::new(Duration::from_secs(10)));
    let failure = Reply::Returns(json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    let invoker = Arc::new(FakeInvoker::scripted([failure]));
    let window = Duration::from_secs(15);
    let mapping = Mapping { batch_size: 100, batching_window: window, visibility_heartbeat: false, ..mapping() };
    ids(0..3).iter().for_each(|id| queue.send_to_group(id, "group"));
    let started = Instant::now();
    let run = Run::start(mapping, &queue, &invoker);
    until("the batch is processed", async || queue.len() == 2).await;
    assert_eq!(invoker.batches(), [ids(0..3)]);
    assert!(started.elapsed() < Duration::from_secs(16), "the window counts from the first receive");
    assert_eq!((queue.deleted(), run.status().expired_receipts), (ids(0..1), 3));
    run.stop().await;
}
