//! SNS topics, seen through a queue that is subscribed.
use pelton_core::Condition;
use serde_json::Value;

use crate::support::{Backend, CONDITIONS, Queue, batch_json, batches, name, on_both, record, record_of};

on_both!(message_is_the_record, message_is_the_record_of_a_batch, fifo_topic_gets_each_record_once);

pub async fn topic(backend: &Backend, name: &str, queue: &Queue) -> String {
    let mut create = backend.clients.sns.create_topic().name(name);
    if name.ends_with(".fifo") {
        create = create.attributes("FifoTopic", "true");
    }
    let arn = create.send().await.unwrap().topic_arn.unwrap();
    let subscribe = backend.clients.sns.subscribe().topic_arn(&arn).protocol("sqs").endpoint(&queue.arn);
    subscribe.send().await.unwrap();
    arn
}

pub fn envelope(body: &str) -> Value {
    serde_json::from_str(body).expect("SNS sends its envelope")
}

async fn message_is_the_record(backend: &Backend) {
    let queue = backend.queue().await;
    let arn = topic(backend, &name(), &queue).await;
    let destination = backend.destination(&arn);
    for condition in CONDITIONS {
        let record = record(condition);
        destination.deliver(&record).await.unwrap();
        let envelope = envelope(&backend.body(&queue).await);
        assert_eq!(envelope["Type"], "Notification");
        assert_eq!(envelope["TopicArn"], arn);
        assert_eq!(envelope["Message"], record.to_json().unwrap());
        assert!(envelope.get("Subject").is_none_or(Value::is_null), "{envelope}");
        assert!(envelope.get("MessageAttributes").is_none(), "{envelope}");
    }
}

async fn message_is_the_record_of_a_batch(backend: &Backend) {
    let queue = backend.queue().await;
    let arn = topic(backend, &name(), &queue).await;
    let destination = backend.destination(&arn);
    for record in batches() {
        destination.deliver(&record).await.unwrap();
        let envelope = envelope(&backend.body(&queue).await);
        assert_eq!(envelope["Type"], "Notification");
        assert_eq!(envelope["Message"], batch_json(&record));
        assert!(envelope.get("Subject").is_none_or(Value::is_null), "{envelope}");
        assert!(envelope.get("MessageAttributes").is_none(), "{envelope}");
    }
}

async fn fifo_topic_gets_each_record_once(backend: &Backend) {
    let queue = backend.queue_with(&format!("{}.fifo", name()), &[]).await;
    let arn = topic(backend, &format!("{}.fifo", name()), &queue).await;
    let destination = backend.destination(&arn);
    let first = record_of(Condition::RetriesExhausted, "{\"message\":1}");
    let mut second = record_of(Condition::RetriesExhausted, "{\"message\":2}");
    second.request_context.request_id = first.request_context.request_id.clone();
    for record in [&first, &first, &second] {
        destination.deliver(record).await.unwrap();
    }
    let messages = backend.messages(&queue, 2).await;
    let received: Vec<_> =
        messages.iter().map(|message| envelope(message.body().unwrap())["Message"].clone()).collect();
    assert_eq!(received, [first.to_json().unwrap(), second.to_json().unwrap()]);
}
