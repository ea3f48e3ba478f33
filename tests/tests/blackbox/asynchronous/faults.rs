//! A fifth of all calls goes wrong: of destinations, of the Lambda behind Pelton, of the queue that replicas share.
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use pelton_testkit::fault_proxy::{FaultProxy, Rule};
use pelton_tests::{Backend, Function, Pelton, Queue, body, on_ministack, seed};
use serde_json::{Value, json};

use super::{SCALE, with};

const PERCENT: u64 = 20;
const EVENTS: u64 = 300;
const LIMIT: Duration = Duration::from_secs(120);

async fn proxy(endpoint: &str) -> FaultProxy {
    FaultProxy::start(endpoint, seed(), vec![Rule::everything(PERCENT)]).await.unwrap()
}

/// Every tenth always fails, another tenth fails once.
fn order(n: u64) -> Value {
    match n % 10 {
        9 => json!({ "do": "fail", "n": n }),
        4 => json!({ "do": "fail", "times": 1, "n": n }),
        _ => json!({ "n": n }),
    }
}

fn always_fails(n: &u64) -> bool {
    n % 10 == 9
}

/// Invokes with every number, and gives those that were accepted.
async fn invoke_all(pelton: &Pelton, function: &str) -> BTreeSet<u64> {
    let event = [("X-Amz-Invocation-Type", "Event")];
    let accepted = stream::iter(0..EVENTS).map(|n| async move {
        let answer = pelton.invoke(function, &event, &order(n)).await;
        assert!([202, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 202).then_some(n)
    });
    accepted.buffer_unordered(20).filter_map(|n| async move { n }).collect().await
}

/// Waits until a queue has got something of each of these numbers, and of no other.
async fn gets(queue: &Queue, expected: &BTreeSet<u64>, number: impl Fn(&Value) -> u64) {
    let mut found = BTreeSet::new();
    let all = async {
        while !expected.is_subset(&found) {
            found.extend(queue.receive(1).await.iter().map(|message| number(&body(message))));
        }
    };
    let ended = tokio::time::timeout(LIMIT, all).await;
    let lacking: Vec<_> = expected.difference(&found).collect();
    assert!(ended.is_ok(), "nothing came of {lacking:?}");
    assert_eq!(&found, expected);
}

fn of_record(record: &Value) -> u64 {
    record["requestPayload"]["n"].as_u64().unwrap()
}

fn executed(function: &Function) -> BTreeSet<u64> {
    function.seen().iter().filter(|seen| seen.end.is_some()).map(|seen| seen.event["n"].as_u64().unwrap()).collect()
}

async fn no_report_is_lost_when_destinations_fail(backend: Backend) {
    let function = Function::new().with_concurrency(4);
    let (failed, dead) = (backend.queue(30).await, backend.queue(30).await);
    let proxy = proxy(&backend.endpoint).await;
    let more = json!({
        "DeadLetterConfig": { "TargetArn": dead.arn },
        "EventInvokeConfig": { "DestinationConfig": { "OnFailure": { "Destination": failed.arn } } },
    });
    let mut pelton = Pelton::run(json!({
        "Endpoint": proxy.endpoint, "Functions": [with(function.entry(), &more)],
        "AsyncInvocation": { "DelayScale": SCALE },
    }))
    .await;
    let accepted = invoke_all(&pelton, "work").await;
    assert_eq!(accepted.len() as u64, EVENTS, "the embedded queue doesn't fail");
    let failing: BTreeSet<u64> = accepted.iter().copied().filter(always_fails).collect();
    gets(&failed, &failing, of_record).await;
    gets(&dead, &failing, |event| event["n"].as_u64().unwrap()).await;
    let waiting = || async { pelton.get("/status/functions").1.contains("\"Waiting\":0,") };
    pelton_testkit::eventually("none waits", LIMIT, waiting).await;
    assert_eq!(executed(&function), accepted);
    assert!(proxy.calls()["SendMessage"].faults() > 0, "{:?}", proxy.calls());
    assert!(pelton.is_alive());
}

/// Errors of the service use up no attempts: every event succeeds in the end.
async fn every_event_succeeds_although_lambda_fails(backend: Backend) {
    let (name, done) = (Backend::name("function"), backend.queue(30).await);
    backend.create_function(&name, "def handler(event, context):\n    return event\n").await;
    let proxy = proxy(&backend.endpoint).await;
    let settings = json!({ "FunctionName": name, "EventInvokeConfig": {
        "DestinationConfig": { "OnSuccess": { "Destination": done.arn } },
    } });
    let pelton = Pelton::run(json!({
        "Endpoint": backend.endpoint, "Endpoints": { "Lambda": proxy.endpoint }, "Functions": [settings],
        "AsyncInvocation": { "DelayScale": SCALE },
    }))
    .await;
    let event = [("X-Amz-Invocation-Type", "Event")];
    let mut accepted = BTreeSet::new();
    for n in 0..60 {
        // Whether the function is there could not be asked for: 503.
        while pelton.invoke(&name, &event, &json!({ "n": n })).await.status != 202 {}
        accepted.insert(n);
    }
    gets(&done, &accepted, of_record).await;
    assert!(proxy.calls()["Invoke"].faults() > 0, "{:?}", proxy.calls());
}

async fn what_the_shared_queue_has_accepted_is_executed(backend: Backend) {
    let (events, function) = (backend.queue(3).await, Function::new().with_concurrency(4));
    let failed = backend.queue(30).await;
    let proxy = proxy(&backend.endpoint).await;
    let more = json!({ "EventInvokeConfig": {
        "DestinationConfig": { "OnFailure": { "Destination": failed.arn } },
    } });
    let mut pelton = Pelton::run(json!({
        "Endpoint": proxy.endpoint, "AsyncQueue": events.arn, "Functions": [with(function.entry(), &more)],
        "AsyncInvocation": { "DelayScale": SCALE },
    }))
    .await;
    let accepted = invoke_all(&pelton, "work").await;
    assert!(accepted.len() as u64 > EVENTS / 2, "most are accepted: {}", accepted.len());
    pelton_testkit::eventually("what was accepted is executed", LIMIT, || async {
        accepted.is_subset(&executed(&function))
    })
    .await;
    events.is_drained_within(LIMIT).await;
    // One that was refused can have been kept all the same, where the answer was lost.
    let failing: BTreeSet<u64> = executed(&function).iter().copied().filter(always_fails).collect();
    gets(&failed, &failing, of_record).await;
    for operation in ["SendMessage", "ReceiveMessage", "DeleteMessageBatch"] {
        assert!(proxy.calls()[operation].faults() > 0, "{operation}: {:?}", proxy.calls());
    }
    assert!(pelton.is_alive());
}

on_ministack!(
    no_report_is_lost_when_destinations_fail,
    every_event_succeeds_although_lambda_fails,
    what_the_shared_queue_has_accepted_is_executed,
);
