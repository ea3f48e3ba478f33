//! The shape of `pelton.yaml`, in AWS's names. These types are the one place that knows which fields exist, of what
//! kind and in what range: the JSON Schema is made from them, and [`crate::read`] checks a file against that schema.
//! Every field is optional here, because a value with a problem is left out before the rest is looked at.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

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
    /// Address and port of `/healthz`, `/readyz`, `/metrics` and of `pelton status`.
    #[schemars(extend("default" = "127.0.0.1:9400"))]
    pub listen: Option<String>,
    /// A PEM file with the certificates of the authorities that are trusted for HTTPS endpoints. Left out: what
    /// `AWS_CA_BUNDLE` says, else the system's.
    pub ca_bundle: Option<String>,
    /// How long a stop waits for invocations in flight, in seconds.
    #[schemars(range(min = 0, max = 900), extend("default" = 30))]
    pub grace_period_seconds: Option<u32>,
    /// Functions that run as local processes. All others are called through the Lambda Invoke API.
    pub functions: Option<Vec<Function>>,
    /// What is polled, and which function gets it.
    #[schemars(required)]
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
}

/// A function that runs as a local process: `Command`, or `Runtime` with `Handler`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Function {
    /// The name by which mappings refer to it.
    #[schemars(required, length(min = 1, max = 64))]
    pub function_name: Option<String>,
    /// A program that speaks the Lambda Runtime API, with its arguments: a list, or one text with quotes as in a shell.
    /// A program with a `/` in it is looked for from `CodeUri`, any other in `PATH`.
    pub command: Option<Command>,
    /// `python3.12`, `nodejs22.x`, …: Pelton starts the interpreter with a bootstrap of its own. `python3.x` and
    /// `nodejs.x` take whichever version is installed.
    pub runtime: Option<String>,
    /// `module.function`, as in Lambda. Required with `Runtime`.
    #[schemars(length(min = 1, max = 128))]
    pub handler: Option<String>,
    /// The directory of the code; the process starts in it. Left out: the directory of this file.
    pub code_uri: Option<String>,
    /// How many processes run, and so how many invocations at a time.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub concurrency: Option<u32>,
    /// Seconds after which an invocation has failed.
    #[schemars(range(min = 1, max = 900), extend("default" = 3))]
    pub timeout: Option<u32>,
    /// What the function is told about its memory, in MB. A local process is not limited to it.
    #[schemars(range(min = 128, max = 10240), extend("default" = 128))]
    pub memory_size: Option<u32>,
    /// Environment variables of the function.
    pub environment: Option<Environment>,
    /// Restart the processes when a file below `CodeUri` changes.
    #[schemars(extend("default" = false))]
    pub watch: Option<bool>,
}

/// A program and its arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    /// As in a shell, without expansion.
    Text(String),
    /// One item an argument.
    List(#[schemars(length(min = 1))] Vec<String>),
}

/// Environment variables of a function.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Environment {
    /// Name and value of each.
    pub variables: Option<BTreeMap<String, String>>,
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
    /// The body of an SQS message.
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
    /// The ARN of an SQS queue, standard or FIFO.
    #[schemars(required)]
    pub event_source_arn: Option<String>,
    /// `name`, `name:version-or-alias`, `account:function:name`, or an ARN. A name that stands under `Functions` is
    /// that local process, every other is called through the Lambda Invoke API.
    #[schemars(required)]
    pub function_name: Option<String>,
    /// Whether the source is polled.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// The most records in one invocation. More than 10 needs `MaximumBatchingWindowInSeconds`; FIFO queues allow 10.
    #[schemars(range(min = 1, max = 10000), extend("default" = 10))]
    pub batch_size: Option<u32>,
    /// How long a batch gathers records, in seconds, from its first record on. Not for FIFO queues.
    #[schemars(range(min = 0, max = 300), extend("default" = 0))]
    pub maximum_batching_window_in_seconds: Option<u32>,
    /// Which records the function gets. Left out: all. A message that no filter lets through is deleted.
    pub filter_criteria: Option<FilterCriteria>,
    /// `ReportBatchItemFailures` lets the function name the records that failed, so that only those are retried.
    #[schemars(length(max = 1))]
    pub function_response_types: Option<Vec<FunctionResponseType>>,
    /// Limits of the mapping's own.
    pub scaling_config: Option<ScalingConfig>,
    /// Where execution records go. For SQS mappings an extension of Pelton.
    pub destination_config: Option<DestinationConfig>,
    /// How often a failed message is tried again before its execution record goes to `OnFailure`, which it needs, and
    /// the message is deleted. For SQS mappings an extension of Pelton. Left out: the queue's redrive policy decides.
    #[schemars(range(min = 0, max = 10000))]
    pub maximum_retry_attempts: Option<u32>,
    /// Extension of Pelton: keep messages hidden while their function runs, so that a slow function gets no duplicates.
    #[schemars(extend("default" = true))]
    pub visibility_heartbeat: Option<bool>,
    /// At most 50 tags: a map, or CloudFormation's list of `Key` and `Value`.
    pub tags: Option<Tags>,
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
    /// One record for each successful invocation.
    pub on_success: Option<OnSuccess>,
    /// One record for each message whose retries are used up.
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
