//! Each kind of destination, with the record in the wrapping of its service (spec 10.1 and 10.2).
use pelton_tests::{Backend, Function, body, eventually, on_both_backends, on_ministack};
use serde_json::{Value, json};

use super::{WORK, failure, masked, record, start, to};

/// The record of an invocation of `work` that went well.
fn success(payload: &Value) -> Value {
    json!({
        "version": "1.0",
        "timestamp": "<timestamp>",
        "requestContext": {
            "requestId": "<request id>", "functionArn": WORK, "condition": "Success", "approximateInvokeCount": 1,
        },
        "requestPayload": payload,
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST" },
        "responsePayload": { "did": payload },
    })
}

fn never_again(destinations: Value) -> Value {
    json!({ "EventInvokeConfig": { "MaximumRetryAttempts": 0, "DestinationConfig": destinations } })
}

async fn queues_get_the_record_as_it_is(backend: Backend) {
    let (function, done, failed) = (Function::new(), backend.queue(30).await, backend.queue(30).await);
    let pelton = start(&backend, &[(&function, never_again(to(&done.arn, &failed.arn)))]).await;
    let (good, bad) = (json!({ "id": 7 }), json!({ "do": "fail" }));
    let (good_id, bad_id) = (pelton.invoke_later("work", &good).await, pelton.invoke_later("work", &bad).await);
    let message = done.take(1).await.remove(0);
    assert!(message.message_attributes().is_none_or(|attributes| attributes.is_empty()));
    // Down to the order of the keys.
    let text = message.body().unwrap();
    let id = &good_id;
    let rest = format!(
        r#""requestContext":{{"requestId":"{id}","functionArn":"{WORK}","condition":"Success","approximateInvokeCount":1}},"requestPayload":{{"id":7}},"responseContext":{{"statusCode":200,"executedVersion":"$LATEST"}},"responsePayload":{{"did": {{"id": 7}}}}}}"#
    );
    assert!(text.starts_with(r#"{"version":"1.0","timestamp":""#) && text.ends_with(&rest), "{text}\n{rest}");
    assert_eq!(masked(body(&message), &good_id), success(&good));
    assert_eq!(masked(record(&failed).await, &bad_id), failure("RetriesExhausted", 1, &bad));
    assert_eq!(done.counts().await, (0, 0));
}

async fn a_topic_gets_it_without_subject_and_attributes(backend: Backend) {
    let (function, subscriber) = (Function::new(), backend.queue(30).await);
    let topic = backend.sns.create_topic().name(Backend::name("topic")).send().await.unwrap();
    let topic = topic.topic_arn().unwrap();
    let subscribe = backend.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(&subscriber.arn);
    subscribe.send().await.unwrap();
    let pelton = start(&backend, &[(&function, never_again(to(topic, topic)))]).await;
    let (good, bad) = (json!({ "id": 7 }), json!({ "do": "fail" }));
    let id = pelton.invoke_later("work", &good).await;
    let envelope = body(&subscriber.take(1).await[0]);
    assert_eq!((&envelope["Type"], &envelope["TopicArn"]), (&json!("Notification"), &json!(topic)));
    assert!(envelope.get("Subject").is_none_or(Value::is_null), "{envelope}");
    assert_eq!(masked(serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap(), &id), success(&good));
    let id = pelton.invoke_later("work", &bad).await;
    let envelope = body(&subscriber.take(1).await[0]);
    let found: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(masked(found, &id), failure("RetriesExhausted", 1, &bad));
}

async fn a_bus_gets_it_in_an_event_of_lambdas(backend: Backend) {
    let (function, target) = (Function::new(), backend.queue(30).await);
    let (bus, rule) = (Backend::name("bus"), Backend::name("rule"));
    backend.events.create_event_bus().name(&bus).send().await.unwrap();
    let put_rule = backend.events.put_rule().name(&rule).event_bus_name(&bus);
    put_rule.event_pattern(json!({ "source": ["lambda"] }).to_string()).send().await.unwrap();
    let to_queue = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(&target.arn).build().unwrap();
    backend.events.put_targets().rule(&rule).event_bus_name(&bus).targets(to_queue).send().await.unwrap();
    let arn = Backend::arn("events", &format!("event-bus/{bus}"));
    let pelton = start(&backend, &[(&function, never_again(to(&arn, &arn)))]).await;
    let (good, bad) = (json!({ "id": 7 }), json!({ "do": "fail" }));
    for (payload, outcome) in [(good, "Success"), (bad, "Failure")] {
        let id = pelton.invoke_later("work", &payload).await;
        let event = body(&target.take(1).await[0]);
        assert_eq!((&event["version"], &event["source"]), (&json!("0"), &json!("lambda")));
        assert_eq!(event["detail-type"], format!("Lambda Function Invocation Result - {outcome}"));
        assert_eq!(event["resources"], json!([arn, WORK]));
        let expected = if outcome == "Success" { success(&payload) } else { failure("RetriesExhausted", 1, &payload) };
        assert_eq!(masked(event["detail"].clone(), &id), expected);
    }
}

async fn a_bucket_gets_failures_under_the_functions_name(backend: Backend) {
    let (function, bucket) = (Function::new(), Backend::name("bucket"));
    backend.s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let destination = json!({ "OnFailure": { "Destination": format!("arn:aws:s3:::{bucket}") } });
    let pelton = start(&backend, &[(&function, never_again(destination))]).await;
    let payload = json!({ "do": "fail" });
    let id = pelton.invoke_later("work", &payload).await;
    let list =
        || async { backend.s3.list_objects_v2().bucket(&bucket).send().await.unwrap().contents.unwrap_or_default() };
    eventually("an object is there", || async { !list().await.is_empty() }).await;
    let objects = list().await;
    let [object] = &objects[..] else { panic!("{objects:?}") };
    let key = object.key().unwrap();
    assert!(key.starts_with("aws/lambda/async/work/"), "{key}");
    let object = backend.s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
    let text = object.body.collect().await.unwrap().into_bytes();
    assert_eq!(masked(serde_json::from_slice(&text).unwrap(), &id), failure("RetriesExhausted", 1, &payload));
}

async fn a_function_of_peltons_own_is_invoked_with_it(backend: Backend) {
    let (function, next) = (Function::new(), Function::named("next"));
    let destination = json!({ "OnSuccess": { "Destination": Backend::arn("lambda", "function:next") } });
    let pelton = start(&backend, &[(&function, never_again(destination)), (&next, json!({}))]).await;
    let payload = json!({ "id": 7 });
    let id = pelton.invoke_later("work", &payload).await;
    let seen = next.is_done(1).await;
    assert_eq!(masked(seen[0].event.clone(), &id), success(&payload));
    assert_ne!(seen[0].id, id, "another invocation");
}

async fn a_mappings_destination_may_be_a_function_of_peltons_own(backend: Backend) {
    let (function, next, queue) = (Function::new(), Function::named("next"), backend.queue(30).await);
    let destination = json!({ "OnSuccess": { "Destination": Backend::arn("lambda", "function:next") } });
    let mapping = pelton_tests::mapping(&queue, &function, json!({ "DestinationConfig": destination }));
    queue.send("hello").await;
    let pelton = pelton_tests::Pelton::run(backend.configuration(&[&function, &next], vec![mapping])).await;
    let checked = super::operator::command(&pelton, &["check"]).await;
    assert!(checked.status.success(), "{checked:?}");
    let seen = next.is_done(1).await;
    assert_eq!(seen[0].event["requestPayload"]["Records"][0]["body"], "hello");
    assert_eq!(seen[0].event["requestContext"]["condition"], "Success");
}

async fn functions_in_a_circle_stop_after_16_hops(backend: Backend) {
    let (one, other, stopped) = (Function::named("one"), Function::named("other"), backend.queue(30).await);
    let round = |next: &str| {
        let next = Backend::arn("lambda", &format!("function:{next}"));
        json!({ "EventInvokeConfig": { "DestinationConfig": to(&next, &stopped.arn) } })
    };
    let pelton = start(&backend, &[(&one, round("other")), (&other, round("one"))]).await;
    let first = pelton.invoke_later("one", &json!({ "hello": true })).await;
    let record = record(&stopped).await;
    assert_eq!(record["requestContext"]["condition"], "RecursionDepthExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_ne!(record["requestContext"]["requestId"], first.as_str());
    assert!(record.get("responsePayload").is_none() && record.get("responseContext").is_none(), "{record}");
    // What came from outside, and sixteen that functions have led to.
    assert_eq!(one.seen().len() + other.seen().len(), 17);
}

on_both_backends!(
    queues_get_the_record_as_it_is,
    a_topic_gets_it_without_subject_and_attributes,
    a_bus_gets_it_in_an_event_of_lambdas,
    a_bucket_gets_failures_under_the_functions_name,
);
mod without_services {
    use super::*;
    on_ministack!(
        a_function_of_peltons_own_is_invoked_with_it,
        a_mappings_destination_may_be_a_function_of_peltons_own,
        functions_in_a_circle_stop_after_16_hops,
    );
}
