//! A mapping that is known to be good: what `pelton.yaml` and the REST API are validated into.
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use pelton_pattern::Filters;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Arn, ArnError, FunctionName};

/// The mapping's `UUID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MappingId(pub Uuid);

impl MappingId {
    /// The id of a mapping that was written in a file: the same source and function give the same id in every run.
    pub fn of(event_source_arn: &str, function_name: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("pelton:{event_source_arn}\n{function_name}").as_bytes()))
    }
}

impl fmt::Display for MappingId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An event source mapping with every default filled in and every rule checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// `UUID`.
    pub id: MappingId,
    /// `EventSourceArn`.
    pub event_source: Arn,
    /// `FunctionName`.
    pub function: FunctionName,
    /// The function's ARN, as qualified as `FunctionName` was.
    pub function_arn: Arn,
    /// `Enabled`; default true.
    pub enabled: bool,
    /// `BatchSize` in records: 1..=10,000; default 10 for SQS.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`: 0..=300 s; default 0.
    pub batching_window: Duration,
    /// `FilterCriteria`: which records the function gets; default all. At most five filters, any one of which lets a
    /// record through.
    pub filters: Filters,
    /// Whether `FunctionResponseTypes` holds `ReportBatchItemFailures`.
    pub report_batch_item_failures: bool,
    /// `ScalingConfig.MaximumConcurrency`: 2..=1,000; default no limit of the mapping's own.
    pub maximum_concurrency: Option<usize>,
    /// `DestinationConfig.OnSuccess.Destination` (for SQS an extension of Pelton).
    pub on_success: Option<DestinationArn>,
    /// `DestinationConfig.OnFailure.Destination` (for SQS an extension of Pelton).
    pub on_failure: Option<DestinationArn>,
    /// `DestinationConfig.OverflowBucket` (extension): where records too large for their destination are kept whole.
    pub overflow_bucket: Option<Arn>,
    /// `MaximumRetryAttempts`: 0..=10,000 (for SQS an extension of Pelton). Default none (-1 for streams): the queue's
    /// redrive, or the record's age, decides.
    pub maximum_retry_attempts: Option<u32>,
    /// `VisibilityHeartbeat` (extension): keep messages hidden while their function runs; default true.
    pub visibility_heartbeat: bool,
    /// `Tags`.
    pub tags: BTreeMap<String, String>,
    /// What only streams have; `None` for queues.
    pub stream: Option<StreamSettings>,
}

/// The settings of a mapping on a Kinesis or DynamoDB stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// `StartingPosition`, with `StartingPositionTimestamp`.
    pub starting_position: StartingPosition,
    /// `ParallelizationFactor`: batches of one shard at a time: 1..=10; default 1.
    pub parallelization_factor: usize,
    /// `BisectBatchOnFunctionError`; default false.
    pub bisect_batch_on_function_error: bool,
    /// `MaximumRecordAgeInSeconds`: 60..=604,800 s; default none (-1).
    pub maximum_record_age: Option<Duration>,
    /// `TumblingWindowInSeconds`: 0..=900 s; zero, the default, is no window.
    pub tumbling_window: Duration,
    /// `PollIntervalMilliseconds` (extension): the pause after a read that found nothing: 200..=60,000 ms; default one
    /// second on AWS, 200 ms on other endpoints.
    pub poll_interval: Option<Duration>,
}

/// Where a mapping begins to read a stream that it has never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// With the oldest record.
    TrimHorizon,
    /// With the first record that comes after the mapping was created.
    Latest,
    /// With the first record that arrived at this time or later. Kinesis only.
    AtTimestamp(Timestamp),
}

/// The ARN of something that takes execution records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DestinationArn {
    /// An SQS queue, standard or FIFO.
    Queue(Arn),
    /// An SNS topic.
    Topic(Arn),
    /// An EventBridge bus.
    EventBus(Arn),
    /// A Lambda function, invoked asynchronously.
    Function(Arn),
    /// An S3 bucket.
    Bucket(Arn),
}

/// Why an ARN can't be a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationArnError {
    /// Not an ARN.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// An ARN of something that takes no execution records.
    #[error(
        "'{0}' takes no execution records: a destination is an SQS queue, SNS topic, EventBridge event bus, Lambda function or S3 bucket"
    )]
    Unsupported(String),
}

impl DestinationArn {
    /// The ARN itself.
    pub fn arn(&self) -> &Arn {
        match self {
            Self::Queue(arn) | Self::Topic(arn) | Self::EventBus(arn) | Self::Function(arn) | Self::Bucket(arn) => arn,
        }
    }
}

impl FromStr for DestinationArn {
    type Err = DestinationArnError;

    fn from_str(text: &str) -> Result<Self, DestinationArnError> {
        let arn: Arn = text.parse()?;
        match arn.service() {
            "sqs" => Ok(Self::Queue(arn)),
            "sns" => Ok(Self::Topic(arn)),
            "events" if arn.resource().starts_with("event-bus/") => Ok(Self::EventBus(arn)),
            "lambda" if arn.resource().starts_with("function:") => Ok(Self::Function(arn)),
            "s3" => Ok(Self::Bucket(arn)),
            _ => Err(DestinationArnError::Unsupported(text.into())),
        }
    }
}

impl fmt::Display for DestinationArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.arn().fmt(formatter)
    }
}
