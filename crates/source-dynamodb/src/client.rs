//! The SDK calls, each with the time limit and retries that fit its meaning.
use std::time::Duration;

use aws_sdk_dynamodbstreams::config::retry::RetryConfig;
use aws_sdk_dynamodbstreams::config::timeout::TimeoutConfig;
use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types::{ShardIteratorType, StreamDescription};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use pelton_aws::{Failure, classify};
use pelton_core::{Arn, ErrorKind, PartitionId, SequenceNumber, SourceError};

/// Records that one GetRecords gives at most (DynamoDB Streams quota: 1,000, or 1 MB).
pub const MOST_RECORDS: usize = 1_000;
/// What a read may take. Without a limit a half-open connection would hang it for ever.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Calls DynamoDB Streams in one region. Cheap to clone: all streams of the region share one.
#[derive(Debug, Clone)]
pub struct Client {
    calls: aws_sdk_dynamodbstreams::Client,
    reads: aws_sdk_dynamodbstreams::Client,
}

/// A shard could not be read.
#[derive(Debug)]
pub struct ReadError {
    pub cause: Cause,
    pub error: SourceError,
}

/// What may help against a failed read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The place is no longer in the stream: TrimmedDataAccessException.
    Trimmed,
    /// The service doesn't take the iterator: too old, or from before it was restarted. Perhaps it takes a new one.
    Refused,
    /// Nothing but another poll.
    Other,
}

impl Client {
    /// From an SDK configuration with region, credentials and, where it isn't AWS, endpoint.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        let calls = aws_sdk_dynamodbstreams::Client::new(config);
        // One attempt: the engine's pause after an error is the retry, and reads are limited by the second.
        let reads = aws_sdk_dynamodbstreams::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_timeout(READ_LIMIT)
                    .operation_attempt_timeout(READ_LIMIT)
                    .build(),
            )
            .build();
        Self { calls, reads: aws_sdk_dynamodbstreams::Client::from_conf(reads) }
    }

    /// One page of the stream's shards: those behind the shard `after`.
    pub(crate) async fn describe(&self, stream: &Arn, after: Option<&str>) -> Result<StreamDescription, SourceError> {
        let call = self.calls.describe_stream().stream_arn(stream.to_string());
        let described = call.set_exclusive_start_shard_id(after.map(str::to_owned)).send().await.map_err(|error| {
            let failure = failure(&error);
            let message = match failure.kind {
                // AWS's own sentence for a mapping without its stream (spec 12.1).
                ErrorKind::Missing => format!("Stream not found: {stream}"),
                _ => format!("DescribeStream on {stream} failed: {}", failure.message),
            };
            SourceError { message, kind: failure.kind }
        })?;
        described.stream_description.ok_or_else(|| SourceError {
            message: format!(
                "DescribeStream on {stream} gave an answer that can't be used: it has no StreamDescription"
            ),
            kind: ErrorKind::Transient,
        })
    }

    /// A place in the shard; `behind` goes with `AFTER_SEQUENCE_NUMBER`.
    pub(crate) async fn shard_iterator(
        &self,
        stream: &Arn,
        shard: &PartitionId,
        place: ShardIteratorType,
        behind: Option<&SequenceNumber>,
    ) -> Result<String, ReadError> {
        let call = self.calls.get_shard_iterator().stream_arn(stream.to_string()).shard_id(&shard.0);
        let call = call.shard_iterator_type(place).set_sequence_number(behind.map(SequenceNumber::to_string));
        let taken = call.send().await.map_err(|error| read_error("GetShardIterator", stream, shard, &error))?;
        taken.shard_iterator.ok_or_else(|| {
            let error = unusable("GetShardIterator", stream, shard, "it has no ShardIterator");
            ReadError { cause: Cause::Other, error }
        })
    }

    /// One GetRecords, of 1..=1,000 records.
    pub(crate) async fn records(
        &self,
        stream: &Arn,
        shard: &PartitionId,
        iterator: &str,
        limit: usize,
    ) -> Result<GetRecordsOutput, ReadError> {
        let limit = i32::try_from(limit.clamp(1, MOST_RECORDS)).unwrap_or(i32::MAX);
        let call = self.reads.get_records().shard_iterator(iterator).limit(limit);
        call.send().await.map_err(|error| read_error("GetRecords", stream, shard, &error))
    }
}

/// An answer that no stream gives.
pub fn unusable(call: &str, stream: &Arn, shard: &PartitionId, what: &str) -> SourceError {
    let message = format!("{call} on {shard} of {stream} gave an answer that can't be used: {what}");
    SourceError { message, kind: ErrorKind::Transient }
}

fn read_error<E>(call: &str, stream: &Arn, shard: &PartitionId, error: &SdkError<E, HttpResponse>) -> ReadError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Failure { kind, code, message, .. } = failure(error);
    let cause = match (code.as_deref(), kind) {
        (Some("TrimmedDataAccessException"), _) => Cause::Trimmed,
        (Some("ExpiredIteratorException"), _) | (_, ErrorKind::Refused | ErrorKind::Missing) => Cause::Refused,
        _ => Cause::Other,
    };
    let message = format!("{call} on {shard} of {stream} failed: {message}");
    ReadError { cause, error: SourceError { message, kind } }
}

fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = classify(error);
    let kind = match failure.code.as_deref() {
        Some("ResourceNotFoundException") => ErrorKind::Missing,
        Some("LimitExceededException") => ErrorKind::Throttled { retry_after: None },
        Some("ExpiredIteratorException" | "TrimmedDataAccessException") => ErrorKind::Transient,
        _ => failure.kind,
    };
    Failure { kind, ..failure }
}
