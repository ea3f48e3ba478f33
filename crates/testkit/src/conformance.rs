//! What every queue-like [`Source`] promises, checked against the fake and against each real one: only what both pass
//! may be relied upon by the engine.
//!
//! A test gives a fresh, empty queue with a visibility timeout of [`VISIBILITY`] and a way to send to it.
#![allow(clippy::expect_used, reason = "a failed expectation is what the suite is for")]

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use pelton_core::{Cursor, Disposition, PartitionId, Record, Source};
use tokio::time::Instant;

/// The visibility timeout that the suite expects.
pub const VISIBILITY: Duration = Duration::from_secs(2);

/// Tolerance for real servers, which round times and take some.
const SLACK: Duration = Duration::from_millis(1_500);

fn queue() -> PartitionId {
    PartitionId("queue".into())
}

async fn poll(source: &dyn Source, max: usize, wait: u64) -> Vec<Record> {
    let wait = Duration::from_secs(wait);
    source.poll(&queue(), &mut Cursor::default(), max, wait).await.expect("the poll works").records
}

async fn settle(source: &dyn Source, record: &Record, disposition: Disposition) {
    let settled = [(record.receipt.clone(), disposition)];
    let unsettled = source.settle(&queue(), &settled).await.expect("settling works");
    assert_eq!(unsettled, [], "everything is settled");
}

/// Runs the suite. `send` sends a message with a body.
pub async fn queue_suite<F: Future<Output = ()>>(source: &dyn Source, send: impl Fn(String) -> F) {
    // An empty queue: the poll ends by itself, soon after its wait, with nothing and without an error.
    let start = Instant::now();
    assert_eq!(poll(source, 10, 1).await, []);
    assert!(start.elapsed() <= Duration::from_secs(1) + SLACK, "a poll ends soon after its wait");

    // A message is hidden once it was handed out, and says how long.
    send("one".into()).await;
    let polled =
        source.poll(&queue(), &mut Cursor::default(), 10, Duration::from_secs(5)).await.expect("the poll works");
    assert_eq!(polled.hidden_for, Some(VISIBILITY));
    let [first] = polled.records.try_into().expect("one message");
    let received = Instant::now();
    assert_eq!(first.receive_count, 1);
    assert_eq!(poll(source, 10, 0).await, [], "hidden while it is held");

    // It comes back by itself after the visibility timeout: same id, other receipt, one more receive.
    let [second] = poll(source, 10, 5).await.try_into().expect("the message comes back");
    assert!(received.elapsed() + Duration::from_millis(1_100) >= VISIBILITY, "not before its time");
    assert!(received.elapsed() <= VISIBILITY + SLACK, "soon after its time");
    assert_eq!((second.id.as_str(), second.receive_count), (first.id.as_str(), 2));
    assert_ne!(second.receipt, first.receipt);

    // Extended, it stays hidden past its time.
    let unsettled = source.extend(&queue(), std::slice::from_ref(&second.receipt), Duration::from_secs(4)).await;
    assert_eq!(unsettled.expect("extending works"), []);
    assert_eq!(poll(source, 10, 3).await, [], "hidden while it is extended");

    // Handed back with zero, it is there at once; handed back without a time, it is left alone.
    settle(source, &second, Disposition::Returned { after: Some(Duration::ZERO) }).await;
    let [third] = poll(source, 10, 5).await.try_into().expect("the message is visible at once");
    assert_eq!(third.receive_count, 3);
    settle(source, &third, Disposition::Returned { after: None }).await;
    assert_eq!(poll(source, 10, 0).await, [], "still hidden");

    // Delivered, it is gone for good.
    settle(source, &third, Disposition::Delivered).await;
    assert_eq!(poll(source, 10, VISIBILITY.as_secs() + 1).await, [], "a delivered message never comes back");

    // One poll gives at most what was asked for, also beyond one call of the service; settling takes any number.
    for number in 0..25 {
        send(format!("many {number}")).await;
    }
    let [single] = poll(source, 1, 5).await.try_into().expect("a poll gives at most what was asked for");
    settle(source, &single, Disposition::Discarded).await;
    assert_eq!(source.settle(&queue(), &[]).await.expect("settling nothing works"), []);
    let (mut ids, mut largest) = (BTreeSet::from([single.id]), 0);
    let start = Instant::now();
    while ids.len() < 25 && start.elapsed() < Duration::from_secs(20) {
        let records = poll(source, 24, 1).await;
        largest = largest.max(records.len());
        let all: Vec<_> = records.iter().map(|record| (record.receipt.clone(), Disposition::Delivered)).collect();
        assert_eq!(source.settle(&queue(), &all).await.expect("settling works"), []);
        ids.extend(records.into_iter().map(|record| record.id));
    }
    assert_eq!(ids.len(), 25, "every message came");
    assert!(largest > 10, "a poll goes beyond one call of the service, the largest gave {largest}");
    assert_eq!(poll(source, 10, VISIBILITY.as_secs() + 1).await, [], "nothing is left");
}
