//! What a queue's mapping does, in paused time: batching, settling, visibility, order, concurrency, reports.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Run, ids, mapping, request_payload, until};
use pelton_core::{Condition, ErrorKind, Mapping};
use pelton_engine::Shutdown;
use pelton_testkit::{FakeDestination, FakeInvoker, FakeQueue, Fault, Reply};
use serde_json::{Value, json};
use tokio::time::Instant;

fn queue() -> Arc<FakeQueue> {
    Arc::new(FakeQueue::new(Duration::from_secs(30)))
}

fn scripted(script: Vec<Reply>) -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::scripted(script))
}

fn failures(ids: &[&str]) -> Reply {
    let items: Vec<Value> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
    Reply::Returns(json!({"batchItemFailures": items}))
}

/// A function that fails for good on some ids.
fn failing_on(bad: &'static [&'static str]) -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::deciding(move |records| {
        let ids: Vec<&str> = records.iter().filter_map(|record| record["messageId"].as_str()).collect();
        failures(&ids.into_iter().filter(|id| bad.contains(id)).collect::<Vec<_>>())
    }))
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_invoked_and_deleted() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    ids(0..10).iter().for_each(|id| queue.send(id));
    let run = Run::start(mapping(), &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [ids(0..10)]);
    assert_eq!(queue.deleted(), ids(0..10));
    let status = run.status();
    assert_eq!((status.state.as_str(), status.last_processing_result.as_str()), ("Enabled", "OK"));
    assert_eq!((status.polled, status.invoked, status.deleted, status.failed), (10, 10, 10, 0));
    assert_eq!(run.stop().await, Shutdown::Clean);
}

#[tokio::test(start_paused = true)]
async fn an_idle_poller_sees_a_message_at_once() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    let run = Run::start(mapping(), &queue, &invoker);
    tokio::time::sleep(Duration::from_secs(3_000)).await;
    let polls = queue.polls();
    assert!((140..=160).contains(&polls), "one long poll of 20 s after the other while idle, not {polls}");
    let sent = Instant::now();
    queue.send("1");
    until("it is processed", async || queue.is_empty()).await;
    assert!(invoker.seen()[0].at - sent <= Duration::from_millis(1));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_window_fills_one_batch_from_several_receives() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    let run =
        Run::start(Mapping { batch_size: 25, batching_window: Duration::from_secs(10), ..mapping() }, &queue, &invoker);
    for number in ids(0..24) {
        queue.send(&number);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(invoker.seen().is_empty(), "24 messages in 7.2 s: neither full nor over");
    let sent = Instant::now();
    queue.send("24");
    until("it is processed", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [ids(0..25)]);
    assert!(invoker.seen()[0].at - sent <= Duration::from_millis(1), "a full batch doesn't wait for its window");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_window_starts_at_the_first_message() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    let run =
        Run::start(Mapping { batch_size: 100, batching_window: Duration::from_secs(5), ..mapping() }, &queue, &invoker);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let first = Instant::now();
    queue.send("0");
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    queue.send("1");
    until("it is processed", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [ids(0..2)], "a message of the last half second is still taken along");
    let waited = invoker.seen()[0].at - first;
    assert!(waited >= Duration::from_secs(5) && waited < Duration::from_millis(5_010), "{waited:?}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_window_longer_than_the_visibility_timeout_keeps_its_messages() {
    let queue = Arc::new(FakeQueue::new(Duration::from_secs(10)));
    let invoker = scripted(vec![]);
    let run = Run::start(
        Mapping { batch_size: 100, batching_window: Duration::from_secs(60), ..mapping() },
        &queue,
        &invoker,
    );
    queue.send("0");
    until("it is processed", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [ids(0..1)]);
    assert_eq!(run.status().polled, 1, "hidden for the whole window, so received once");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_before_the_payload_limit() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    for id in ids(0..10) {
        queue.send_sized(&id, None, 1_000_000);
    }
    let run = Run::start(mapping(), &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [ids(0..6), ids(6..10)], "six events of a megabyte fit into 6,291,556 bytes");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_function_error_leaves_the_batch_to_the_visibility_timeout() {
    let (queue, invoker) = (queue(), scripted(vec![Reply::Raises]));
    ids(0..3).iter().for_each(|id| queue.send(id));
    let run = Run::start(mapping(), &queue, &invoker);
    until("it failed", async || run.status().failed == 3).await;
    assert!(queue.deleted().is_empty());
    assert!(run.status().last_processing_result.starts_with("PROBLEM: Function call failed: Unhandled: Error: raised"));
    until("the queue is empty", async || queue.is_empty()).await;
    let seen = invoker.seen();
    assert_eq!(invoker.batches(), [ids(0..3), ids(0..3)]);
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(30), "the retry interval is the visibility timeout");
    assert_eq!(run.status().last_processing_result, "OK");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_failed_items_come_back() {
    let (queue, invoker) = (queue(), scripted(vec![failures(&["1", "3"])]));
    ids(0..4).iter().for_each(|id| queue.send(id));
    let run = Run::start(mapping(), &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [ids(0..4), vec!["1".into(), "3".into()]]);
    assert_eq!(queue.deleted(), ["0", "2", "1", "3"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_queues_redrive_decides_about_its_dead_letters() {
    let queue = Arc::new(FakeQueue::new(Duration::from_secs(30)).with_maximum_receives(2));
    let (invoker, destination) = (failing_on(&["1"]), Arc::new(FakeDestination::refusing(2)));
    ids(0..3).iter().for_each(|id| queue.send(id));
    let run = Run::start_with(mapping(), &queue, &invoker, None, Some(&destination));
    until("the poison message is dead", async || queue.dead() == ["1"]).await;
    assert_eq!(invoker.batches(), [ids(0..3), vec!["1".into()]], "exactly maxReceiveCount invocations");
    let records = destination.accepted();
    assert_eq!(records.len(), 1, "one record, at the last receive");
    assert_eq!(records[0].request_context.condition, Condition::RetriesExhausted);
    assert_eq!(records[0].request_context.approximate_invoke_count, 2);
    assert_eq!(request_payload(&records[0]), r#"{"Records":[{"messageId":"1","body":""}]}"#);
    let json: Value = serde_json::from_str(&records[0].to_json().unwrap()).unwrap();
    assert_eq!(
        json["responseContext"],
        json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": null})
    );
    assert_eq!(run.status().destination_delivery_failures, 2);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_deleted_only_after_its_record_was_accepted() {
    let (queue, invoker) = (queue(), failing_on(&["1"]));
    let destination = Arc::new(FakeDestination::refusing(8));
    ids(0..3).iter().for_each(|id| queue.send(id));
    let mapping = Mapping { maximum_retry_attempts: Some(1), ..mapping() };
    let run = Run::start_with(mapping, &queue, &invoker, None, Some(&destination));
    until("the destination refuses", async || run.status().destination_delivery_failures == 7).await;
    assert_eq!(queue.deleted(), ["0", "2"]);
    assert_eq!(queue.visible(), [""; 0], "held meanwhile, far beyond its visibility timeout");
    assert!(run.status().last_processing_result.starts_with("PROBLEM: "), "{}", run.status().last_processing_result);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.batches(), [ids(0..3), vec!["1".into()]], "MaximumRetryAttempts 1: two attempts");
    assert_eq!(destination.accepted()[0].request_context.approximate_invoke_count, 2);
    assert_eq!((run.status().dropped, run.status().reported_failures), (1, 1));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_keeps_its_message_through_a_shutdown() {
    let (queue, invoker) = (queue(), failing_on(&["0"]));
    let destination = Arc::new(FakeDestination::refusing(u32::MAX));
    queue.send("0");
    let mapping = Mapping { maximum_retry_attempts: Some(0), ..mapping() };
    let run = Run::start_with(mapping, &queue, &invoker, None, Some(&destination));
    until("the destination refuses", async || run.status().destination_delivery_failures >= 3).await;
    assert_eq!(run.stop().await, Shutdown::Clean);
    assert_eq!(queue.len(), 1, "the message is still there");
}

#[tokio::test(start_paused = true)]
async fn success_is_reported_before_the_batch_is_deleted_and_for_a_bounded_time() {
    let (queue, invoker) = (queue(), scripted(vec![Reply::Returns(json!("done"))]));
    let destination = Arc::new(FakeDestination::refusing(1));
    let run = Run::start_with(
        Mapping { report_batch_item_failures: false, ..mapping() },
        &queue,
        &invoker,
        Some(&destination),
        None,
    );
    ids(0..2).iter().for_each(|id| queue.send(id));
    until("the queue is empty", async || queue.is_empty()).await;
    let record: Value = serde_json::from_str(&destination.accepted()[0].to_json().unwrap()).unwrap();
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["responsePayload"], "done");
    assert_eq!(record["requestPayload"]["Records"].as_array().unwrap().len(), 2);
    run.stop().await;

    let (queue, invoker) = (Arc::new(FakeQueue::new(Duration::from_secs(30))), scripted(vec![]));
    let destination = Arc::new(FakeDestination::refusing(u32::MAX));
    let run = Run::start_with(mapping(), &queue, &invoker, Some(&destination), None);
    queue.send("0");
    until("processing goes on without the report", async || queue.is_empty()).await;
    assert_eq!(run.status().destination_delivery_failures, 5);
    run.stop().await;
}

/// Without the heartbeat the message would come back every 30 s and be invoked again.
#[tokio::test(start_paused = true)]
async fn a_slow_function_keeps_its_messages_hidden() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(600)));
    ids(0..2).iter().for_each(|id| queue.send(id));
    let run = Run::start(Mapping { batch_size: 1, ..mapping() }, &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.seen().len(), 2);
    assert_eq!(run.status().expired_receipts, 0);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_heartbeat_an_expired_receipt_is_counted() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(45)));
    queue.send("0");
    let mapping = Mapping { visibility_heartbeat: false, maximum_concurrency: Some(2), ..mapping() };
    let run = Run::start(mapping, &queue, &invoker);
    until("the expiry is counted", async || run.status().expired_receipts >= 1).await;
    assert!(invoker.seen().len() >= 2, "the message was delivered again while its first invocation ran");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_extended_message_comes_back_no_later_than_without_extension() {
    let queue = queue();
    for (takes, returns_after) in [(20, 30), (50, 50)] {
        let invoker = Arc::new(FakeInvoker::scripted([Reply::Raises]).taking(Duration::from_secs(takes)));
        queue.send("0");
        let run = Run::start(mapping(), &queue, &invoker);
        until("the message came back", async || invoker.seen().len() == 2).await;
        let seen = invoker.seen();
        let after = seen[1].at - seen[0].at;
        let expected = Duration::from_secs(returns_after);
        assert!(after >= expected && after < expected + Duration::from_secs(1), "{takes}: {after:?}");
        until("the queue is empty", async || queue.is_empty()).await;
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_extension_is_tried_again_in_time() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(100)));
    queue.send("0");
    queue.fail([Fault::Extend(ErrorKind::Transient)]);
    let run = Run::start(mapping(), &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.seen().len(), 1);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failed_deletes_are_repeated() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    queue.fail([Fault::Settle(ErrorKind::Transient), Fault::SettleOne, Fault::SettleOne]);
    ids(0..3).iter().for_each(|id| queue.send(id));
    let run = Run::start(mapping(), &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.seen().len(), 1);
    assert_eq!(run.status().deleted, 3);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn throttles_and_service_errors_are_waited_out_without_a_second_receive() {
    let queue = queue();
    let refusals = [
        Reply::Refuses(ErrorKind::Throttled { retry_after: Some(Duration::from_secs(40)) }),
        Reply::Refuses(ErrorKind::Transient),
        Reply::Refuses(ErrorKind::Refused),
    ];
    let invoker = scripted(refusals.into());
    queue.send("0");
    let run = Run::start(mapping(), &queue, &invoker);
    until("the function is refused", async || run.status().last_error.is_some()).await;
    assert!(run.status().last_processing_result.starts_with("PROBLEM: Function call failed: work: refused"));
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.seen().len(), 4);
    assert!(invoker.seen()[1].at - invoker.seen()[0].at >= Duration::from_secs(40), "retry-after wins");
    let status = run.status();
    assert_eq!((status.polled, status.failed), (1, 0), "one receive, no function error");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_can_never_be_accepted_counts_as_failed() {
    let queue = Arc::new(FakeQueue::new(Duration::from_secs(30)).with_maximum_receives(1));
    let invoker = scripted(vec![Reply::Refuses(ErrorKind::Payload)]);
    queue.send("0");
    let run = Run::start(mapping(), &queue, &invoker);
    until("it is dead", async || queue.dead() == ["0"]).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pollers_grow_with_the_load_and_shrink_when_it_is_over() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1)));
    ids(0..500).iter().for_each(|id| queue.send(id));
    let started = Instant::now();
    let run = Run::start(mapping(), &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert!(started.elapsed() < Duration::from_secs(12), "50 batches of a second each took {:?}", started.elapsed());
    assert!(invoker.most_at_once() >= 8, "{} at once", invoker.most_at_once());
    until("one poller is left", async || run.status().pollers == 1).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn maximum_concurrency_is_a_hard_limit_and_nothing_more_is_received() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1)));
    ids(0..100).iter().for_each(|id| queue.send(id));
    let run = Run::start(Mapping { batch_size: 1, maximum_concurrency: Some(3), ..mapping() }, &queue, &invoker);
    until("the queue is half empty", async || {
        let hidden = queue.len() - queue.visible().len();
        assert!(hidden <= 3, "{hidden} messages are held for 3 invocations");
        queue.len() < 50
    })
    .await;
    assert_eq!(invoker.most_at_once(), 3);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_function_with_few_slots_leaves_messages_in_the_queue() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1)).with_slots(2));
    ids(0..40).iter().for_each(|id| queue.send(id));
    let run = Run::start(Mapping { batch_size: 1, ..mapping() }, &queue, &invoker);
    until("the queue is empty", async || {
        let hidden = queue.len() - queue.visible().len();
        assert!(hidden <= 2, "{hidden} messages are held for 2 slots");
        queue.is_empty()
    })
    .await;
    assert_eq!(invoker.most_at_once(), 2);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_mappings_share_a_function_of_one_slot() {
    let (busy, quiet) = (queue(), queue());
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_millis(100)).with_slots(1));
    ids(0..200).iter().for_each(|id| busy.send(id));
    let one = Run::start(Mapping { batch_size: 1, ..mapping() }, &busy, &invoker);
    let other = Run::start(mapping(), &quiet, &invoker);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let sent = Instant::now();
    quiet.send("quiet");
    until("the quiet queue's message is processed", async || quiet.is_empty()).await;
    assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
    assert!(!busy.is_empty(), "while the busy queue is still at work");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn message_groups_keep_their_order_and_do_not_hold_each_other_up() {
    let queue = queue();
    for (id, group) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b"), ("a3", "a"), ("b3", "b")] {
        queue.send_to_group(id, group);
    }
    let invoker = failing_on(&["a2"]);
    let run = Run::start(mapping(), &queue, &invoker);
    until("group b is done", async || ["b1", "b2", "b3"].iter().all(|id| queue.deleted().contains(&(*id).into())))
        .await;
    let batches = invoker.batches();
    assert_eq!(batches.len(), 2, "one batch a group");
    assert!(batches.contains(&vec!["a1".into(), "a2".into(), "a3".into()]));
    assert!(queue.deleted().contains(&"a1".to_owned()) && !queue.deleted().contains(&"a3".to_owned()));
    until("the failed one comes back", async || invoker.seen().len() >= 3).await;
    assert_eq!(invoker.batches()[2], ["a2", "a3"], "the failed message and what follows, in order");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_in_trouble_recovers_by_itself() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    queue.fail([
        Fault::Poll(ErrorKind::Refused),
        Fault::Poll(ErrorKind::Transient),
        Fault::Poll(ErrorKind::Throttled { retry_after: None }),
    ]);
    let run = Run::start(mapping(), &queue, &invoker);
    until("the problem shows", async || run.status().last_processing_result == "PROBLEM: fault").await;
    assert_eq!(run.status().state, "Enabled", "the mapping stays");
    queue.send("0");
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(run.status().last_processing_result, "OK");
    assert_eq!(run.status().last_error.unwrap().message, "fault", "the last error stays visible");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_invocations_end_and_releases_the_rest() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(10)));
    let run = Run::start(mapping(), &queue, &invoker);
    queue.send("0");
    until("it is invoked", async || invoker.seen().len() == 1).await;
    assert_eq!(run.stop().await, Shutdown::Clean);
    assert_eq!(queue.deleted(), ["0"]);

    let run = Run::start(
        Mapping { batch_size: 100, batching_window: Duration::from_secs(200), ..mapping() },
        &queue,
        &invoker,
    );
    queue.send("1");
    until("it is received", async || run.status().polled == 1).await;
    assert_eq!(run.stop().await, Shutdown::Clean);
    assert_eq!(queue.visible(), ["1"], "received but not invoked: visible at once");
    assert_eq!(invoker.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_cut_at_the_end_of_the_grace_period() {
    let queue = queue();
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(1_000)));
    let run = Run::start(mapping(), &queue, &invoker);
    queue.send("0");
    until("it is invoked", async || invoker.seen().len() == 1).await;
    let started = Instant::now();
    assert_eq!(run.stop().await, Shutdown::Cut);
    assert!(started.elapsed() < Duration::from_secs(31));
    assert_eq!(queue.len(), 1, "the message comes again");
}

#[tokio::test(start_paused = true)]
async fn a_disabled_mapping_does_not_poll() {
    let (queue, invoker) = (queue(), scripted(vec![]));
    queue.send("0");
    let tags = [("team".to_owned(), "shop".to_owned())].into();
    let run = Run::start(Mapping { enabled: false, tags, ..mapping() }, &queue, &invoker);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let status = run.status();
    assert_eq!((queue.polls(), status.state.as_str()), (0, "Disabled"));
    assert_eq!(status.tags["team"], "shop", "it is still listed, with its tags");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panicking_function_call_does_not_end_the_mapping() {
    let queue = queue();
    let panicked = std::sync::atomic::AtomicBool::new(false);
    let invoker = Arc::new(FakeInvoker::deciding(move |_| {
        assert!(panicked.swap(true, std::sync::atomic::Ordering::Relaxed), "a bug");
        Reply::Returns(Value::Null)
    }));
    queue.send("0");
    let run = Run::start(mapping(), &queue, &invoker);
    until("the queue is empty", async || queue.is_empty()).await;
    assert_eq!(invoker.seen().len(), 2);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_queue_keeps_a_queues_promises() {
    let queue = FakeQueue::new(pelton_testkit::conformance::VISIBILITY);
    pelton_testkit::conformance::queue_suite(&queue, async |body| queue.send(&body)).await;
}
