//! Dead-letter queues: the event itself, and why in attributes (spec 10.3).
use aws_sdk_sqs::types::Message;
use pelton_tests::{Backend, Function, body, on_both_backends};
use serde_json::{Value, json};

use super::{failure, masked, record, start};

/// Names, types and values, in the order of the names.
fn attributes(message: &Message) -> Vec<(String, String, String)> {
    let mut found: Vec<_> = message
        .message_attributes()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            (name.clone(), value.data_type().to_owned(), value.string_value().unwrap_or_default().to_owned())
        })
        .collect();
    found.sort();
    found
}

fn expected(id: &str) -> Vec<(String, String, String)> {
    let attribute = |name: &str, kind: &str, value: &str| (name.to_owned(), kind.to_owned(), value.to_owned());
    vec![
        attribute("ErrorCode", "Number", "200"),
        attribute("ErrorMessage", "String", "told to fail"),
        attribute("RequestID", "String", id),
    ]
}

async fn a_queue_gets_the_event_beside_the_destinations_record(backend: Backend) {
    let (function, dead, failed) = (Function::new(), backend.queue(30).await, backend.queue(30).await);
    let settings = json!({
        "DeadLetterConfig": { "TargetArn": dead.arn },
        "EventInvokeConfig": {
            "MaximumRetryAttempts": 0, "DestinationConfig": { "OnFailure": { "Destination": failed.arn } },
        },
    });
    let pelton = start(&backend, &[(&function, settings)]).await;
    let payload = json!({ "do": "fail" });
    let id = pelton.invoke_later("work", &payload).await;
    let letter = dead.take(1).await.remove(0);
    assert_eq!(letter.body().unwrap(), payload.to_string());
    assert_eq!(attributes(&letter), expected(&id));
    assert_eq!(masked(record(&failed).await, &id), failure("RetriesExhausted", 1, &payload));
    assert_eq!(dead.counts().await, (0, 0));
}

async fn three_attempts_come_before_the_dead_letter_queue(backend: Backend) {
    let (function, dead) = (Function::new(), backend.queue(30).await);
    let pelton = start(&backend, &[(&function, json!({ "DeadLetterConfig": { "TargetArn": dead.arn } }))]).await;
    let id = pelton.invoke_later("work", &json!({ "do": "fail" })).await;
    let letter = dead.take(1).await.remove(0);
    assert_eq!(attributes(&letter), expected(&id));
    assert_eq!(function.seen().len(), 3);
}

async fn a_topic_gets_the_event_with_the_same_attributes(backend: Backend) {
    let (function, subscriber) = (Function::new(), backend.queue(30).await);
    let topic = backend.sns.create_topic().name(Backend::name("topic")).send().await.unwrap();
    let topic = topic.topic_arn().unwrap();
    let subscribe = backend.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(&subscriber.arn);
    subscribe.send().await.unwrap();
    let settings = json!({
        "DeadLetterConfig": { "TargetArn": topic }, "EventInvokeConfig": { "MaximumRetryAttempts": 0 },
    });
    let pelton = start(&backend, &[(&function, settings)]).await;
    let payload = json!({ "do": "fail" });
    let id = pelton.invoke_later("work", &payload).await;
    let envelope = body(&subscriber.take(1).await[0]);
    assert_eq!(envelope["Message"], payload.to_string());
    assert!(envelope.get("Subject").is_none_or(Value::is_null), "{envelope}");
    let expected = json!({
        "RequestID": { "Type": "String", "Value": id },
        "ErrorCode": { "Type": "Number", "Value": "200" },
        "ErrorMessage": { "Type": "String", "Value": "told to fail" },
    });
    assert_eq!(envelope["MessageAttributes"], expected);
}

on_both_backends!(
    a_queue_gets_the_event_beside_the_destinations_record,
    three_attempts_come_before_the_dead_letter_queue,
    a_topic_gets_the_event_with_the_same_attributes,
);
