//! SQS queues.
use aws_sdk_sqs::types::MessageSystemAttributeName;
use pelton_core::{Condition, ErrorKind};

use crate::support::{Backend, CONDITIONS, batch_json, batches, name, on_both, record, record_of};

on_both!(
    body_is_the_record,
    body_is_the_record_of_a_batch,
    fifo_queue_gets_each_record_once,
    fifo_queue_gets_each_batch_once,
    comes_back_after_the_queue_was_recreated,
);

async fn body_is_the_record(backend: &Backend) {
    let queue = backend.queue().await;
    let destination = backend.destination(&queue.arn);
    for condition in CONDITIONS {
        let record = record(condition);
        destination.deliver(&record).await.unwrap();
        let message = backend.messages(&queue, 1).await.remove(0);
        assert_eq!(message.body(), Some(record.to_json().unwrap().as_str()));
        assert_eq!(message.message_attributes().map_or(0, |attributes| attributes.len()), 0);
    }
}

async fn body_is_the_record_of_a_batch(backend: &Backend) {
    let queue = backend.queue().await;
    let destination = backend.destination(&queue.arn);
    for record in batches() {
        destination.deliver(&record).await.unwrap();
        let message = backend.messages(&queue, 1).await.remove(0);
        assert_eq!(message.body(), Some(batch_json(&record).as_str()));
        assert_eq!(message.message_attributes().map_or(0, |attributes| attributes.len()), 0);
    }
}

async fn fifo_queue_gets_each_batch_once(backend: &Backend) {
    let queue = backend.queue_with(&format!("{}.fifo", name()), &[]).await;
    let destination = backend.destination(&queue.arn);
    let [first, second] = batches();
    for record in [&first, &first, &second, &first, &second] {
        destination.deliver(record).await.unwrap();
    }
    let bodies: Vec<_> = backend.messages(&queue, 2).await.into_iter().filter_map(|message| message.body).collect();
    assert_eq!(bodies, [batch_json(&first), batch_json(&second)]);
}

async fn fifo_queue_gets_each_record_once(backend: &Backend) {
    let queue = backend.queue_with(&format!("{}.fifo", name()), &[]).await;
    let destination = backend.destination(&queue.arn);
    let first = record_of(Condition::RetriesExhausted, "{\"message\":1}");
    // Another message that the same invocation gave up.
    let mut second = record_of(Condition::RetriesExhausted, "{\"message\":2}");
    second.request_context.request_id = first.request_context.request_id.clone();
    for record in [&first, &first, &second, &first, &second] {
        destination.deliver(record).await.unwrap();
    }
    let messages = backend.messages(&queue, 2).await;
    for message in &messages {
        let group = message.attributes().unwrap().get(&MessageSystemAttributeName::MessageGroupId);
        assert_eq!(group, Some(&first.group()));
    }
    let bodies: Vec<_> = messages.into_iter().filter_map(|message| message.body).collect();
    assert_eq!(bodies, [first.to_json().unwrap(), second.to_json().unwrap()]);
}

async fn comes_back_after_the_queue_was_recreated(backend: &Backend) {
    let name = name();
    let queue = backend.queue_with(&name, &[]).await;
    let destination = backend.destination(&queue.arn);
    destination.deliver(&record(Condition::Success)).await.unwrap();

    backend.clients.sqs.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let error = destination.deliver(&record(Condition::Success)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.to_string().starts_with(&format!("{}: GetQueueUrl failed: ", queue.arn)), "{error}");

    let queue = backend.queue_with(&name, &[]).await;
    let record = record(Condition::Success);
    destination.deliver(&record).await.unwrap();
    assert_eq!(backend.body(&queue).await, record.to_json().unwrap());
}
