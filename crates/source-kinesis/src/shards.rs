//! The shards of a stream, as the engine sees them.
use std::time::Duration;

use aws_sdk_kinesis::types::{ConsumerStatus, Shard, StreamDescriptionSummary, StreamStatus};
use pelton_core::{Arn, ErrorKind, Listing, Partition, PartitionId, SourceError};

use crate::client::Client;
use crate::refusal::Refusal;
use crate::stream_arn::StreamArn;

/// Describes the stream, its consumer if there is one, and lists all shards.
pub async fn list(client: &Client, stream: &StreamArn) -> Result<Listing, SourceError> {
    let summary = match client.describe(stream).await {
        Ok(summary) => ready(summary, &stream.stream)?,
        Err(refusal) => return Err(missing(refusal, &stream.stream)),
    };
    if let Some(consumer) = &stream.consumer {
        check_consumer(client, stream, consumer).await?;
    }
    let incarnation = summary.stream_creation_timestamp.to_millis().unwrap_or(summary.stream_creation_timestamp.secs());
    let mut partitions = Vec::new();
    let mut behind = None;
    loop {
        let page = client.list(stream, behind.take()).await;
        let (shards, more) = page.map_err(|refusal| missing(refusal, &stream.stream))?;
        behind = shards.last().map(|shard| shard.shard_id.clone());
        partitions.extend(shards.into_iter().map(partition));
        if !more || behind.is_none() {
            break;
        }
    }
    let hours = u64::try_from(summary.retention_period_hours).ok().filter(|hours| *hours > 0);
    Ok(Listing {
        incarnation: incarnation.to_string(),
        retention: hours.map(|hours| Duration::from_secs(hours * 3_600)),
        partitions,
    })
}

/// A stream that can be read; one that is being deleted counts as gone (AWS's text: spec 12.1).
fn ready(summary: Option<StreamDescriptionSummary>, stream: &Arn) -> Result<StreamDescriptionSummary, SourceError> {
    let passing = |message| SourceError { message, kind: ErrorKind::Transient };
    let summary = summary.ok_or_else(|| passing(format!("DescribeStreamSummary on {stream} gave no description")))?;
    match summary.stream_status {
        StreamStatus::Deleting => Err(not_found(stream)),
        StreamStatus::Creating => Err(passing(format!("the stream {stream} is still being created"))),
        _ => Ok(summary),
    }
}

fn not_found(stream: &Arn) -> SourceError {
    SourceError { message: format!("Stream not found: {stream}"), kind: ErrorKind::Missing }
}

fn missing(refusal: Refusal, stream: &Arn) -> SourceError {
    if refusal.is_not_found() { not_found(stream) } else { refusal.error }
}

async fn check_consumer(client: &Client, stream: &StreamArn, consumer: &Arn) -> Result<(), SourceError> {
    let refused = |message, kind| Err(SourceError { message, kind });
    match client.consumer_status(stream, &consumer.to_string()).await {
        Ok(Some(ConsumerStatus::Creating)) => {
            refused(format!("the stream consumer {consumer} is still being created"), ErrorKind::Transient)
        }
        Ok(Some(ConsumerStatus::Deleting)) => {
            refused(format!("the stream consumer {consumer} is being deleted"), ErrorKind::Missing)
        }
        Ok(_) => Ok(()),
        Err(refusal) if refusal.is_not_found() => refused(
            format!("Stream consumer not found: {consumer}. Register it with RegisterStreamConsumer"),
            ErrorKind::Missing,
        ),
        // Roles made for Lambda needn't allow this call; what is wrong with the consumer then shows in SubscribeToShard.
        Err(refusal) if refusal.error.kind == ErrorKind::Refused => {
            tracing::debug!(error = %refusal.error, "the consumer's status is unknown");
            Ok(())
        }
        Err(refusal) => Err(refusal.error),
    }
}

fn partition(shard: Shard) -> Partition {
    Partition {
        id: PartitionId(shard.shard_id),
        parents: [shard.parent_shard_id, shard.adjacent_parent_shard_id]
            .into_iter()
            .flatten()
            .map(PartitionId)
            .collect(),
        closed: shard.sequence_number_range.is_some_and(|range| range.ending_sequence_number.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::types::SequenceNumberRange;

    use super::*;

    #[test]
    fn a_shard_with_an_ending_sequence_number_is_closed_and_names_both_parents() {
        let range = |end: Option<&str>| {
            SequenceNumberRange::builder()
                .starting_sequence_number("1")
                .set_ending_sequence_number(end.map(str::to_owned))
                .build()
                .unwrap()
        };
        let shard = |end| Shard::builder().shard_id("shardId-2").sequence_number_range(range(end));
        let merged =
            shard(Some("9")).parent_shard_id("shardId-0").adjacent_parent_shard_id("shardId-1").build().unwrap();
        let merged = partition(merged);
        assert!(merged.closed);
        assert_eq!(merged.parents, [PartitionId("shardId-0".into()), PartitionId("shardId-1".into())]);
        let root = partition(shard(None).build().unwrap());
        assert!(!root.closed && root.parents.is_empty());
    }

    #[test]
    fn a_stream_that_is_being_deleted_is_gone_and_one_being_created_comes_soon() {
        let stream: Arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders".parse().unwrap();
        let summary = |status| {
            let summary = StreamDescriptionSummary::builder()
                .stream_name("orders")
                .stream_arn(stream.to_string())
                .stream_status(status)
                .retention_period_hours(24)
                .stream_creation_timestamp(aws_sdk_kinesis::primitives::DateTime::from_secs(1))
                .set_enhanced_monitoring(Some(Vec::new()))
                .open_shard_count(1);
            Some(summary.build().unwrap())
        };
        let deleting = ready(summary(StreamStatus::Deleting), &stream).unwrap_err();
        assert_eq!((deleting.message, deleting.kind), (format!("Stream not found: {stream}"), ErrorKind::Missing));
        assert_eq!(ready(summary(StreamStatus::Creating), &stream).unwrap_err().kind, ErrorKind::Transient);
        assert!(ready(summary(StreamStatus::Updating), &stream).is_ok());
    }
}
