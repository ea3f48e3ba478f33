//! Lambda's API as tools use it: the AWS CLI, boto3, the AWS SDK for Rust, and Terraform's sequence of calls.
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_lambda::operation::get_event_source_mapping::GetEventSourceMappingOutput;
use aws_sdk_lambda::types::{FilterCriteria, ScalingConfig};
use aws_sdk_lambda::{Client, error::ProvideErrorMetadata};
use futures_util::future::join_all;
use pelton_tests::{Backend, Function, Pelton, Queue, eventually, mapping, on_localstack, on_ministack};
use serde_json::{Value, json};
use tokio::process::Command;

async fn start(backend: &Backend, function: &Function) -> Pelton {
    Pelton::start(backend, function, Vec::new()).await
}

/// The AWS SDK for Rust, with Pelton for its Lambda.
fn lambda(backend: &Backend, pelton: &Pelton) -> Client {
    let config = backend.config.clone().into_builder().endpoint_url(&pelton.url).build();
    Client::new(&config)
}

/// Something of the tools' folder, with credentials and Pelton's endpoint.
async fn tool(pelton: &Pelton, name: &str) -> Command {
    let bin: PathBuf = pelton_testkit::backend::aws_tools(&|_| {}).await.unwrap();
    let mut command = Command::new(bin.join(name));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs([
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_LAMBDA", pelton.url.as_str()),
    ]);
    command
}

async fn aws(pelton: &Pelton, arguments: &[&str]) -> Result<Value, String> {
    let output = tool(pelton, "aws").await.arg("lambda").args(arguments).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true if text.trim().is_empty() => Ok(Value::Null),
        true => Ok(serde_json::from_str(&text).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

async fn cli_is(pelton: &Pelton, id: &str, state: &str) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let found = aws(pelton, &["get-event-source-mapping", "--uuid", id]).await.unwrap();
        if found["State"] == state {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{state}: {found}");
    }
}

async fn the_aws_cli_makes_changes_and_deletes_a_mapping(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let source = ["--event-source-arn", queue.arn.as_str()];
    let create =
        [&["create-event-source-mapping", "--function-name", "work", "--batch-size", "1"], &source[..]].concat();
    let created = aws(&pelton, &[&create[..], &["--tags", "team=a,stage=dev"]].concat()).await.unwrap();
    let id = created["UUID"].as_str().unwrap();
    assert_eq!((&created["State"], &created["BatchSize"]), (&json!("Creating"), &json!(1)));
    assert!(created["LastModified"].as_f64().is_some_and(|seconds| seconds > 1.7e9), "{created}");
    cli_is(&pelton, id, "Enabled").await;
    queue.send_all(["1", "2"].map(str::to_owned)).await;
    function.is_done(2).await;
    queue.is_drained().await;

    let again = aws(&pelton, &create).await.unwrap_err();
    let text = format!(
        "An error occurred (ResourceConflictException) when calling the CreateEventSourceMapping operation: An event \
         source mapping with SQS arn (\" {} \") and function (\" work \") already exists. Please update or delete the \
         existing mapping with UUID {id}",
        queue.arn
    );
    assert!(again.contains(&text), "{again}");
    let update = ["update-event-source-mapping", "--uuid", id, "--batch-size", "7"];
    let updated = aws(&pelton, &update).await.unwrap();
    assert_eq!((&updated["State"], &updated["BatchSize"]), (&json!("Updating"), &json!(7)));
    let found = cli_is(&pelton, id, "Enabled").await;
    let listed = aws(&pelton, &[&["list-event-source-mappings"], &source[..]].concat()).await.unwrap();
    assert_eq!(listed["EventSourceMappings"], json!([found]));

    let resource = ["--resource", created["EventSourceMappingArn"].as_str().unwrap()];
    aws(&pelton, &[&["tag-resource", "--tags", "stage=prod"], &resource[..]].concat()).await.unwrap();
    aws(&pelton, &[&["untag-resource", "--tag-keys", "team"], &resource[..]].concat()).await.unwrap();
    let tags = aws(&pelton, &[&["list-tags"], &resource[..]].concat()).await.unwrap();
    assert_eq!(tags, json!({ "Tags": { "stage": "prod" } }));

    let deleted = aws(&pelton, &["delete-event-source-mapping", "--uuid", id]).await.unwrap();
    assert_eq!(deleted["State"], "Deleting");
    let get = ["get-event-source-mapping", "--uuid", id];
    eventually("it is gone", || async { aws(&pelton, &get).await.is_err() }).await;
    let gone = aws(&pelton, &get).await.unwrap_err();
    let text = "An error occurred (ResourceNotFoundException) when calling the GetEventSourceMapping operation: The \
                resource you requested does not exist.";
    assert!(gone.contains(text), "{gone}");
    queue.send("nobody reads this").await;
    assert_eq!(pelton.get("/status").1, "[]");
    assert_eq!(queue.counts().await, (1, 0));
}

const BOTO3: &str = r#"
import io, json, sys, time, zipfile
import boto3

queue, other, name, code = sys.argv[1:]
client = boto3.client("lambda")
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as zipped:
    zipped.writestr("app.py", code)
made = client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Timeout=10,
    Role="arn:aws:iam::000000000000:role/lambda-role", Code={"ZipFile": archive.getvalue()})
assert name in [f["FunctionName"] for p in client.get_paginator("list_functions").paginate() for f in p["Functions"]]
answer = client.invoke(FunctionName=name, Payload=json.dumps({"Records": []}))
assert (answer["StatusCode"], json.load(answer["Payload"])) == (200, {"batchItemFailures": []}), answer

ids = []
for source in [queue, other]:
    created = client.create_event_source_mapping(EventSourceArn=source, FunctionName=name, BatchSize=2,
        FunctionResponseTypes=["ReportBatchItemFailures"], FilterCriteria={"Filters": [{"Pattern": '{"body": ["yes"]}'}]})
    assert created["State"] == "Creating" and created["FunctionArn"] == made["FunctionArn"], created
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 202 and created["ResponseMetadata"]["RequestId"], created
    ids.append(created["UUID"])

def settles(uuid, *states):
    deadline = time.time() + 30
    while True:
        found = client.get_event_source_mapping(UUID=uuid)
        if found["State"] == states[-1]:
            return found
        assert found["State"] in states and time.time() < deadline, found
        time.sleep(0.05)

for uuid in ids:
    settles(uuid, "Creating", "Enabled")
pages = list(client.get_paginator("list_event_source_mappings").paginate(
    FunctionName=name, PaginationConfig={"PageSize": 1}))
listed = [mapping["UUID"] for page in pages for mapping in page["EventSourceMappings"]]
assert sorted(listed) == sorted(ids) and len(pages) == 2, pages

updated = client.update_event_source_mapping(UUID=ids[1], Enabled=False)
assert updated["State"] == "Disabling", updated
settles(ids[1], "Disabling", "Disabled")
try:
    client.update_event_source_mapping(UUID=ids[0], BatchSize=11)
    sys.exit("a batch of 11 without a window was taken")
except client.exceptions.InvalidParameterValueException as error:
    message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    assert error.response["Error"]["Message"] == message and error.response["Type"] == "User", error.response
try:
    client.get_event_source_mapping(UUID="ad9cff62-3f68-4a5e-8d2e-e2a4b5e8c9aa")
    sys.exit("an unknown mapping was found")
except client.exceptions.ResourceNotFoundException as error:
    assert error.response["Message"] == "The resource you requested does not exist.", error.response
print(json.dumps(ids))
"#;

const CODE: &str = "\
def handler(event, context):
    return {'batchItemFailures': []}
";

async fn boto3_makes_a_function_through_pelton_and_maps_two_queues_to_it(backend: Backend) {
    let (queue, other, function) = (backend.queue(30).await, backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut python = tool(&pelton, "python").await;
    python.args(["-c", BOTO3, &queue.arn, &other.arn, &Backend::name("function"), CODE]);
    let output = python.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ids: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    queue.send_all(["yes", "no", "yes"].map(str::to_owned)).await;
    other.send("yes").await;
    eventually("all are gone", || async { pelton.status(&queue)["Deleted"] == 3 }).await;
    let status = pelton.status(&queue);
    assert_eq!((&status["Invoked"], &status["Filtered"], &status["UUID"]), (&json!(2), &json!(1), &json!(ids[0])));
    queue.is_drained().await;
    assert_eq!(other.counts().await, (1, 0), "the other one is disabled");
}

/// The state, as Terraform's waiters ask for it: any state that is neither pending nor the target fails the apply.
async fn waits(client: &Client, id: &str, pending: &[&str], targets: &[&str]) -> Option<GetEventSourceMappingOutput> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let found = match client.get_event_source_mapping().uuid(id).send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                assert!(targets.is_empty(), "it is gone");
                return None;
            }
            Err(error) => panic!("{error:?}"),
        };
        let state = found.state().unwrap();
        if targets.contains(&state) {
            return Some(found);
        }
        assert!(pending.contains(&state), "{state} is neither in {pending:?} nor in {targets:?}");
        assert!(tokio::time::Instant::now() < deadline, "{state} for 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The calls of the AWS provider for `aws_lambda_event_source_mapping`: create, wait, read, update, wait, read, tags,
/// delete, wait.
async fn terraforms_calls_do_what_terraform_expects(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let pattern = aws_sdk_lambda::types::Filter::builder().pattern(r#"{"body":["yes"]}"#).build();
    let created = client
        .create_event_source_mapping()
        .enabled(true)
        .function_name(Backend::arn("lambda", "function:work"))
        .event_source_arn(&queue.arn)
        .batch_size(5)
        .filter_criteria(FilterCriteria::builder().filters(pattern).build())
        .scaling_config(ScalingConfig::builder().maximum_concurrency(2).build())
        .tags("Name", "orders")
        .send()
        .await
        .unwrap();
    let id = created.uuid().unwrap();
    let enabled = ["Disabled", "Enabled"];
    let read = async |pending: &[&str]| {
        let found = waits(&client, id, pending, &enabled).await.unwrap();
        let tags = client.list_tags().resource(found.event_source_mapping_arn().unwrap()).send().await.unwrap();
        (found, tags.tags.unwrap_or_default())
    };
    let (found, tags) = read(&["Creating", "Disabling", "Enabling"]).await;
    assert_eq!((found.batch_size(), found.state()), (Some(5), Some("Enabled")));
    assert_eq!(found.function_arn(), Some(Backend::arn("lambda", "function:work").as_str()));
    assert_eq!(tags.get("Name").map(String::as_str), Some("orders"));
    // A plan without a difference reads again, and sees the same.
    assert_eq!(read(&[]).await.0.filter_criteria(), found.filter_criteria());

    let changed = client.update_event_source_mapping().uuid(id).batch_size(20).maximum_batching_window_in_seconds(1);
    let changed = changed
        .filter_criteria(FilterCriteria::builder().build())
        .scaling_config(ScalingConfig::builder().build())
        .send();
    changed.await.unwrap();
    let (found, _) = read(&["Disabling", "Enabling", "Updating"]).await;
    assert_eq!((found.batch_size(), found.filter_criteria(), found.scaling_config()), (Some(20), None, None));
    for is_enabled in [false, true] {
        client.update_event_source_mapping().uuid(id).enabled(is_enabled).send().await.unwrap();
        let (found, _) = read(&["Disabling", "Enabling", "Updating"]).await;
        assert_eq!(found.state(), Some(if is_enabled { "Enabled" } else { "Disabled" }));
    }
    let arn = found.event_source_mapping_arn().unwrap();
    client.untag_resource().resource(arn).tag_keys("Name").send().await.unwrap();
    client.tag_resource().resource(arn).tags("stage", "prod").send().await.unwrap();
    let (_, tags) = read(&[]).await;
    assert_eq!(tags, [("stage".to_owned(), "prod".to_owned())].into());

    client.delete_event_source_mapping().uuid(id).send().await.unwrap();
    assert_eq!(waits(&client, id, &["Deleting"], &[]).await.map(|found| found.uuid), None);
    let again = client.delete_event_source_mapping().uuid(id).send().await.unwrap_err();
    assert_eq!(again.code(), Some("ResourceNotFoundException"));
}

async fn create(client: &Client, source: &str) -> String {
    let create = client.create_event_source_mapping().event_source_arn(source).function_name("work");
    create.send().await.unwrap().uuid.unwrap()
}

async fn what_the_api_made_survives_a_kill_and_runs_beside_the_file(backend: Backend) {
    // A poll of the killed process may still take a message: it comes back soon.
    let (made, of_the_file, deleted) = (backend.queue(2).await, backend.queue(2).await, backend.queue(2).await);
    let (function, folder) = (Function::new(), tempfile::tempdir().unwrap());
    let configuration = json!({
        "Endpoint": backend.endpoint, "Functions": [function.entry()],
        "State": { "Sqlite": { "Path": folder.path().join("pelton.db") } },
        "EventSourceMappings": [mapping(&of_the_file, &function, json!({}))],
    });
    let mut pelton = Pelton::run(configuration.clone()).await;
    let client = lambda(&backend, &pelton);
    let (id, gone) = (create(&client, &made.arn).await, create(&client, &deleted.arn).await);
    client.delete_event_source_mapping().uuid(&gone).send().await.unwrap();
    pelton.kill();

    let pelton = Pelton::run(configuration).await;
    let client = lambda(&backend, &pelton);
    waits(&client, &id, &["Creating"], &["Enabled"]).await;
    waits(&client, &gone, &["Deleting"], &[]).await;
    made.send("made").await;
    of_the_file.send("of the file").await;
    deleted.send("nobody reads this").await;
    function.is_done(2).await;
    made.is_drained().await;
    of_the_file.is_drained().await;
    eventually("nobody reads it", || async { deleted.counts().await == (1, 0) }).await;
    let listed = client.list_event_source_mappings().send().await.unwrap();
    let ids: Vec<&str> = listed.event_source_mappings().iter().filter_map(|mapping| mapping.uuid()).collect();
    let filed = pelton.status(&of_the_file)["UUID"].as_str().unwrap().to_owned();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&id.as_str()) && ids.contains(&filed.as_str()), "{ids:?}");
    let refused = client.delete_event_source_mapping().uuid(&filed).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterValueException"));
    assert!(refused.message().unwrap().contains("pelton.yaml: change it there"), "{refused:?}");
}

async fn a_reload_keeps_what_the_api_made(backend: Backend) {
    let (made, added, function) = (backend.queue(30).await, backend.queue(30).await, Function::new());
    let configuration = |mappings: Vec<Value>, timeout: u32| {
        let mut entry = function.entry();
        entry["Timeout"] = json!(timeout);
        json!({ "Endpoint": backend.endpoint, "Functions": [entry], "EventSourceMappings": mappings })
    };
    let pelton = Pelton::run(configuration(vec![], 20)).await;
    let client = lambda(&backend, &pelton);
    let id = create(&client, &made.arn).await;
    waits(&client, &id, &["Creating"], &["Enabled"]).await;
    // The function is replaced, and a mapping comes: what was made goes on with the new function.
    pelton.replace_configuration(configuration(vec![mapping(&added, &function, json!({}))], 19));
    pelton.has_reloaded(1).await;
    made.send("made").await;
    added.send("added").await;
    function.is_done(2).await;
    made.is_drained().await;
    // A file with the same mapping once more is refused as a whole.
    pelton.replace_configuration(configuration(vec![mapping(&made, &function, json!({}))], 19));
    eventually("it is refused", || async { pelton.log().contains("delete that one first") }).await;
    added.send("the file before stays in force").await;
    function.is_done(3).await;
}

async fn parallel_calls_leave_no_orphan_poller(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let queues: Vec<Queue> = join_all((0..12).map(|_| backend.queue(30))).await;
    let one = async |index: usize, queue: &Queue| {
        let id = create(&client, &queue.arn).await;
        let update = |size| client.update_event_source_mapping().uuid(&id).batch_size(size).send();
        let (first, second) = tokio::join!(update(1), update(2));
        first.unwrap();
        second.unwrap();
        if !index.is_multiple_of(3) {
            client.delete_event_source_mapping().uuid(&id).send().await.unwrap();
            waits(&client, &id, &["Deleting"], &[]).await;
            return None;
        }
        Some(id)
    };
    let kept = join_all(queues.iter().enumerate().map(|(index, queue)| one(index, queue))).await;
    let mut kept: Vec<String> = kept.into_iter().flatten().collect();
    kept.sort();
    for id in &kept {
        waits(&client, id, &["Creating", "Updating"], &["Enabled"]).await;
    }
    let status: Value = serde_json::from_str(&pelton.get("/status").1).unwrap();
    let running: Vec<&str> = status.as_array().unwrap().iter().map(|it| it["UUID"].as_str().unwrap()).collect();
    assert_eq!(running, kept);
    join_all(queues.iter().map(|queue| queue.send("one"))).await;
    function.is_done(kept.len()).await;
    for (index, queue) in queues.iter().enumerate() {
        match index % 3 {
            0 => queue.is_drained().await,
            _ => assert_eq!(queue.counts().await, (1, 0), "nobody polls the queue of a deleted mapping"),
        }
    }
    assert_eq!(function.seen().len(), kept.len());
}

async fn updates_while_batches_are_in_flight_lose_nothing(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new().with_concurrency(2));
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let id = create(&client, &queue.arn).await;
    let bodies = (0..60).map(|i| json!({ "do": "sleep", "seconds": 0.05, "i": i }).to_string());
    let mut sent: Vec<String> = bodies.collect();
    queue.send_all(sent.clone()).await;
    for size in 1..=5 {
        client.update_event_source_mapping().uuid(&id).batch_size(size).send().await.unwrap();
        function.is_invoked(size as usize).await;
    }
    queue.is_drained().await;
    let mut seen: Vec<String> = function
        .seen()
        .iter()
        .flat_map(|seen| seen.bodies().into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    sent.sort();
    seen.sort();
    assert_eq!(seen, sent, "each once: a batch in flight comes to its end before its mapping is replaced");
}

/// Checkpoints belong to the mapping: an update keeps them, a delete forgets them.
async fn checkpoints_live_as_long_as_the_mapping(backend: Backend) {
    let (function, name) = (Function::new(), Backend::name("stream"));
    let kinesis = aws_sdk_kinesis::Client::new(&backend.config);
    kinesis.create_stream().stream_name(&name).shard_count(1).send().await.unwrap();
    let arn = Backend::arn("kinesis", &format!("stream/{name}"));
    eventually("the stream is active", || async {
        let found = kinesis.describe_stream_summary().stream_name(&name).send().await.unwrap();
        found.stream_description_summary().unwrap().stream_status().as_str() == "ACTIVE"
    })
    .await;
    let put = async |data: &str| {
        let blob = aws_sdk_kinesis::primitives::Blob::new(data);
        kinesis.put_record().stream_name(&name).partition_key("k").data(blob).send().await.unwrap();
    };
    let sequence = |seen: &[pelton_tests::Seen]| -> Vec<String> {
        let records = seen.iter().flat_map(|seen| seen.records().to_vec());
        records.map(|record| record["kinesis"]["sequenceNumber"].as_str().unwrap().to_owned()).collect()
    };
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let create = async || {
        let create = client.create_event_source_mapping().event_source_arn(&arn).function_name("work").batch_size(1);
        let created = create.starting_position(aws_sdk_lambda::types::EventSourcePosition::TrimHorizon).send().await;
        created.unwrap().uuid.unwrap()
    };
    put("{}").await;
    put("{}").await;
    let id = create().await;
    let before = sequence(&function.is_done(2).await);
    client.update_event_source_mapping().uuid(&id).maximum_retry_attempts(2).send().await.unwrap();
    waits(&client, &id, &["Updating"], &["Enabled"]).await;
    put("{}").await;
    let all = sequence(&function.is_done(3).await);
    assert_eq!((&all[..2], all.len()), (&before[..], 3), "the first two don't come again");
    client.delete_event_source_mapping().uuid(&id).send().await.unwrap();
    waits(&client, &id, &["Deleting"], &[]).await;
    create().await;
    let again = sequence(&function.is_done(6).await);
    assert_eq!(again[3..], all[..], "a new mapping begins at its StartingPosition");
}

on_localstack!(terraforms_calls_do_what_terraform_expects);

on_ministack!(
    terraforms_calls_do_what_terraform_expects,
    the_aws_cli_makes_changes_and_deletes_a_mapping,
    boto3_makes_a_function_through_pelton_and_maps_two_queues_to_it,
    what_the_api_made_survives_a_kill_and_runs_beside_the_file,
    a_reload_keeps_what_the_api_made,
    parallel_calls_leave_no_orphan_poller,
    updates_while_batches_are_in_flight_lose_nothing,
    checkpoints_live_as_long_as_the_mapping,
);
