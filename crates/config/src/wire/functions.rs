//! The shape of `Functions`.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// A function that runs as a local process: `Command`, or `Runtime` with `Handler`. Or, with neither, what is set for
/// asynchronous invocations of a function that is called through the Lambda Invoke API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Function {
    /// The name by which mappings refer to it. A function that isn't a local process may also be named by
    /// `account:function:name` or its ARN.
    #[schemars(required, length(min = 1, max = 140))]
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
    /// How many invocations run at a time, whoever invokes; 0: none. For local processes. Left out: as many as
    /// `Concurrency`.
    #[schemars(range(min = 0, max = 2147483647))]
    pub reserved_concurrent_executions: Option<u32>,
    /// Extension of Pelton: names by which the function can be invoked, which all mean `$LATEST`. For local processes.
    pub aliases: Option<Vec<String>>,
    /// Where events of asynchronous invocations go that are given up.
    pub dead_letter_config: Option<DeadLetterConfig>,
    /// How asynchronous invocations are retried, and where their execution records go: the fields of
    /// `AWS::Lambda::EventInvokeConfig`, or a list of these for several qualifiers.
    pub event_invoke_config: Option<EventInvokeConfigs>,
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

/// Where events go that are given up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DeadLetterConfig {
    /// The ARN of a standard SQS queue or SNS topic.
    #[schemars(required)]
    pub target_arn: Option<String>,
}

/// One config, or one for each of several qualifiers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum EventInvokeConfigs {
    /// For one qualifier.
    One(Box<EventInvokeConfig>),
    /// For several.
    Several(Vec<EventInvokeConfig>),
}

/// How asynchronous invocations of a qualifier are retried, and where their execution records go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct EventInvokeConfig {
    /// As CloudFormation has it: the function's name again.
    pub function_name: Option<String>,
    /// `$LATEST`, a version or an alias. None inherits from another.
    #[schemars(length(min = 1, max = 128), extend("default" = "$LATEST"))]
    pub qualifier: Option<String>,
    /// How often an event is tried again after the function failed.
    #[schemars(range(min = 0, max = 2), extend("default" = 2))]
    pub maximum_retry_attempts: Option<u32>,
    /// How old an event may be before it is given up, in seconds.
    #[schemars(range(min = 60, max = 21600), extend("default" = 21600))]
    pub maximum_event_age_in_seconds: Option<u32>,
    /// Where execution records go.
    pub destination_config: Option<EventDestinationConfig>,
}

/// Where execution records of asynchronous invocations go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct EventDestinationConfig {
    /// One record for each event that succeeded.
    pub on_success: Option<EventDestination>,
    /// One record for each event that is given up. May also be an S3 bucket.
    pub on_failure: Option<EventDestination>,
}

/// Takes execution records of asynchronous invocations.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct EventDestination {
    /// The ARN of an SQS queue, SNS topic, EventBridge event bus or Lambda function.
    pub destination: Option<String>,
    /// As SAM has it: what the ARN says anyway.
    pub r#type: Option<DestinationType>,
}

/// SAM's kinds of destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum DestinationType {
    #[serde(rename = "SQS")]
    Queue,
    #[serde(rename = "SNS")]
    Topic,
    #[serde(rename = "Lambda")]
    Function,
    #[serde(rename = "EventBridge")]
    EventBus,
    #[serde(rename = "S3")]
    Bucket,
}
