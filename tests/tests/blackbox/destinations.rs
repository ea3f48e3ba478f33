//! What destinations hold, through all of Pelton: on success and on failure.
use pelton_tests::{Backend, Function, Pelton, Queue, body, eventually, mapping, on_both_backends, on_ministack};
use serde_json::{Value, json};

/// Which outcome is reported.
#[derive(Debug, Clone, Copy, PartialEq)]
enum On {
    Success,
    Failure,
}

/// What a run has done.
struct Run {
    pelton: Pelton,
    queue: Queue,
    /// The event of the last invocation.
    event: Value,
}

/// Sends one message through a mapping with a destination, until the queue is empty.
async fn run(backend: &Backend, on: On, destination: &str) -> Run {
    let (queue, function) = (backend.queue(2).await, Function::new());
    let (message, more) = match on {
        On::Success => (
            json!({ "do": "answer", "answer": { "total": 3 } }),
            json!({ "DestinationConfig": { "OnSuccess": { "Destination": destination } } }),
        ),
        On::Failure => (
            json!({ "do": "fail" }),
            json!({ "MaximumRetryAttempts": 0, "DestinationConfig": { "OnFailure": { "Destination": destination } } }),
        ),
    };
    queue.send(message).await;
    let pelton = Pelton::start(backend, &function, vec![mapping(&queue, &function, more)]).await;
    queue.is_drained().await;
    let [seen] = function.seen().try_into().unwrap();
    Run { pelton, queue, event: seen.event }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Checks a record down to the order of its keys.
fn is_record(text: &str, on: On, run: &Run) {
    let record: Value = serde_json::from_str(text).unwrap();
    let expected = ["version", "timestamp", "requestContext", "requestPayload", "responseContext", "responsePayload"];
    assert_eq!(keys(&record), expected, "{text}");
    assert_content(&record, on, run);
    assert_eq!(
        keys(&record["requestContext"]),
        ["requestId", "functionArn", "condition", "approximateInvokeCount"],
        "{text}"
    );
    let context: &[&str] = match on {
        On::Success => &["statusCode", "executedVersion"],
        On::Failure => &["statusCode", "executedVersion", "functionError"],
    };
    assert_eq!(keys(&record["responseContext"]), context);
}

/// Checks a record whose keys may have been sorted by whoever passed it on.
fn assert_content(record: &Value, on: On, run: &Run) {
    assert_eq!(record["version"], "1.0");
    // 2025-11-24T23:11:12.123Z
    let timestamp = record["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 24 && timestamp.ends_with('Z') && &timestamp[19..20] == ".", "{timestamp}");
    let context = &record["requestContext"];
    assert!(context["requestId"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(context["functionArn"], Backend::arn("lambda", "function:work"));
    assert_eq!(context["approximateInvokeCount"], 1);
    assert_eq!(record["requestPayload"], run.event);
    match on {
        On::Success => {
            assert_eq!(context["condition"], "Success");
            assert_eq!(record["responseContext"], json!({"statusCode": 200, "executedVersion": "$LATEST"}));
            assert_eq!(record["responsePayload"], json!({"total": 3}));
        }
        On::Failure => {
            assert_eq!(context["condition"], "RetriesExhausted");
            let expected = json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
            assert_eq!(record["responseContext"], expected);
            assert_eq!(record["responsePayload"]["errorMessage"], "told to fail");
        }
    }
}

async fn a_queue(backend: Backend) {
    for on in [On::Success, On::Failure] {
        let destination = backend.queue(30).await;
        let run = run(&backend, on, &destination.arn).await;
        let message = destination.take(1).await.remove(0);
        is_record(message.body().unwrap(), on, &run);
        assert!(message.message_attributes().is_none_or(|attributes| attributes.is_empty()));
    }
}

async fn a_fifo_queue(backend: Backend) {
    let destination = backend.fifo_queue(30).await;
    let run = run(&backend, On::Success, &destination.arn).await;
    let message = destination.take(1).await.remove(0);
    is_record(message.body().unwrap(), On::Success, &run);
    let attribute = |name: &str| {
        let attributes = message.attributes().unwrap();
        attributes.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.clone())
    };
    let group = attribute("MessageGroupId").unwrap();
    assert_eq!(run.pelton.status(&run.queue)["UUID"], group.as_str(), "grouped by mapping");
    assert!(attribute("MessageDeduplicationId").is_some_and(|id| !id.is_empty()));
}

async fn a_topic(backend: Backend) {
    for on in [On::Success, On::Failure] {
        let subscriber = backend.queue(30).await;
        let topic = backend.sns.create_topic().name(Backend::name("topic")).send().await.unwrap();
        let topic = topic.topic_arn().unwrap();
        let subscribe = backend.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(&subscriber.arn);
        subscribe.send().await.unwrap();
        let run = run(&backend, on, topic).await;
        let envelope = body(&subscriber.take(1).await[0]);
        assert_eq!((&envelope["Type"], &envelope["TopicArn"]), (&json!("Notification"), &json!(topic)));
        assert!(envelope.get("Subject").is_none_or(Value::is_null), "{envelope}");
        assert!(envelope.get("MessageAttributes").is_none_or(|it| it.as_object().is_none_or(|it| it.is_empty())));
        is_record(envelope["Message"].as_str().unwrap(), on, &run);
    }
}

async fn a_bus(backend: Backend) {
    for on in [On::Success, On::Failure] {
        let target = backend.queue(30).await;
        let (bus, rule) = (Backend::name("bus"), Backend::name("rule"));
        backend.events.create_event_bus().name(&bus).send().await.unwrap();
        let put_rule = backend.events.put_rule().name(&rule).event_bus_name(&bus);
        put_rule.event_pattern(json!({ "source": ["lambda"] }).to_string()).send().await.unwrap();
        let to_queue = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(&target.arn).build().unwrap();
        backend.events.put_targets().rule(&rule).event_bus_name(&bus).targets(to_queue).send().await.unwrap();
        let arn = Backend::arn("events", &format!("event-bus/{bus}"));
        let run = run(&backend, on, &arn).await;
        let event = body(&target.take(1).await[0]);
        assert_eq!(event["source"], "lambda");
        let outcome = if on == On::Success { "Success" } else { "Failure" };
        assert_eq!(event["detail-type"], format!("Lambda Function Invocation Result - {outcome}"));
        assert_eq!(event["resources"], json!([arn, Backend::arn("lambda", "function:work:$LATEST")]));
        assert_eq!((&event["version"], &event["region"]), (&json!("0"), &json!("us-east-1")));
        assert_content(&event["detail"], on, &run);
    }
}

async fn a_bucket_for_failures(backend: Backend) {
    let bucket = Backend::name("bucket");
    backend.s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let run = run(&backend, On::Failure, &format!("arn:aws:s3:::{bucket}")).await;
    let listed = backend.s3.list_objects_v2().bucket(&bucket).send().await.unwrap();
    let [object] = listed.contents() else { panic!("{:?}", listed.contents()) };
    let key = object.key().unwrap();
    let uuid = run.pelton.status(&run.queue)["UUID"].as_str().unwrap().to_owned();
    assert!(key.starts_with(&format!("aws/lambda/{uuid}/")), "{key}");
    let object = backend.s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
    let text = object.body.collect().await.unwrap().into_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    is_record(text, On::Failure, &run);
}

const SEND_ON: &str = "\
import json, urllib.request
def handler(event, context):
    request = urllib.request.Request(
        'QUEUE?' + urllib.parse.urlencode({'Action': 'SendMessage', 'MessageBody': json.dumps(event)}), method='POST')
    request.add_header('Authorization', 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request')
    urllib.request.urlopen(request).read()
";

async fn a_function(backend: Backend) {
    for on in [On::Success, On::Failure] {
        let results = backend.queue(30).await;
        let name = Backend::name("destination");
        let arn = backend.create_function(&name, &SEND_ON.replace("QUEUE", &results.url)).await;
        let run = run(&backend, on, &arn).await;
        let message = results.take(1).await.remove(0);
        is_record(message.body().unwrap(), on, &run);
    }
}

async fn one_record_for_each_successful_batch(backend: Backend) {
    let (queue, destination, function) = (backend.queue(20).await, backend.queue(30).await, Function::new());
    queue.send_all((0..20).map(|i| i.to_string())).await;
    let more = json!({ "DestinationConfig": { "OnSuccess": { "Destination": destination.arn } } });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    queue.is_drained().await;
    let invocations = function.seen().len();
    let records = destination.take(invocations).await;
    assert_eq!(destination.counts().await, (0, 0));
    let events: usize =
        records.iter().map(|record| body(record)["requestPayload"]["Records"].as_array().unwrap().len()).sum();
    assert_eq!(events, 20);
    eventually("the count says so", || async { pelton.status(&queue)["ReportedSuccesses"] == invocations }).await;
}

on_both_backends!(a_queue, a_fifo_queue, a_topic, a_bus, a_bucket_for_failures, one_record_for_each_successful_batch);
// LocalStack needs Docker to execute functions.
mod with_functions {
    use super::*;
    on_ministack!(a_function);
}
