//! `pelton replay`: failure records as Pelton itself wrote them, sent once more.
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use pelton_tests::{Backend, Function, Pelton, Queue, binary, complete, eventually, mapping, on_both_backends};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Fails until it is repaired, and writes down what it was given.
const CODE: &str = "
import json, os

HERE = os.path.dirname(os.path.abspath(__file__))

def handler(event, context):
    with open(os.path.join(HERE, 'events.jsonl'), 'a') as file:
        file.write(json.dumps(event) + '\\n')
    if not os.path.exists(os.path.join(HERE, 'repaired')):
        raise ValueError('not repaired yet')
    return json.load(open(os.path.join(HERE, 'repaired')))
";

struct App {
    name: &'static str,
    folder: TempDir,
}

impl App {
    fn broken(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.py"), CODE).unwrap();
        Self { name, folder }
    }

    /// From now on it answers so.
    fn repair(&self, answer: &Value) {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        std::fs::write(folder.path().join("new"), answer.to_string()).unwrap();
        std::fs::rename(folder.path().join("new"), self.folder.path().join("repaired")).unwrap();
    }

    fn entry(&self) -> Value {
        json!({
            "FunctionName": self.name, "Runtime": "python3.x", "Handler": "app.handler", "CodeUri": self.folder.path(),
            "Timeout": 20,
        })
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("events.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Six records, two of which the mapping's filters hold back.
struct Stream {
    arn: String,
    filter: &'static str,
    /// For the configuration.
    endpoints: Value,
}

fn is_held_back(number: usize) -> bool {
    number == 1 || number == 3
}

async fn kinesis(backend: &Backend) -> Stream {
    let (client, name) = (aws_sdk_kinesis::Client::new(&backend.config), Backend::name("s"));
    client.create_stream().stream_name(&name).shard_count(1).send().await.unwrap();
    eventually("the stream is active", || async {
        let described = client.describe_stream_summary().stream_name(&name).send().await.unwrap();
        described.stream_description_summary.unwrap().stream_status == StreamStatus::Active
    })
    .await;
    let entry = |number| {
        let data = if is_held_back(number) { json!({"skip": number}) } else { json!({"n": number, "é": 1.50}) };
        let entry = PutRecordsRequestEntry::builder().partition_key(format!("key-{number}"));
        entry.data(Blob::new(data.to_string())).build().unwrap()
    };
    client.put_records().stream_name(&name).set_records(Some((0..6).map(entry).collect())).send().await.unwrap();
    Stream {
        arn: Backend::arn("kinesis", &format!("stream/{name}")),
        filter: "{\"data\": {\"n\": [{\"exists\": true}]}}",
        endpoints: json!({}),
    }
}

/// `endpoint`: where DynamoDB is.
async fn dynamodb(backend: &Backend, endpoint: &str) -> Stream {
    let config = aws_sdk_dynamodb::config::Builder::from(&backend.config).endpoint_url(endpoint).build();
    let (client, name) = (aws_sdk_dynamodb::Client::from_conf(config), Backend::name("t"));
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    let create = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap());
    let created = create.stream_specification(stream.build().unwrap()).send().await.unwrap();
    for number in 0..6 {
        let put = client.put_item().table_name(&name).item("id", AttributeValue::S(format!("key-{number}")));
        let more = if is_held_back(number) { "skip" } else { "n" };
        put.item(more, AttributeValue::N(number.to_string())).send().await.unwrap();
    }
    Stream {
        arn: created.table_description.unwrap().latest_stream_arn.unwrap(),
        filter: "{\"dynamodb\": {\"NewImage\": {\"n\": {\"N\": [{\"exists\": true}]}}}}",
        endpoints: json!({"DynamoDB": endpoint}),
    }
}

/// What a command has said.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// `pelton replay` in a folder with a configuration.
fn command(folder: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(binary());
    command
        .arg("replay")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn replay(folder: &Path, arguments: &[&str], input: &str) -> Said {
    let mut child = command(folder, arguments).spawn().unwrap();
    // A command that doesn't read its input has ended before.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Said {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A mapping of a stream that has failed, with the file it was in.
struct Failed {
    stream: Stream,
    app: App,
    queue: Queue,
    folder: TempDir,
    /// What the function was given, once each.
    events: Vec<Value>,
}

impl Failed {
    /// Runs a mapping, with more fields of its own, until all that failed is in `destination`: as many records as the
    /// function was given events.
    async fn at(
        backend: &Backend,
        stream: Stream,
        destination: &str,
        more: &Value,
        arrived: impl AsyncFn() -> usize,
    ) -> Self {
        let (app, other) = (App::broken("work"), App::broken("other"));
        let mut mapping = json!({
            "EventSourceArn": stream.arn, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 10, "MaximumRetryAttempts": 0, "FilterCriteria": {"Filters": [{"Pattern": stream.filter}]},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": destination}},
        });
        mapping.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let configuration = json!({
            "Endpoint": backend.endpoint, "Endpoints": stream.endpoints, "State": {"Memory": {}},
            "Functions": [app.entry(), other.entry()], "EventSourceMappings": [mapping],
        });
        let pelton = Pelton::run(configuration.clone()).await;
        eventually("the failure records arrive", async || {
            let events = app.events();
            let records: usize = events.iter().map(|event| event["Records"].as_array().unwrap().len()).sum();
            records == 4 && arrived().await == events.len()
        })
        .await;
        drop(pelton);
        let (events, folder) = (app.events(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("pelton.yaml"), complete(configuration)).unwrap();
        Self { stream, app, queue: backend.queue(30).await, folder, events }
    }

    async fn in_queue(backend: &Backend, stream: Stream, more: Value) -> Self {
        let queue = backend.queue(30).await;
        let arrived = async || queue.counts().await.0 as usize;
        Self { queue: queue.clone(), ..Self::at(backend, stream, &queue.arn, &more, arrived).await }
    }

    /// What the function was given at once.
    fn event(&self) -> &Value {
        assert_eq!(self.events.len(), 1);
        &self.events[0]
    }

    fn replay(&self, arguments: &[&str]) -> Said {
        replay(self.folder.path(), arguments, "")
    }
}

/// The whole way: shown, tried with the broken function, elsewhere, and with the repaired one.
async fn a_failed_batch_is_replayed(backend: &Backend, stream: Stream) {
    let failed = Failed::in_queue(backend, stream, json!({})).await;
    let from_queue = ["--from-queue", failed.queue.arn.as_str()];
    let records = failed.event()["Records"].as_array().unwrap();
    assert_eq!(records.len(), 4);

    let said = failed.replay(&[&from_queue[..], &["--dry-run"]].concat());
    assert_eq!(said.status, Some(0), "{said:?}");
    let lines: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, records, "exactly what the function was given");
    assert_eq!(failed.app.events().len(), 1, "nothing was invoked");

    let said = failed.replay(&[&from_queue[..], &["--delete"]].concat());
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("the function failed: Unhandled: ValueError: not repaired yet"), "{said:?}");
    assert_eq!(failed.queue.counts().await, (1, 0), "what failed is kept, and visible at once");

    let id = &records[2]["kinesis"]["sequenceNumber"];
    let id = if id.is_null() { &records[2]["dynamodb"]["SequenceNumber"] } else { id };
    failed.app.repair(&json!({"batchItemFailures": [{"itemIdentifier": id}]}));
    let said = failed.replay(&[&from_queue[..], &["--delete"]].concat());
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("1 of 4 records in batchItemFailures"), "{said:?}");
    assert_eq!(failed.queue.counts().await, (1, 0));

    failed.app.repair(&json!({"batchItemFailures": []}));
    let said = failed.replay(&from_queue);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(failed.queue.counts().await, (1, 0), "without --delete it is kept");

    let said = failed.replay(&[&from_queue[..], &["--delete", "--batch-size", "3"]].concat());
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.stdout.contains("4 records processed by work in 2 invocations"), "{said:?}");
    assert!(said.stdout.ends_with("1 replayed, 0 failed\n"), "{said:?}");
    failed.queue.is_drained().await;

    let events = failed.app.events();
    assert!(events[..4].iter().all(|event| event == failed.event()), "the same event each time");
    let in_two: Vec<&Value> = events[4..].iter().flat_map(|event| event["Records"].as_array().unwrap()).collect();
    assert!(in_two.into_iter().eq(records));
    let said = failed.replay(&from_queue);
    assert_eq!((said.status, said.stdout.as_str()), (Some(0), "0 replayed, 0 failed\n"), "{said:?}");
}

async fn a_failed_batch_of_kinesis_is_replayed(backend: Backend) {
    a_failed_batch_is_replayed(&backend, kinesis(&backend).await).await;
}

/// Batches of lanes hold some of the records between their first and their last one.
async fn the_batches_of_lanes_are_replayed_as_they_were(backend: Backend) {
    let stream = kinesis(&backend).await;
    let failed = Failed::in_queue(&backend, stream, json!({"ParallelizationFactor": 10})).await;
    assert!(failed.events.len() > 1, "more than one lane has records");
    failed.app.repair(&json!(null));
    let said = failed.replay(&["--from-queue", &failed.queue.arn, "--delete"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    let sorted = |events: &[Value]| {
        let mut texts: Vec<String> = events.iter().map(Value::to_string).collect();
        texts.sort();
        texts
    };
    assert_eq!(sorted(&failed.app.events()[failed.events.len()..]), sorted(&failed.events));
    failed.queue.is_drained().await;
}

/// Failure records whose range reaches before what the stream has.
async fn records_that_are_gone_are_counted_and_the_rest_is_sent_only_if_asked(backend: Backend) {
    let failed = Failed::in_queue(&backend, kinesis(&backend).await, json!({})).await;
    failed.app.repair(&json!(null));
    let [message] = failed.queue.take(1).await.try_into().unwrap();
    let mut record: Value = serde_json::from_str(message.body().unwrap()).unwrap();
    let info = &mut record["KinesisBatchInfo"];
    let before = info["startSequenceNumber"].as_str().unwrap().replace(|digit: char| digit != '0', "1");
    info["startSequenceNumber"] = json!(before);
    info["batchSize"] = json!(7);
    let file = failed.folder.path().join("record.json");
    std::fs::write(&file, record.to_string()).unwrap();
    let said = failed.replay(&["--record", "record.json"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("3 of 7 records are no longer in shard "), "{said:?}");
    assert!(said.stderr.contains("--anyway sends the 4 that there are"), "{said:?}");
    assert_eq!(failed.app.events().len(), 1, "nothing was sent");
    let said = failed.replay(&["--record", "record.json", "--anyway"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(failed.app.events()[1], *failed.event());

    record["KinesisBatchInfo"]["endSequenceNumber"] = json!(before);
    std::fs::write(&file, record.to_string()).unwrap();
    let said = failed.replay(&["--record", "record.json", "--anyway"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("none of the 7 records is left in shard "), "{said:?}");
    record["KinesisBatchInfo"]["shardId"] = json!("shardId-000000000099");
    std::fs::write(&file, record.to_string()).unwrap();
    let said = failed.replay(&["--record", "record.json"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("shard shardId-000000000099 is no longer in "), "{said:?}");
}

/// A bucket's objects hold the event, so the stream isn't asked: not even for a stream that is gone.
async fn an_object_of_a_bucket_is_replayed_without_its_stream(backend: Backend) {
    let bucket = Backend::name("b");
    backend.s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let objects = async || {
        let listed = backend.s3.list_objects_v2().bucket(&bucket).send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let destination = format!("arn:aws:s3:::{bucket}");
    let stream = kinesis(&backend).await;
    let failed = Failed::at(&backend, stream, &destination, &json!({}), async || objects().await.len()).await;
    let name = failed.stream.arn.rsplit('/').next().unwrap();
    aws_sdk_kinesis::Client::new(&backend.config).delete_stream().stream_name(name).send().await.unwrap();
    let object = backend.s3.get_object().bucket(&bucket).key(&objects().await[0]).send().await.unwrap();
    let text = String::from_utf8(object.body.collect().await.unwrap().to_vec()).unwrap();

    let said = replay(failed.folder.path(), &["--record", "-", "--dry-run"], &text);
    assert_eq!((said.status, said.stdout.lines().count()), (Some(0), 4), "{said:?}");
    failed.app.repair(&json!(null));
    let said = replay(failed.folder.path(), &["--record", "-"], &text);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(failed.app.events()[1..], failed.events);
}

/// Records of a queue's messages hold the event too.
async fn messages_that_were_given_up_are_replayed_elsewhere(backend: Backend) {
    let (orders, failures) = (backend.queue(2).await, backend.queue(30).await);
    let (work, repaired) = (Function::new(), App::broken("repaired"));
    repaired.repair(&json!(null));
    let more = json!({
        "MaximumRetryAttempts": 0, "BatchSize": 1,
        "DestinationConfig": {"OnFailure": {"Destination": failures.arn}},
    });
    let configuration = json!({
        "Endpoint": backend.endpoint, "Functions": [work.entry(), repaired.entry()],
        "EventSourceMappings": [mapping(&orders, &work, more)],
    });
    orders.send_all((0..12).map(|number| json!({"do": "fail", "number": number}).to_string())).await;
    let pelton = Pelton::run(configuration.clone()).await;
    orders.is_drained().await;
    drop(pelton);
    failures.send("{\"no\": \"record\"}").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pelton.yaml"), complete(configuration)).unwrap();

    let arguments = ["--from-queue", &failures.arn, "--function", "repaired", "--delete"];
    let said = replay(folder.path(), &arguments, "");
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stdout.ends_with("12 replayed, 1 failed\n"), "{said:?}");
    assert!(said.stderr.contains("no failure record: there is no requestContext"), "{said:?}");
    let mut bodies: Vec<String> =
        repaired.events().iter().map(|event| event["Records"][0]["body"].as_str().unwrap().to_owned()).collect();
    let mut expected: Vec<String> = work.seen().iter().map(|seen| seen.bodies()[0].to_owned()).collect();
    bodies.sort();
    expected.sort();
    assert_eq!((bodies.len(), bodies), (12, expected));
    let [left] = failures.take(1).await.try_into().unwrap();
    assert_eq!(left.body(), Some("{\"no\": \"record\"}"));
    failures.is_drained().await;
}

/// The invocation under way is waited for; what wasn't tried can be received at once.
async fn a_signal_ends_it_in_order(backend: Backend) {
    let (failures, function) = (backend.queue(30).await, Function::new());
    let order = json!({"do": "sleep", "seconds": 2}).to_string();
    let message = json!({"messageId": "1", "body": order, "attributes": {"ApproximateReceiveCount": "1"}});
    let record = json!({
        "requestContext": {
            "requestId": "1", "condition": "RetriesExhausted", "functionArn": Backend::arn("lambda", "function:work"),
        },
        "requestPayload": {"Records": [message]},
    });
    failures.send_all((0..3).map(|_| record.to_string())).await;
    let folder = tempfile::tempdir().unwrap();
    let configuration =
        json!({"Endpoint": backend.endpoint, "Functions": [function.entry()], "EventSourceMappings": []});
    std::fs::write(folder.path().join("pelton.yaml"), complete(configuration)).unwrap();
    let arguments = ["--from-queue", &failures.arn, "--function", "work", "--delete"];
    let child = command(folder.path(), &arguments).spawn().unwrap();
    function.is_invoked(1).await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let seen = function.seen();
    assert!(seen.len() == 1 && seen[0].end.is_some(), "{seen:?}");
    assert_eq!(failures.counts().await, (2, 0));
}

on_both_backends!(
    a_signal_ends_it_in_order,
    a_failed_batch_of_kinesis_is_replayed,
    the_batches_of_lanes_are_replayed_as_they_were,
    records_that_are_gone_are_counted_and_the_rest_is_sent_only_if_asked,
    an_object_of_a_bucket_is_replayed_without_its_stream,
    messages_that_were_given_up_are_replayed_elsewhere,
);

#[tokio::test]
async fn a_failed_batch_of_a_table_is_replayed_on_ministack() {
    let backend = Backend::ministack().await;
    let stream = dynamodb(&backend, &backend.endpoint).await;
    a_failed_batch_is_replayed(&backend, stream).await;
}

#[tokio::test]
async fn a_failed_batch_of_a_table_is_replayed_on_dynamodb_local() {
    let backend = Backend::localstack().await;
    let stream = dynamodb(&backend, &pelton_testkit::backend::dynamodb()).await;
    a_failed_batch_is_replayed(&backend, stream).await;
}

#[tokio::test]
async fn a_record_says_what_it_lacks_and_nothing_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = json!({"Endpoint": "http://127.0.0.1:9", "EventSourceMappings": []});
    std::fs::write(folder.path().join("pelton.yaml"), complete(configuration)).unwrap();
    let good = json!({
        "requestContext": {
            "requestId": "1", "condition": "RetriesExhausted",
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:work",
        },
        "requestPayload": {"Records": []},
    });
    for (arguments, input, status, expected) in [
        (&["--record", "-"][..], "hello", 2, "standard input can't be replayed: not JSON: expected value at line 1"),
        (&["--record", "-"], "", 2, "no failure record: there is nothing in it"),
        (&["--record", "-"], "{\"a\":1}", 2, "line 1: no failure record: there is no requestContext"),
        (&["--record", "missing.json"], "", 2, "can't read missing.json: No such file"),
        (&["--record", "-", "-c", "missing.yaml"], &good.to_string(), 2, "missing.yaml"),
        (&["--from-queue", "orders"], "", 2, "an ARN starts with 'arn:'"),
        (&["--from-queue", "arn:aws:sns:us-east-1:000000000000:orders"], "", 2, "is no queue: write arn:aws:sqs:"),
        (&["--record", "-", "--delete"], "", 2, "--delete"),
        (&["--record", "-", "--batch-size", "0"], "", 2, "a number from 1 to 10,000"),
        (&["--record", "-", "--function", "no/name"], "", 2, "is no function name"),
        (&[], "", 2, "--from-queue <ARN>"),
        (
            &["--record", "-"],
            &good.to_string(),
            1,
            "the file has no mapping of arn:aws:lambda:us-east-1:000000000000:function:work: name a function with --function",
        ),
        (&["--record", "-", "--function", "other"], &good.to_string(), 1, "the function can't be invoked: other"),
    ] {
        let said = replay(folder.path(), arguments, input);
        assert_eq!(said.status, Some(status), "{arguments:?} {said:?}");
        assert!(said.stderr.contains(expected), "{arguments:?} {said:?}");
        assert!(!said.stderr.contains("panicked"), "{said:?}");
    }
}
