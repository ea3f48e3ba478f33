//! The SDK calls, each with the time limit and retries that fit its meaning.
use std::time::Duration;

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{
    ConsumerStatus, Shard, ShardIteratorType, StartingPosition, StreamDescriptionSummary, SubscribeToShardEvent,
    SubscribeToShardEventStream,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::event_stream::RawMessage;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use pelton_core::{PartitionId, Position};

use crate::refusal::Refusal;
use crate::stream_arn::StreamArn;

/// The most records of one GetRecords (Kinesis quota).
pub const MOST_RECORDS: usize = 10_000;
/// Shards of one page of ListShards: AWS's default, also where an emulator's is another. At most 10,000.
const PAGE: i32 = 1_000;
/// What a read may take: up to 10 MB come with it.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// What may pass until a subscription is accepted. An emulator says so only with its first event, after 3 s.
pub const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(15);

/// Calls Kinesis in one region. Cheap to clone: all streams of the region share one.
#[derive(Debug, Clone)]
pub struct Client {
    calls: aws_sdk_kinesis::Client,
    reads: aws_sdk_kinesis::Client,
}

impl Client {
    /// From an SDK configuration with region, credentials and, where it isn't AWS, endpoint.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        let calls = aws_sdk_kinesis::Client::new(config);
        // One attempt: the engine's pause after an error is the retry, and it counts reads against the shard's limit.
        let reads = aws_sdk_kinesis::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_timeout(READ_LIMIT)
                    .operation_attempt_timeout(READ_LIMIT)
                    .build(),
            )
            .build();
        Self { calls, reads: aws_sdk_kinesis::Client::from_conf(reads) }
    }

    /// One DescribeStreamSummary.
    pub(crate) async fn describe(&self, stream: &StreamArn) -> Result<Option<StreamDescriptionSummary>, Refusal> {
        let call = self.calls.describe_stream_summary().stream_arn(stream.stream.to_string());
        let answer = call.send().await.map_err(|error| refused("DescribeStreamSummary", stream, None, &error))?;
        Ok(answer.stream_description_summary)
    }

    /// One page of ListShards, and whether more follow. It goes on behind a shard, not by `NextToken`: tokens expire.
    pub(crate) async fn list(&self, stream: &StreamArn, behind: Option<String>) -> Result<(Vec<Shard>, bool), Refusal> {
        let call = self.calls.list_shards().stream_arn(stream.stream.to_string()).max_results(PAGE);
        let answer = call.set_exclusive_start_shard_id(behind).send().await;
        let answer = answer.map_err(|error| refused("ListShards", stream, None, &error))?;
        let more = answer.next_token().is_some_and(|token| !token.is_empty());
        Ok((answer.shards.unwrap_or_default(), more))
    }

    /// The status of a stream's consumer.
    pub(crate) async fn consumer_status(
        &self,
        stream: &StreamArn,
        consumer: &str,
    ) -> Result<Option<ConsumerStatus>, Refusal> {
        let answer = self.calls.describe_stream_consumer().consumer_arn(consumer).send().await;
        let answer = answer.map_err(|error| refused("DescribeStreamConsumer", stream, None, &error))?;
        Ok(answer.consumer_description.map(|consumer| consumer.consumer_status))
    }

    /// One GetShardIterator.
    pub(crate) async fn iterator(
        &self,
        stream: &StreamArn,
        shard: &PartitionId,
        position: &Position,
    ) -> Result<String, Refusal> {
        let (kind, number, time) = place(position);
        let answer = self
            .reads
            .get_shard_iterator()
            .stream_arn(stream.stream.to_string())
            .shard_id(&shard.0)
            .shard_iterator_type(kind)
            .set_starting_sequence_number(number)
            .set_timestamp(time)
            .send()
            .await
            .map_err(|error| refused("GetShardIterator", stream, Some(shard), &error))?;
        Ok(answer.shard_iterator.unwrap_or_default())
    }

    /// One GetRecords.
    pub(crate) async fn records(
        &self,
        stream: &StreamArn,
        shard: &PartitionId,
        iterator: &str,
        limit: usize,
    ) -> Result<GetRecordsOutput, Refusal> {
        self.reads
            .get_records()
            .stream_arn(stream.stream.to_string())
            .shard_iterator(iterator)
            .limit(i32::try_from(limit.clamp(1, MOST_RECORDS)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| refused("GetRecords", stream, Some(shard), &error))
    }

    /// SubscribeToShard. Owns what it needs, so that a poll can be dropped while it runs and the next one go on.
    pub(crate) fn subscribe(
        &self,
        stream: &StreamArn,
        consumer: &str,
        shard: &PartitionId,
        position: &Position,
    ) -> BoxFuture<'static, Result<SubscribeToShardOutput, Refusal>> {
        let (kind, number, time) = place(position);
        let start = StartingPosition::builder().r#type(kind).set_sequence_number(number).set_timestamp(time).build();
        let call = self.reads.subscribe_to_shard().consumer_arn(consumer).shard_id(&shard.0);
        let (stream, shard) = (stream.clone(), shard.clone());
        async move {
            let start = start.map_err(SdkError::construction_failure);
            let accepted = async { call.starting_position(start?).send().await };
            match tokio::time::timeout(SUBSCRIBE_LIMIT, accepted).await {
                Ok(Ok(accepted)) => Ok(accepted),
                Ok(Err(error)) => Err(refused("SubscribeToShard", &stream, Some(&shard), &error)),
                Err(_elapsed) => {
                    Err(Refusal::silence(&what("SubscribeToShard", &stream, Some(&shard)), SUBSCRIBE_LIMIT))
                }
            }
        }
        .boxed()
    }
}

/// The next event of a subscription; `None` when the service has ended it. May be dropped while it runs.
pub(crate) async fn next_event(
    accepted: &mut SubscribeToShardOutput,
    stream: &StreamArn,
    shard: &PartitionId,
) -> Result<Option<SubscribeToShardEvent>, Refusal> {
    loop {
        return match accepted.event_stream.recv().await {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => Ok(Some(event)),
            // A kind of event that this release of the SDK doesn't know.
            Ok(Some(_)) => continue,
            Ok(None) => Ok(None),
            Err(error) => Err(ended(&what("SubscribeToShard", stream, Some(shard)), &error)),
        };
    }
}

fn ended(what: &str, error: &SdkError<SubscribeToShardEventStreamError, RawMessage>) -> Refusal {
    match error.as_service_error() {
        Some(service) => {
            let text = service.message().unwrap_or("no further explanation");
            Refusal::of_event(what, service.code().or_else(|| code(service)), text)
        }
        None => {
            let text = aws_sdk_kinesis::error::DisplayErrorContext(error).to_string();
            Refusal::of_event(what, None, &format!("the subscription broke: {text}"))
        }
    }
}

/// The SDK leaves codes of exceptions that came as events out of their metadata.
fn code(error: &SubscribeToShardEventStreamError) -> Option<&'static str> {
    use SubscribeToShardEventStreamError as Error;
    Some(match error {
        Error::ResourceNotFoundException(_) => "ResourceNotFoundException",
        Error::ResourceInUseException(_) => "ResourceInUseException",
        Error::KmsDisabledException(_) => "KMSDisabledException",
        Error::KmsInvalidStateException(_) => "KMSInvalidStateException",
        Error::KmsAccessDeniedException(_) => "KMSAccessDeniedException",
        Error::KmsNotFoundException(_) => "KMSNotFoundException",
        Error::KmsOptInRequired(_) => "KMSOptInRequired",
        Error::KmsThrottlingException(_) => "KMSThrottlingException",
        Error::InternalFailureException(_) => "InternalFailureException",
        _ => return None,
    })
}

/// A position as GetShardIterator and SubscribeToShard name it.
fn place(position: &Position) -> (ShardIteratorType, Option<String>, Option<DateTime>) {
    match position {
        Position::TrimHorizon => (ShardIteratorType::TrimHorizon, None, None),
        // The engine doesn't poll behind the end.
        Position::Latest | Position::End => (ShardIteratorType::Latest, None, None),
        Position::AtTimestamp(at) => (ShardIteratorType::AtTimestamp, None, Some(date_time(*at))),
        Position::After(number) => (ShardIteratorType::AfterSequenceNumber, Some(number.to_string()), None),
    }
}

/// Whole milliseconds, which is what Kinesis keeps.
fn date_time(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

fn what(call: &str, stream: &StreamArn, shard: Option<&PartitionId>) -> String {
    let name = stream.consumer.as_ref().unwrap_or(&stream.stream);
    match shard {
        Some(shard) => format!("{call} on shard {shard} of {name}"),
        None => format!("{call} on {name}"),
    }
}

fn refused<E>(call: &str, stream: &StreamArn, shard: Option<&PartitionId>, error: &SdkError<E, HttpResponse>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Refusal::of(&what(call, stream, shard), error)
}
