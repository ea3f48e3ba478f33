//! The shards of a stream.
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::Shard;
use pelton_core::{Arn, ErrorKind, Listing, Partition, PartitionId, SourceError};

use crate::client::Client;

/// How long a record stays (DynamoDB Streams quota: 24 hours).
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// All shards of a stream, also of one that was disabled: it can still be read for a day.
pub async fn shards(client: &Client, stream: &Arn) -> Result<Listing, SourceError> {
    let mut partitions = Vec::new();
    let mut label = None;
    let mut after: Option<String> = None;
    loop {
        let page = client.describe(stream, after.as_deref()).await?;
        partitions.extend(page.shards.unwrap_or_default().into_iter().filter_map(partition));
        label = label.or(page.stream_label);
        match page.last_evaluated_shard_id {
            None => break,
            Some(last) if after.as_ref() == Some(&last) => {
                let message = format!("DescribeStream on {stream} gives the page behind {last} again and again");
                return Err(SourceError { message, kind: ErrorKind::Transient });
            }
            Some(last) => after = Some(last),
        }
    }
    // The label is also the last part of the ARN.
    let incarnation = label.unwrap_or_else(|| stream.resource().rsplit('/').next().unwrap_or_default().to_owned());
    Ok(Listing { incarnation, retention: Some(RETENTION), partitions })
}

fn partition(shard: Shard) -> Option<Partition> {
    let range = shard.sequence_number_range.as_ref();
    let closed = range.is_some_and(|range| range.ending_sequence_number().is_some());
    let parents = shard.parent_shard_id.into_iter().filter(|id| !id.is_empty()).map(PartitionId).collect();
    Some(Partition { id: PartitionId(shard.shard_id?), parents, closed })
}
