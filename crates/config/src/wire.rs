//! The shape of `pelton.yaml`, in AWS's names. These types are the one place that knows which fields exist, of what
//! kind and in what range: the JSON Schema is made from them, and [`crate::read`] checks a file against that schema.
//! Every field is optional here, because a value with a problem is left out before the rest is looked at.
mod authentication;
mod functions;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use authentication::{AccessKey, Authentication};
pub(crate) use functions::{
    Command, DeadLetterConfig, DestinationType, EventDestination, EventDestinationConfig, EventInvokeConfig,
    EventInvokeConfigs, Function,
};

/// Pelton: event source mappings that run against any AWS endpoint.
///
/// `${NAME}` in a value is replaced by the environment variable NAME, `${NAME:-text}` by `text` if NAME is unset or
/// empty; `$${` stands for `${`. Paths are relative to this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[schemars(rename = "Pelton")]
pub(crate) struct File {
    /// The endpoint of all AWS services, such as `http://localhost:4566`. Left out: what `AWS_ENDPOINT_URL` or the
    /// profile says, else AWS itself.
    pub endpoint: Option<String>,
    /// Endpoints of single services; each takes precedence over `Endpoint`.
    pub endpoints: Option<Endpoints>,
    /// The AWS Region of what is named without an ARN. Left out: what `AWS_REGION` or the profile says.
    pub region: Option<String>,
    /// Address and port of `/healthz`, `/readyz`, `/metrics`, of `pelton status`, and of Lambda's API.
    #[schemars(extend("default" = "127.0.0.1:9400"))]
    pub listen: Option<String>,
    /// Extension of Pelton: whether Lambda's API is served without authentication also where `Listen` is not an address of
    /// this machine alone: whoever can reach it can invoke functions, and make and delete mappings then.
    #[schemars(extend("default" = false))]
    pub allow_unauthenticated: Option<bool>,
    /// Whose requests Lambda's API takes: those that are signed with one of these keys. Left out: everybody's who can
    /// reach it.
    pub authentication: Option<Authentication>,
    /// A PEM file with the certificates of the authorities that are trusted for HTTPS endpoints. Left out: what
    /// `AWS_CA_BUNDLE` says, else the system's.
    pub ca_bundle: Option<String>,
    /// How long a stop waits for invocations in flight, in seconds.
    #[schemars(range(min = 0, max = 900), extend("default" = 30))]
    pub grace_period_seconds: Option<u32>,
    /// Where the checkpoints and leases of streams are kept: exactly one of `Sqlite`, `Memory` and `DynamoDB`. Left out:
    /// SQLite in `pelton.db`.
    pub state: Option<State>,
    /// Functions that run as local processes, and what is set for asynchronous invocations of these and of others. Functions
    /// that aren't processes here are called through the Lambda Invoke API.
    pub functions: Option<Vec<Function>>,
    /// Extension of Pelton: the ARN of a standard SQS queue in which asynchronous invocations wait, so that several
    /// replicas share them. Left out: they wait in the place of `State`.
    pub async_queue: Option<String>,
    /// Extension of Pelton: how asynchronous invocation runs in tests.
    pub async_invocation: Option<AsyncInvocation>,
    /// What is polled, and which function gets it.
    pub event_source_mappings: Option<Vec<EventSourceMapping>>,
    /// Events and the mappings whose filters are to let them through: what `pelton test` checks.
    pub tests: Option<Vec<Test>>,
}

/// Endpoints of single services.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Endpoints {
    /// Amazon SQS.
    #[serde(rename = "SQS")]
    pub sqs: Option<String>,
    /// AWS Lambda.
    pub lambda: Option<String>,
    /// Amazon SNS.
    #[serde(rename = "SNS")]
    pub sns: Option<String>,
    /// Amazon EventBridge.
    pub event_bridge: Option<String>,
    /// Amazon S3.
    pub s3: Option<String>,
    /// Amazon Kinesis Data Streams.
    pub kinesis: Option<String>,
    /// Amazon DynamoDB.
    #[serde(rename = "DynamoDB")]
    pub dynamo_db: Option<String>,
    /// Amazon DynamoDB Streams. Left out: that of `DynamoDB`.
    #[serde(rename = "DynamoDBStreams")]
    pub dynamo_db_streams: Option<String>,
}

/// Where the state of streams is kept: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct State {
    /// In an SQLite file, for one process at a time.
    pub sqlite: Option<Sqlite>,
    /// Nowhere: every stream is read from its `StartingPosition` again after a restart. For experiments.
    pub memory: Option<Memory>,
    /// In a DynamoDB table, so that several replicas share the shards of a mapping.
    #[serde(rename = "DynamoDB")]
    pub dynamo_db: Option<DynamoDb>,
}

/// State in an SQLite file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Sqlite {
    /// The file; it is made on the first run.
    #[schemars(extend("default" = "pelton.db"))]
    pub path: Option<String>,
}

/// State that ends with the process.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {}

/// State in a DynamoDB table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DynamoDb {
    /// The table's name: 3 to 255 letters, digits, `_`, `.` and `-`. It is made if it isn't there.
    #[schemars(required)]
    pub table: Option<String>,
    /// How often a replica renews its leases, in seconds. A lease that wasn't renewed for twice as long is free.
    #[schemars(range(min = 1, max = 60), extend("default" = 5))]
    pub lease_renewal_seconds: Option<u32>,
}

/// How asynchronous invocation runs in tests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AsyncInvocation {
    /// What every delay and age of asynchronous invocation is multiplied by: with 0.01, the minute before the first retry
    /// takes 0.6 seconds.
    #[schemars(range(min = 0.001, max = 1.0), extend("default" = 1.0))]
    pub delay_scale: Option<f64>,
}

/// One event and which mappings are to get it. Exactly one of `Body`, `Event` and `EventFile` gives the event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Test {
    /// What the test is about, for its report.
    #[schemars(required, length(min = 1, max = 256))]
    pub name: Option<String>,
    /// The event source of the mappings that are asked.
    #[schemars(required)]
    pub event_source_arn: Option<String>,
    /// The body of an SQS message, or the data of a Kinesis record.
    pub body: Option<String>,
    /// The record as the function would see it, as JSON in a text. Fields that no filter looks at may be left out.
    pub event: Option<String>,
    /// A file with the record, as in `Event`.
    pub event_file: Option<String>,
    /// The `FunctionName` of every mapping of the source whose filters let the event through, and of no other; an
    /// empty list: none does.
    #[schemars(required)]
    pub matched_by: Option<Vec<String>>,
}

/// One event source and the function that gets its records: the fields of Lambda's CreateEventSourceMapping, which
/// are those of `AWS::Lambda::EventSourceMapping`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct EventSourceMapping {
    /// The ARN of an SQS queue, standard or FIFO, of a Kinesis stream or of a consumer of one (enhanced fan-out), or of
    /// a DynamoDB stream.
    #[schemars(required)]
    pub event_source_arn: Option<String>,
    /// `name`, `name:version-or-alias`, `account:function:name`, or an ARN. A name that stands under `Functions` is
    /// that local process, every other is called through the Lambda Invoke API.
    #[schemars(required)]
    pub function_name: Option<String>,
    /// Whether the source is polled.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// The most records in one invocation. Left out: 10 for queues, 100 for streams. More than 10 of a queue needs
    /// `MaximumBatchingWindowInSeconds`; FIFO queues allow 10.
    #[schemars(range(min = 1, max = 10000))]
    pub batch_size: Option<u32>,
    /// How long a batch gathers records, in seconds, from its first record on. Not for FIFO queues.
    #[schemars(range(min = 0, max = 300), extend("default" = 0))]
    pub maximum_batching_window_in_seconds: Option<u32>,
    /// Which records the function gets. Left out: all. A message that no filter lets through is deleted, a
    /// record of a stream passed over.
    pub filter_criteria: Option<FilterCriteria>,
    /// `ReportBatchItemFailures` lets the function name the records that failed, so that only those are retried.
    #[schemars(length(max = 1))]
    pub function_response_types: Option<Vec<FunctionResponseType>>,
    /// Limits of the mapping's own. For queues.
    pub scaling_config: Option<ScalingConfig>,
    /// Where execution records go. For queues an extension of Pelton.
    pub destination_config: Option<DestinationConfig>,
    /// Where reading a stream begins that the mapping has never read; required for streams.
    pub starting_position: Option<StartingPosition>,
    /// With `AT_TIMESTAMP`, the time of the first record to read: seconds since 1970, or ISO 8601 with an offset.
    #[schemars(extend("type" = ["number", "string"]))]
    pub starting_position_timestamp: Option<String>,
    /// How many batches of one shard run at a time; records of one key stay in order. For streams.
    #[schemars(range(min = 1, max = 10), extend("default" = 1))]
    pub parallelization_factor: Option<u32>,
    /// Whether a batch that fails is split in two, so that bad records are isolated. For streams.
    #[schemars(extend("default" = false))]
    pub bisect_batch_on_function_error: Option<bool>,
    /// How old a record may be before it is given up, in seconds: 60 or more, or -1 for any age. For streams.
    #[schemars(range(min = -1, max = 604800), extend("default" = -1))]
    pub maximum_record_age_in_seconds: Option<i32>,
    /// How often a failed batch is tried again before it is given up and its execution record goes to `OnFailure`. For
    /// streams -1, the default, sets no limit, so that the record's age decides. For queues an extension of Pelton, 0 or
    /// more, which needs `OnFailure`; left out, the queue's redrive policy decides.
    #[schemars(range(min = -1, max = 10000))]
    pub maximum_retry_attempts: Option<i32>,
    /// The length of tumbling windows, in seconds, over which the function's `state` is carried on; 0 is none. For
    /// streams.
    #[schemars(range(min = 0, max = 900), extend("default" = 0))]
    pub tumbling_window_in_seconds: Option<u32>,
    /// Extension of Pelton: the pause after a read of a shard that found nothing, in milliseconds. Left out: 1000 on AWS,
    /// 200 on other endpoints. For streams.
    #[schemars(range(min = 200, max = 60000))]
    pub poll_interval_milliseconds: Option<u32>,
    /// Extension of Pelton: keep messages hidden while their function runs, so that a slow function gets no duplicates.
    /// For queues.
    #[schemars(extend("default" = true))]
    pub visibility_heartbeat: Option<bool>,
    /// At most 50 tags: a map, or CloudFormation's list of `Key` and `Value`.
    pub tags: Option<Tags>,
}

/// Where reading a stream begins. In the order in which AWS lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StartingPosition {
    Latest,
    AtTimestamp,
    TrimHorizon,
}

/// Filters on records.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct FilterCriteria {
    /// A record that fits any one of them passes. At most five.
    #[schemars(length(max = 5))]
    pub filters: Option<Vec<Filter>>,
}

/// One filter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Filter {
    /// An event pattern, as JSON in a text, in EventBridge's pattern language.
    #[schemars(required, length(max = 4096))]
    pub pattern: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum FunctionResponseType {
    ReportBatchItemFailures,
}

/// Limits of a mapping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ScalingConfig {
    /// The most invocations of this mapping at a time. Left out: no limit of the mapping's own.
    #[schemars(range(min = 2, max = 1000))]
    pub maximum_concurrency: Option<u32>,
}

/// Where execution records go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DestinationConfig {
    /// One record for each successful invocation. An extension of Pelton.
    pub on_success: Option<OnSuccess>,
    /// One record for each message, or batch of a stream, that is given up.
    pub on_failure: Option<OnFailure>,
    /// Extension of Pelton: the ARN of an S3 bucket that keeps records whole which are too large for their destination.
    pub overflow_bucket: Option<String>,
}

/// Takes the execution records of successes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct OnSuccess {
    /// The ARN of an SQS queue, SNS topic, EventBridge event bus or Lambda function.
    pub destination: Option<String>,
}

/// Takes the execution records of failures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct OnFailure {
    /// The ARN of an SQS queue, SNS topic, EventBridge event bus, Lambda function or S3 bucket.
    pub destination: Option<String>,
}

/// Tags of a mapping, in either of AWS's forms.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Tags {
    /// Lambda's form.
    Map(BTreeMap<String, String>),
    /// CloudFormation's form.
    List(Vec<Tag>),
}

/// One tag in CloudFormation's form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Tag {
    /// 1 to 128 characters.
    #[schemars(required)]
    pub key: Option<String>,
    /// Up to 256 characters.
    #[schemars(required)]
    pub value: Option<String>,
}
