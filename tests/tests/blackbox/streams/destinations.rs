//! Where failure records go (spec 8.2), and OnSuccess.
use pelton_tests::{
    Backend, EventSource as _, Feed, Function, Kind, Pelton, Seen, body, eventually, on_both_backends, on_both_kinds,
    on_ministack, stream_mapping,
};
use serde_json::{Value, json};

use super::{keys, numbered, on_failure};

/// What a run has done.
struct Run {
    kind: Kind,
    pelton: Pelton,
    feed: Feed,
    seen: Seen,
}

/// Gives up a batch of two.
async fn run(backend: &Backend, kind: Kind, destination: &str) -> Run {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each([json!({ "do": "fail" }).to_string(), "1".to_owned()]).await;
    let more = json!({ "MaximumRetryAttempts": 0, "DestinationConfig": on_failure(destination) });
    let pelton = Pelton::start(backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 2).await;
    let [seen] = function.seen().try_into().unwrap();
    Run { kind, pelton, feed, seen }
}

/// Checks a record whose keys may have been sorted by whoever passed it on.
fn is_about(record: &Value, run: &Run) {
    assert_eq!(record["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    let info = &record[run.kind.batch_info()];
    let numbers = run.seen.sequence_numbers();
    assert_eq!((&info["startSequenceNumber"], &info["endSequenceNumber"]), (&json!(numbers[0]), &json!(numbers[1])));
    assert_eq!((&info["batchSize"], &info["streamArn"]), (&json!(2), &json!(run.feed.arn())));
    assert!(record.get("requestPayload").is_none() && record.get("responsePayload").is_none(), "{record}");
}

async fn a_topic(backend: Backend) {
    let subscriber = backend.queue(30).await;
    let topic = backend.sns.create_topic().name(Backend::name("topic")).send().await.unwrap();
    let topic = topic.topic_arn().unwrap();
    let subscribe = backend.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(&subscriber.arn);
    subscribe.send().await.unwrap();
    let run = run(&backend, Kind::Kinesis, topic).await;
    let envelope = body(&subscriber.take(1).await[0]);
    assert_eq!((&envelope["Type"], &envelope["TopicArn"]), (&json!("Notification"), &json!(topic)));
    assert!(envelope.get("Subject").is_none_or(Value::is_null), "{envelope}");
    let record: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    is_about(&record, &run);
    assert_eq!(
        keys(&record),
        ["requestContext", "responseContext", "version", "timestamp", "KinesisBatchInfo"],
        "in AWS's order"
    );
}

async fn a_bus(backend: Backend) {
    let target = backend.queue(30).await;
    let (bus, rule) = (Backend::name("bus"), Backend::name("rule"));
    backend.events.create_event_bus().name(&bus).send().await.unwrap();
    let put_rule = backend.events.put_rule().name(&rule).event_bus_name(&bus);
    put_rule.event_pattern(json!({ "source": ["lambda"] }).to_string()).send().await.unwrap();
    let to_queue = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(&target.arn).build().unwrap();
    backend.events.put_targets().rule(&rule).event_bus_name(&bus).targets(to_queue).send().await.unwrap();
    let arn = Backend::arn("events", &format!("event-bus/{bus}"));
    let run = run(&backend, Kind::Kinesis, &arn).await;
    let event = body(&target.take(1).await[0]);
    assert_eq!(event["source"], "lambda");
    assert_eq!(event["detail-type"], "Lambda Function Invocation Result - Failure");
    assert_eq!(event["resources"], json!([arn, Backend::arn("lambda", "function:work:$LATEST")]));
    is_about(&event["detail"], &run);
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
    let results = backend.queue(30).await;
    let name = Backend::name("destination");
    let arn = backend.create_function(&name, &SEND_ON.replace("QUEUE", &results.url)).await;
    let run = run(&backend, Kind::Kinesis, &arn).await;
    is_about(&body(&results.take(1).await[0]), &run);
}

async fn a_bucket_gets_the_event_too_under_lambdas_key(backend: Backend, kind: Kind) {
    let bucket = Backend::name("bucket");
    backend.s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let run = run(&backend, kind, &format!("arn:aws:s3:::{bucket}")).await;
    let listed = backend.s3.list_objects_v2().bucket(&bucket).send().await.unwrap();
    let [object] = listed.contents() else { panic!("{:?}", listed.contents()) };
    let key = object.key().unwrap();
    let object = backend.s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
    let text = object.body.collect().await.unwrap().into_bytes();
    let record: Value = serde_json::from_slice(&text).unwrap();
    is_about(&record, &run);
    let info = kind.batch_info();
    let expected = ["requestContext", "responseContext", "version", "timestamp", info, "payload"];
    assert_eq!(keys(&record), expected);
    let payload: Value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload, run.seen.event, "the whole event, as a string");

    // aws/lambda/<UUID>/<shard>/<YYYY/MM/DD>/<YYYY-MM-DDTHH.MM.SS>-<random UUID>
    let uuid = run.pelton.status(&run.feed)["UUID"].as_str().unwrap().to_owned();
    let timestamp = record["timestamp"].as_str().unwrap();
    let (day, second) = (timestamp[..10].replace('-', "/"), timestamp[..19].replace(':', "."));
    let shard = record[info]["shardId"].as_str().unwrap();
    let start = format!("aws/lambda/{uuid}/{shard}/{day}/{second}-");
    let random = key.strip_prefix(&start).unwrap_or_else(|| panic!("{key} begins with {start}"));
    assert_eq!(random.len(), 36, "{key}");
}

async fn success_is_reported_with_payloads(backend: Backend, kind: Kind) {
    let (feed, function, reports) = (backend.feed(kind).await, Function::new(), backend.queue(30).await);
    feed.put_each(numbered(0..3)).await;
    let more = json!({ "DestinationConfig": { "OnSuccess": { "Destination": reports.arn } } });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 3).await;
    let record = body(&reports.take(1).await[0]);
    let expected = ["version", "timestamp", "requestContext", "requestPayload", "responseContext", "responsePayload"];
    assert_eq!(keys(&record), expected);
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["requestPayload"], function.seen()[0].event);
    assert_eq!(record["responsePayload"], json!({ "batchItemFailures": [] }));
    eventually("the count says so", || async { pelton.status(&feed)["ReportedSuccesses"] == 1 }).await;
}

/// The record comes before the checkpoint: while its destination refuses it, nothing moves on.
async fn a_destination_that_is_missing_holds_the_shard_until_it_is_there(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let name = Backend::name("later");
    feed.put_each([json!({ "do": "fail" }).to_string(), "behind".to_owned()]).await;
    let more = json!({
        "BatchSize": 1, "MaximumRetryAttempts": 0, "DestinationConfig": on_failure(&Backend::arn("sqs", &name)),
    });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    eventually("the refusals are counted", || async {
        pelton.status(&feed)["DestinationDeliveryFailures"].as_u64().unwrap() >= 2
    })
    .await;
    let status = pelton.status(&feed);
    assert!(status["LastProcessingResult"].as_str().unwrap().starts_with("PROBLEM: "), "{status}");
    assert_eq!(status["Shards"][0]["Position"], "TRIM_HORIZON", "the checkpoint stands before the failed record");
    assert_eq!(function.seen().len(), 1, "what stands behind it waits");
    let queue = backend.create_queue(&name, 30, &[]).await;
    queue.take(1).await;
    pelton.has_settled(&feed, 2).await;
    assert_eq!(function.seen().len(), 2);
}

on_both_backends!(a_topic, a_bus);
on_both_kinds!(
    a_bucket_gets_the_event_too_under_lambdas_key,
    success_is_reported_with_payloads,
    a_destination_that_is_missing_holds_the_shard_until_it_is_there,
);
// LocalStack needs Docker to execute functions.
mod with_functions {
    use super::*;
    on_ministack!(a_function);
}
