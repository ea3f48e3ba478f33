//! Asynchronous invocation: what is accepted is executed, retried, and told to destinations, as spec 9 and 10 have it.
//!
//! Lambda's minutes are scaled down by `DelayScale`, so that a minute is six tenths of a second.
mod dead_letters;
mod destinations;
mod faults;
mod lost;
mod operator;
mod replicas;
mod retries;
mod stop;
mod upstream;

use pelton_tests::{Backend, Function, Pelton, Queue, body};
use serde_json::{Value, json};

/// A minute takes so many seconds.
const MINUTE: f64 = 0.6;
const SCALE: f64 = 0.01;

/// Pelton with local functions, each with more fields of its own.
async fn start(backend: &Backend, functions: &[(&Function, Value)]) -> Pelton {
    let entries: Vec<Value> = functions.iter().map(|(function, more)| with(function.entry(), more)).collect();
    Pelton::run(json!({
        "Endpoint": backend.endpoint, "Functions": entries, "AsyncInvocation": { "DelayScale": SCALE },
    }))
    .await
}

fn with(mut entry: Value, more: &Value) -> Value {
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

/// `DestinationConfig` with both destinations.
fn to(success: &str, failure: &str) -> Value {
    json!({ "OnSuccess": { "Destination": success }, "OnFailure": { "Destination": failure } })
}

/// The only record that a queue gets, without what is another each time.
async fn record(queue: &Queue) -> Value {
    let record = body(&queue.take(1).await[0]);
    assert_eq!(queue.counts().await, (0, 0), "one record");
    record
}

/// A record whose times and ids are checked for their form and replaced.
fn masked(mut record: Value, request_id: &str) -> Value {
    let timestamp = record["timestamp"].as_str().unwrap().to_owned();
    assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
    assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
    record["timestamp"] = json!("<timestamp>");
    assert_eq!(record["requestContext"]["requestId"], request_id);
    record["requestContext"]["requestId"] = json!("<request id>");
    if record["responsePayload"]["requestId"] == request_id {
        record["responsePayload"]["requestId"] = json!("<request id>");
    }
    if record["responsePayload"]["stackTrace"].is_array() {
        record["responsePayload"]["stackTrace"] = json!("<stack>");
    }
    record
}

const WORK: &str = "arn:aws:lambda:us-east-1:000000000000:function:work:$LATEST";

/// The record of an invocation of `work` that failed each time.
fn failure(condition: &str, count: u64, payload: &Value) -> Value {
    json!({
        "version": "1.0",
        "timestamp": "<timestamp>",
        "requestContext": {
            "requestId": "<request id>", "functionArn": WORK, "condition": condition, "approximateInvokeCount": count,
        },
        "requestPayload": payload,
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": {
            "errorMessage": "told to fail", "errorType": "ValueError", "requestId": "<request id>", "stackTrace": "<stack>",
        },
    })
}
