//! EventBridge buses, seen through a queue that a rule feeds.
use aws_sdk_eventbridge::types::Target;
use pelton_core::Condition;
use serde_json::{Value, json};

use crate::support::{Backend, CONDITIONS, Queue, batch_json, batches, name, on_both, record};

on_both!(detail_is_the_record, detail_is_the_record_of_a_batch, an_alias_stays_as_it_is);

/// A bus whose every event goes to the queue.
pub async fn bus(backend: &Backend, queue: &Queue) -> String {
    let (name, calls) = (name(), &backend.clients.eventbridge);
    let arn = calls.create_event_bus().name(&name).send().await.unwrap().event_bus_arn.unwrap();
    let rule = calls.put_rule().name(&name).event_bus_name(&name).event_pattern("{\"source\":[\"lambda\"]}");
    rule.send().await.unwrap();
    let target = Target::builder().id("queue").arn(&queue.arn).build().unwrap();
    calls.put_targets().rule(&name).event_bus_name(&name).targets(target).send().await.unwrap();
    arn
}

async fn detail_is_the_record(backend: &Backend) {
    let queue = backend.queue().await;
    let bus = bus(backend, &queue).await;
    let destination = backend.destination(&bus);
    for condition in CONDITIONS {
        let record = record(condition);
        destination.deliver(&record).await.unwrap();
        let event: Value = serde_json::from_str(&backend.body(&queue).await).unwrap();
        assert_eq!(event["source"], "lambda");
        let detail_type = match condition {
            Condition::Success => "Lambda Function Invocation Result - Success",
            _ => "Lambda Function Invocation Result - Failure",
        };
        assert_eq!(event["detail-type"], detail_type);
        assert_eq!(event["resources"], json!([bus, format!("{}:$LATEST", record.request_context.function_arn)]));
        assert_eq!(event["detail"], serde_json::from_str::<Value>(&record.to_json().unwrap()).unwrap());
    }
}

async fn detail_is_the_record_of_a_batch(backend: &Backend) {
    let queue = backend.queue().await;
    let bus = bus(backend, &queue).await;
    let destination = backend.destination(&bus);
    for record in batches() {
        destination.deliver(&record).await.unwrap();
        let event: Value = serde_json::from_str(&backend.body(&queue).await).unwrap();
        assert_eq!(event["source"], "lambda");
        assert_eq!(event["detail-type"], "Lambda Function Invocation Result - Failure");
        assert_eq!(event["resources"], json!([bus, format!("{}:$LATEST", record.request_context.function_arn)]));
        assert_eq!(event["detail"], serde_json::from_str::<Value>(&batch_json(&record)).unwrap());
    }
}

async fn an_alias_stays_as_it_is(backend: &Backend) {
    let queue = backend.queue().await;
    let bus = bus(backend, &queue).await;
    let mut record = record(Condition::Success);
    record.request_context.function_arn = "arn:aws:lambda:us-east-1:000000000000:function:work:live".parse().unwrap();
    backend.destination(&bus).deliver(&record).await.unwrap();
    let event: Value = serde_json::from_str(&backend.body(&queue).await).unwrap();
    assert_eq!(event["resources"], json!([bus, "arn:aws:lambda:us-east-1:000000000000:function:work:live"]));
}
