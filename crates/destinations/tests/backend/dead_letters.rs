//! Dead-letter queues: the event itself, and three attributes that say why (spec 10.3).
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_sqs::types::{Message, QueueAttributeName};
use bytes::Bytes;
use pelton_core::{Condition, Destination, DestinationArn, ErrorKind, ExecutionRecord, Subject};
use pelton_destinations::{DeadLetterError, connect_dead_letter_queue};
use serde_json::json;

use crate::asynchronous::{ERROR, event};
use crate::support::{Backend, name, on_both};
use crate::topic::{envelope, topic};

on_both!(
    a_queue_gets_the_event_and_why,
    a_topic_gets_the_event_and_why,
    an_event_without_an_answer_says_what_is_known,
    no_message_of_an_error_is_refused,
    an_event_that_is_too_large_is_refused_until_there_is_room,
    a_queue_that_was_recreated_gets_it,
    a_missing_one_is_refused,
);

const EVENT: &str = "{\"raise_error\":  1, \"text\":\"Ω \\u00e9\"}";

fn dead_letter_queue(backend: &Backend, arn: &str) -> Arc<dyn Destination> {
    connect_dead_letter_queue(&backend.clients, &arn.parse().unwrap()).unwrap()
}

fn failed() -> ExecutionRecord {
    event(Condition::RetriesExhausted, 3, Some((Some("Unhandled"), ERROR)))
}

fn attribute(name: &str, data_type: &str, value: &str) -> (String, (String, String)) {
    (name.to_owned(), (data_type.to_owned(), value.to_owned()))
}

/// Every attribute: name, type and value.
fn attributes(message: &Message) -> BTreeMap<String, (String, String)> {
    let attributes = message.message_attributes().unwrap().iter();
    attributes.map(|(name, value)| attribute(name, value.data_type(), value.string_value().unwrap())).collect()
}

async fn a_queue_gets_the_event_and_why(backend: &Backend) {
    let queue = backend.queue().await;
    let record = failed();
    dead_letter_queue(backend, &queue.arn).deliver(&record).await.unwrap();
    let message = backend.messages(&queue, 1).await.remove(0);
    assert_eq!(message.body(), Some(EVENT));
    let expected = BTreeMap::from([
        attribute("RequestID", "String", &record.request_context.request_id),
        attribute("ErrorCode", "Number", "200"),
        attribute("ErrorMessage", "String", "no stock"),
    ]);
    assert_eq!(attributes(&message), expected);
}

async fn a_topic_gets_the_event_and_why(backend: &Backend) {
    let queue = backend.queue().await;
    let arn = topic(backend, &name(), &queue).await;
    let record = failed();
    dead_letter_queue(backend, &arn).deliver(&record).await.unwrap();
    let envelope = envelope(&backend.body(&queue).await);
    assert_eq!(envelope["Message"], EVENT);
    assert!(envelope.get("Subject").is_none_or(serde_json::Value::is_null), "{envelope}");
    assert_eq!(
        envelope["MessageAttributes"],
        json!({
            "RequestID": {"Type": "String", "Value": record.request_context.request_id},
            "ErrorCode": {"Type": "Number", "Value": "200"},
            "ErrorMessage": {"Type": "String", "Value": "no stock"},
        })
    );
}

async fn an_event_without_an_answer_says_what_is_known(backend: &Backend) {
    let queue = backend.queue().await;
    let destination = dead_letter_queue(backend, &queue.arn);
    for (condition, code, words) in [
        (Condition::ZeroReservedConcurrency, Some("429"), "Rate Exceeded."),
        (Condition::RecursionDepthExceeded, Some("400"), "recursive loop"),
        (Condition::EventAgeExceeded, None, "maximum age"),
    ] {
        destination.deliver(&event(condition, 0, None)).await.unwrap();
        let attributes = attributes(&backend.messages(&queue, 1).await[0]);
        let code = code.map(|code| ("Number".to_owned(), code.to_owned()));
        assert_eq!(attributes.get("ErrorCode"), code.as_ref(), "{attributes:?}");
        assert!(attributes["ErrorMessage"].1.contains(words), "{attributes:?}");
    }
}

async fn no_message_of_an_error_is_refused(backend: &Backend) {
    let queue = backend.queue().await;
    let destination = dead_letter_queue(backend, &queue.arn);
    let long = "é".repeat(3_000);
    for (message, expected) in [
        ("", "{\"errorMessage\":\"\"}"),
        ("a\\u0000b\\u001f\\n\\uffff", "a\u{fffd}b\u{fffd}\n\u{fffd}"),
        (&long, &"é".repeat(512)),
    ] {
        let mut record = failed();
        if let Subject::Invocation { response_payload, .. } = &mut record.subject {
            *response_payload = ExecutionRecord::embed(&Bytes::from(format!("{{\"errorMessage\":\"{message}\"}}")));
        }
        destination.deliver(&record).await.unwrap();
        assert_eq!(attributes(&backend.messages(&queue, 1).await[0])["ErrorMessage"].1, expected);
    }
}

async fn an_event_that_is_too_large_is_refused_until_there_is_room(backend: &Backend) {
    let queue = backend.queue_with(&name(), &[(QueueAttributeName::MaximumMessageSize, "1024")]).await;
    let destination = dead_letter_queue(backend, &queue.arn);
    let text = format!("\"{}\"", "x".repeat(2_000));
    let mut record = failed();
    if let Subject::Invocation { request_payload, .. } = &mut record.subject {
        *request_payload = ExecutionRecord::embed(&Bytes::from(text.clone()));
    }
    let error = destination.deliver(&record).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Payload, "{error}");
    assert!(error.to_string().starts_with(&format!("{}: SendMessage failed: ", queue.arn)), "{error}");

    let sqs = &backend.clients.sqs;
    let more =
        sqs.set_queue_attributes().queue_url(&queue.url).attributes(QueueAttributeName::MaximumMessageSize, "8192");
    more.send().await.unwrap();
    destination.deliver(&record).await.unwrap();
    assert_eq!(backend.body(&queue).await, text);
}

async fn a_queue_that_was_recreated_gets_it(backend: &Backend) {
    let name = name();
    let queue = backend.queue_with(&name, &[]).await;
    let destination = dead_letter_queue(backend, &queue.arn);
    destination.deliver(&failed()).await.unwrap();
    backend.clients.sqs.delete_queue().queue_url(&queue.url).send().await.unwrap();
    assert_eq!(destination.deliver(&failed()).await.unwrap_err().kind, ErrorKind::Refused);
    let queue = backend.queue_with(&name, &[]).await;
    destination.deliver(&failed()).await.unwrap();
    let message = backend.messages(&queue, 1).await.remove(0);
    assert_eq!((message.body(), attributes(&message).len()), (Some(EVENT), 3));
}

async fn a_missing_one_is_refused(backend: &Backend) {
    for kind in ["sqs", "sns"] {
        let arn = format!("arn:aws:{kind}:us-east-1:000000000000:{}", name());
        let error = dead_letter_queue(backend, &arn).deliver(&failed()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.to_string().starts_with(&format!("{arn}: ")), "{error}");
    }
}

#[tokio::test]
async fn only_standard_queues_and_topics_take_dead_letters() {
    let backend = Backend::at("http://127.0.0.1:1");
    for (arn, fifo) in [
        ("arn:aws:sqs:us-east-1:000000000000:dead.fifo", true),
        ("arn:aws:sns:us-east-1:000000000000:dead.fifo", true),
        ("arn:aws:events:us-east-1:000000000000:event-bus/dead", false),
        ("arn:aws:lambda:us-east-1:000000000000:function:dead", false),
        ("arn:aws:s3:::dead", false),
    ] {
        let target: DestinationArn = arn.parse().unwrap();
        let Err(error) = connect_dead_letter_queue(&backend.clients, &target) else { panic!("{arn} is taken") };
        let arn = target.arn().clone();
        assert_eq!(error, if fifo { DeadLetterError::Fifo(arn) } else { DeadLetterError::Kind(arn) });
    }
}
