//! `AsyncQueue`: events in a queue that several processes share.
use std::collections::BTreeSet;

use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::stream::{self, StreamExt as _};
use pelton_tests::{Backend, Function, Pelton, Queue, body, on_both_backends};
use serde_json::{Value, json};

use super::{SCALE, failure, masked, record, to};

const EVENTS: usize = 200;

/// A queue of events, and one process of those that share it.
async fn start(backend: &Backend, events: &Queue, function: &Function, more: &Value) -> Pelton {
    Pelton::run(json!({
        "Endpoint": backend.endpoint, "AsyncQueue": events.arn, "AsyncInvocation": { "DelayScale": SCALE },
        "Functions": [super::with(function.entry(), more)],
    }))
    .await
}

async fn events(backend: &Backend, visibility: u32) -> Queue {
    let largest = (QueueAttributeName::MaximumMessageSize, "262144".to_owned());
    backend.create_queue(&Backend::name("events"), visibility, &[largest]).await
}

async fn an_event_is_retried_and_reported_as_from_the_embedded_queue(backend: Backend) {
    let (queue, function) = (events(&backend, 30).await, Function::new());
    let (done, failed) = (backend.queue(30).await, backend.queue(30).await);
    let more = json!({ "EventInvokeConfig": { "DestinationConfig": to(&done.arn, &failed.arn) } });
    let pelton = start(&backend, &queue, &function, &more).await;
    let payload = json!({ "do": "fail" });
    let id = pelton.invoke_later("work", &payload).await;
    assert_eq!(masked(record(&failed).await, &id), failure("RetriesExhausted", 3, &payload));
    let seen = function.seen();
    assert_eq!(seen.iter().map(|seen| seen.id.as_str()).collect::<Vec<_>>(), [id.as_str(); 3]);
    let id = pelton.invoke_later("work", &json!({ "id": 7 })).await;
    assert_eq!(body(&done.take(1).await[0])["requestContext"]["requestId"], id);
    queue.is_drained().await;
}

/// What one has accepted, and was working on when it was killed, another executes.
async fn a_replica_takes_over_what_a_killed_one_had(backend: Backend) {
    let (queue, first, second) = (events(&backend, 2).await, Function::new(), Function::new());
    let mut killed = start(&backend, &queue, &first, &json!({})).await;
    let accepted: Vec<u64> = stream::iter(0..EVENTS as u64)
        .map(|n| {
            let killed = &killed;
            async move {
                killed.invoke_later("work", &json!({ "do": "sleep", "seconds": 0.05, "n": n })).await;
                n
            }
        })
        .buffer_unordered(20)
        .collect()
        .await;
    first.is_invoked(3).await;
    killed.kill();
    let _other = start(&backend, &queue, &second, &json!({})).await;
    let executed = || {
        let all = first.seen().into_iter().filter(|seen| seen.end.is_some()).chain(second.seen());
        all.map(|seen| seen.event["n"].as_u64().unwrap()).collect::<BTreeSet<_>>()
    };
    let limit = std::time::Duration::from_secs(90);
    pelton_testkit::eventually("all are executed", limit, || async { executed().len() == EVENTS }).await;
    assert_eq!(executed(), accepted.into_iter().collect());
    queue.is_drained_within(limit).await;
    assert!(second.seen().len() <= EVENTS, "what the first had done isn't done again, but for what it was working on");
}

async fn without_its_queue_nothing_is_accepted(backend: Backend) {
    let (queue, function) = (events(&backend, 30).await, Function::new());
    let pelton = start(&backend, &queue, &function, &json!({})).await;
    queue.delete().await;
    pelton_tests::eventually("it is refused", || async {
        let refused = pelton.invoke("work", &[("X-Amz-Invocation-Type", "Event")], &json!({})).await;
        refused.status == 503 && refused.header("x-amzn-errortype") == "ServiceException"
    })
    .await;
}

on_both_backends!(
    an_event_is_retried_and_reported_as_from_the_embedded_queue,
    a_replica_takes_over_what_a_killed_one_had,
    without_its_queue_nothing_is_accepted,
);
