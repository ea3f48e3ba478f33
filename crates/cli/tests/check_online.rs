//! `pelton check` against real backends: what is there, what is missing, what doesn't fit together.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType,
};
use aws_sdk_kinesis::types::StreamStatus;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_sqs::types::QueueAttributeName;
use pelton_testkit::backend;

/// How long a backend may take to make a stream.
const LIMIT: Duration = Duration::from_secs(30);
const ACCOUNT: &str = "000000000000";
/// A zip archive without files: the function is never invoked.
const EMPTY_ARCHIVE: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// One backend, and names that nobody else uses there.
struct Place {
    endpoint: String,
    /// LocalStack has no DynamoDB here: DynamoDB Local stands beside it.
    dynamodb: String,
    config: SdkConfig,
    name: String,
}

impl Place {
    async fn new(endpoint: String, dynamodb: String) -> Self {
        let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(&endpoint)
            .load()
            .await;
        Self { endpoint, dynamodb, config, name: format!("check-{}", uuid::Uuid::new_v4()) }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}")
    }

    async fn queue(&self, visibility_timeout: u32) -> String {
        let create = aws_sdk_sqs::Client::new(&self.config).create_queue().queue_name(&self.name);
        create.attributes(QueueAttributeName::VisibilityTimeout, visibility_timeout.to_string()).send().await.unwrap();
        self.arn("sqs", &self.name)
    }

    async fn function(&self, timeout: i32) -> String {
        let client = aws_sdk_lambda::Client::new(&self.config);
        let code = FunctionCode::builder().zip_file(Blob::new(EMPTY_ARCHIVE)).build();
        let create = client.create_function().function_name(&self.name).code(code).timeout(timeout);
        let create = create.runtime(Runtime::Python312).handler("app.handler");
        create.role(format!("arn:aws:iam::{ACCOUNT}:role/lambda-role")).send().await.unwrap();
        self.arn("lambda", &format!("function:{}", self.name))
    }

    /// Exit status and what was printed.
    fn check(&self, text: &str) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pelton.yaml"), format!("Endpoint: {}\n{text}", self.endpoint)).unwrap();
        let output = assert_cmd::Command::cargo_bin("pelton")
            .unwrap()
            .current_dir(folder.path())
            .env_clear()
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
            .arg("check")
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), printed)
    }
}

async fn everything_there_is_fine(place: Place) {
    let (queue, function) = (place.queue(60).await, place.function(60).await);
    let topic = aws_sdk_sns::Client::new(&place.config).create_topic().name(&place.name).send().await.unwrap();
    aws_sdk_eventbridge::Client::new(&place.config).create_event_bus().name(&place.name).send().await.unwrap();
    let s3 = aws_sdk_s3::config::Builder::from(&place.config).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(s3).create_bucket().bucket(&place.name).send().await.unwrap();
    let (status, printed) = place.check(&format!(
        "EventSourceMappings:
  - EventSourceArn: {queue}
    FunctionName: {function}
    DestinationConfig:
      OnSuccess: {{Destination: '{topic}'}}
      OnFailure: {{Destination: '{bus}'}}
      OverflowBucket: arn:aws:s3:::{bucket}
",
        topic = topic.topic_arn().unwrap(),
        bus = place.arn("events", &format!("event-bus/{}", place.name)),
        bucket = place.name,
    ));
    assert_eq!((status, printed.as_str()), (0, "pelton.yaml: 1 mapping, no problem found\n"));
}

async fn everything_missing_is_said_at_its_place(place: Place) {
    let arn = |service: &str, prefix: &str| place.arn(service, &format!("{prefix}{}", place.name));
    let (status, printed) = place.check(&format!(
        "EventSourceMappings:
  - EventSourceArn: {source}
    FunctionName: {name}
    DestinationConfig:
      OnSuccess: {{Destination: '{topic}'}}
      OnFailure: {{Destination: '{bus}'}}
      OverflowBucket: arn:aws:s3:::{name}
  - EventSourceArn: {source}-2
    FunctionName: {name}
    DestinationConfig:
      OnSuccess: {{Destination: '{function}-2'}}
      OnFailure: {{Destination: '{source}-3'}}
",
        name = place.name,
        source = arn("sqs", ""),
        topic = arn("sns", ""),
        bus = arn("events", "event-bus/"),
        function = arn("lambda", "function:"),
    ));
    let no_queue = "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. \
                    SQS Error Message: The specified queue does not exist.";
    let problems = [
        ("3:21: EventSourceMappings[0].EventSourceArn", no_queue.to_owned()),
        ("4:19: EventSourceMappings[0].FunctionName", "Function does not exist".into()),
        ("6:32: EventSourceMappings[0].DestinationConfig.OnSuccess.Destination", "the topic does not exist".into()),
        ("7:32: EventSourceMappings[0].DestinationConfig.OnFailure.Destination", "the event bus does not exist".into()),
        ("8:23: EventSourceMappings[0].DestinationConfig.OverflowBucket", "the bucket does not exist".into()),
        ("9:21: EventSourceMappings[1].EventSourceArn", no_queue.into()),
        ("10:19: EventSourceMappings[1].FunctionName", "Function does not exist".into()),
        (
            "12:32: EventSourceMappings[1].DestinationConfig.OnSuccess.Destination",
            format!("The destination ARN {}-2 is invalid.", arn("lambda", "function:")),
        ),
        ("13:32: EventSourceMappings[1].DestinationConfig.OnFailure.Destination", "the queue does not exist".into()),
    ];
    assert_eq!(status, 1, "{printed}");
    let blocks: Vec<&str> = printed.split("\n\n").collect();
    assert_eq!(blocks.len(), problems.len() + 1, "{printed}");
    for ((position, message), block) in problems.iter().zip(blocks) {
        assert!(block.starts_with(&format!("pelton.yaml:{position}: ")), "{position} in {block}");
        assert_eq!(block.lines().nth(1), Some(format!("  {message}").as_str()));
    }
    assert!(printed.ends_with("pelton.yaml: 9 problems\n"), "{printed}");
}

async fn a_visibility_timeout_below_the_functions_timeout_is_a_problem(place: Place) {
    let (queue, function) = (place.queue(30).await, place.function(31).await);
    let (status, printed) =
        place.check(&format!("EventSourceMappings:\n  - {{EventSourceArn: '{queue}', FunctionName: '{function}'}}\n"));
    assert_eq!(status, 1, "{printed}");
    assert!(
        printed.contains("Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds"),
        "{printed}"
    );
    let (status, printed) = place.check(&format!(
        "Functions:\n  - {{FunctionName: work, Command: sh, Timeout: 40}}\nEventSourceMappings:\n  - {{EventSourceArn: \
         '{queue}', FunctionName: work}}\n"
    ));
    assert_eq!(status, 1, "{printed}");
    assert!(
        printed.contains("Queue visibility timeout: 30 seconds is less than Function timeout: 40 seconds"),
        "{printed}"
    );
}

async fn a_mapping_of_lambda_itself_is_a_warning(place: Place) {
    let (queue, function) = (place.queue(60).await, place.function(3).await);
    let client = aws_sdk_lambda::Client::new(&place.config);
    let create = client.create_event_source_mapping().event_source_arn(&queue).function_name(&place.name);
    let created = create.send().await.unwrap();
    let text = format!("EventSourceMappings:\n  - {{EventSourceArn: '{queue}', FunctionName: '{function}'}}\n");
    let (status, printed) = place.check(&text);
    client.delete_event_source_mapping().uuid(created.uuid().unwrap()).send().await.unwrap();
    assert_eq!(status, 0, "{printed}");
    assert!(printed.starts_with("warning: pelton.yaml:3:22: EventSourceMappings[0].EventSourceArn"), "{printed}");
    assert!(printed.contains(&format!("{} → {function}", created.uuid().unwrap())), "{printed}");
}

/// A Kinesis stream with a consumer, and the stream of a table.
async fn streams(place: &Place) -> [String; 3] {
    let kinesis = aws_sdk_kinesis::Client::new(&place.config);
    let stream = place.arn("kinesis", &format!("stream/{}", place.name));
    kinesis.create_stream().stream_name(&place.name).shard_count(1).send().await.unwrap();
    let active = async || {
        let summary = kinesis.describe_stream_summary().stream_name(&place.name).send().await.unwrap();
        summary.stream_description_summary.unwrap().stream_status == StreamStatus::Active
    };
    pelton_testkit::eventually("the stream is active", LIMIT, active).await;
    let consumer =
        kinesis.register_stream_consumer().stream_arn(&stream).consumer_name("consumer").send().await.unwrap();
    let beside = place.config.to_builder().endpoint_url(&place.dynamodb).build();
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let id =
        AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build().unwrap();
    let images = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    let create = aws_sdk_dynamodb::Client::new(&beside).create_table().table_name(&place.name).key_schema(key);
    let create = create.attribute_definitions(id).billing_mode(BillingMode::PayPerRequest);
    let table = create.stream_specification(images.build().unwrap()).send().await.unwrap();
    let table = table.table_description.unwrap().latest_stream_arn.unwrap();
    [stream, consumer.consumer.unwrap().consumer_arn, table]
}

fn check_streams(place: &Place, streams: &[String]) -> (i32, String) {
    let mappings = streams
        .iter()
        .map(|stream| format!("  - {{EventSourceArn: '{stream}', FunctionName: work, StartingPosition: LATEST}}\n"));
    place.check(&format!(
        "Endpoints: {{DynamoDB: '{}'}}\nFunctions:\n  - {{FunctionName: work, Command: /bin/sh}}\nEventSourceMappings:\n{}",
        place.dynamodb,
        mappings.collect::<String>()
    ))
}

async fn streams_that_are_there_are_fine(place: Place) {
    let streams = streams(&place).await;
    let (status, printed) = check_streams(&place, &streams);
    assert_eq!((status, printed.as_str()), (0, "pelton.yaml: 3 mappings, no problem found\n"));
}

async fn streams_that_are_missing_are_said_at_their_place(place: Place) {
    let missing = format!("{}-missing", place.name);
    let there = streams(&place).await;
    let streams = there.each_ref().map(|arn| arn.replace(&place.name, &missing));
    let (status, printed) = check_streams(&place, &streams);
    assert_eq!(status, 1, "{printed}");
    let blocks: Vec<&str> = printed.split("\n\n").collect();
    assert_eq!(blocks.len(), streams.len() + 1, "{printed}");
    for (i, (stream, block)) in streams.iter().zip(blocks).enumerate() {
        let position = format!("pelton.yaml:{}:22: EventSourceMappings[{i}].EventSourceArn: ", i + 6);
        assert!(block.starts_with(&position), "{position} in {block}");
        assert_eq!(block.lines().nth(1), Some(format!("  Stream not found: {stream}").as_str()), "{printed}");
    }
}

async fn a_folder_that_is_missing_for_the_state_is_a_problem(place: Place) {
    let [stream, ..] = streams(&place).await;
    let (status, printed) = place.check(&format!(
        "State: {{Sqlite: {{Path: no/such/folder/pelton.db}}}}\nFunctions:\n  - {{FunctionName: work, Command: /bin/sh}}\n\
         EventSourceMappings:\n  - {{EventSourceArn: '{stream}', FunctionName: work, StartingPosition: LATEST}}\n"
    ));
    assert_eq!(status, 1, "{printed}");
    assert!(printed.starts_with("pelton.yaml:2:24: State.Sqlite.Path: "), "{printed}");
    assert!(printed.contains("no/such/folder does not exist"), "{printed}");
}

async fn what_asynchronous_invocations_need_is_there(place: Place) {
    let (queue, function) = (place.queue(60).await, place.function(60).await);
    let topic = aws_sdk_sns::Client::new(&place.config).create_topic().name(&place.name).send().await.unwrap();
    let (status, printed) = place.check(&format!(
        "AsyncQueue: {queue}
Functions:
  - FunctionName: {function}
    DeadLetterConfig: {{TargetArn: '{topic}'}}
    EventInvokeConfig: {{DestinationConfig: {{OnSuccess: {{Destination: '{local}:live'}}, OnFailure: {{Destination: '{queue}'}}}}}}
  - FunctionName: local
    Command: [/bin/sh]
    Aliases: [live]
    EventInvokeConfig: {{DestinationConfig: {{OnSuccess: {{Destination: '{function}'}}}}}}
",
        topic = topic.topic_arn().unwrap(),
        local = place.arn("lambda", "function:local"),
    ));
    assert_eq!((status, printed.as_str()), (0, "pelton.yaml: 0 mappings, no problem found\n"));
}

async fn what_asynchronous_invocations_lack_is_said_at_its_place(place: Place) {
    let function = place.function(60).await;
    let (status, printed) = place.check(&format!(
        "AsyncQueue: {queue}
Functions:
  - FunctionName: {name}-2
    DeadLetterConfig: {{TargetArn: '{topic}'}}
    EventInvokeConfig: {{MaximumRetryAttempts: 0}}
  - FunctionName: {name}
    DeadLetterConfig: {{TargetArn: '{queue}'}}
    EventInvokeConfig:
      - DestinationConfig: {{OnSuccess: {{Destination: '{function}-3'}}}}
      - Qualifier: live
        DestinationConfig: {{OnFailure: {{Destination: '{bus}'}}}}
  - FunctionName: local
    Command: [/bin/sh]
    EventInvokeConfig:
      DestinationConfig:
        OnFailure: {{Destination: 'arn:aws:s3:::{name}'}}
        OnSuccess: {{Destination: '{queue}-2'}}
",
        name = place.name,
        queue = place.arn("sqs", &place.name),
        topic = place.arn("sns", &place.name),
        bus = place.arn("events", &format!("event-bus/{}", place.name)),
    ));
    let not_there = "The function doesn't exist.".to_owned();
    let problems = [
        ("2:13: AsyncQueue", "the queue does not exist".to_owned()),
        ("4:19: Functions[0].FunctionName", not_there.clone()),
        ("5:35: Functions[0].DeadLetterConfig.TargetArn", "the topic does not exist".into()),
        ("8:35: Functions[1].DeadLetterConfig.TargetArn", "the queue does not exist".into()),
        (
            "10:54: Functions[1].EventInvokeConfig[0].DestinationConfig.OnSuccess.Destination",
            format!("The destination ARN {function}-3 is invalid."),
        ),
        ("11:20: Functions[1].EventInvokeConfig[1].Qualifier", not_there),
        (
            "12:54: Functions[1].EventInvokeConfig[1].DestinationConfig.OnFailure.Destination",
            "the event bus does not exist".into(),
        ),
        (
            "17:34: Functions[2].EventInvokeConfig.DestinationConfig.OnFailure.Destination",
            "the bucket does not exist".into(),
        ),
        (
            "18:34: Functions[2].EventInvokeConfig.DestinationConfig.OnSuccess.Destination",
            "the queue does not exist".into(),
        ),
    ];
    assert_eq!(status, 1, "{printed}");
    let blocks: Vec<&str> = printed.split("\n\n").collect();
    assert_eq!(blocks.len(), problems.len() + 1, "{printed}");
    for ((position, message), block) in problems.iter().zip(blocks) {
        assert!(block.starts_with(&format!("pelton.yaml:{position}: ")), "{position} in {block}");
        assert_eq!(block.lines().nth(1), Some(format!("  {message}").as_str()));
    }
}

macro_rules! on_both_backends {
    ($($test:ident),* $(,)?) => {
        mod on_localstack {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Place::new(super::backend::localstack(), super::backend::dynamodb()).await).await;
            })*
        }
        mod on_ministack {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Place::new(super::backend::ministack(), super::backend::ministack()).await).await;
            })*
        }
    };
}

on_both_backends!(
    everything_there_is_fine,
    everything_missing_is_said_at_its_place,
    a_visibility_timeout_below_the_functions_timeout_is_a_problem,
    a_mapping_of_lambda_itself_is_a_warning,
    streams_that_are_there_are_fine,
    streams_that_are_missing_are_said_at_their_place,
    a_folder_that_is_missing_for_the_state_is_a_problem,
    what_asynchronous_invocations_need_is_there,
    what_asynchronous_invocations_lack_is_said_at_its_place,
);
