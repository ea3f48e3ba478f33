//! The place before a record, as a source's token.
use aws_sdk_dynamodbstreams::types::ShardIteratorType as DynamoDbPlace;
use aws_sdk_kinesis::types::ShardIteratorType as KinesisPlace;
use pelton_core::{Arn, StreamKind};

use super::parse::Range;
use crate::aws::Aws;

/// An iterator for the range's first record: the token that its source goes on from. A mapping only ever begins behind a
/// record, so sources have no such position, and "behind the number before" is a place that only some services take.
///
/// `None` where the service knows no such record, or doesn't answer: then the source has to search.
pub async fn before(aws: &Aws, range: &Range) -> Option<String> {
    let (stream, region) = (stream_of(&range.stream).to_string(), range.stream.region());
    let taken = match range.kind {
        StreamKind::Kinesis => {
            let call = aws.kinesis(region).get_shard_iterator().stream_arn(stream).shard_id(&range.shard.0);
            let call = call.shard_iterator_type(KinesisPlace::AtSequenceNumber);
            let answer = call.starting_sequence_number(range.start.as_str()).send().await;
            answer.map(|answer| answer.shard_iterator).map_err(|error| pelton_aws::classify(&error).message)
        }
        StreamKind::DynamoDb => {
            let call = aws.dynamodb_streams(region).get_shard_iterator().stream_arn(stream).shard_id(&range.shard.0);
            let call = call.shard_iterator_type(DynamoDbPlace::AtSequenceNumber);
            let answer = call.sequence_number(range.start.as_str()).send().await;
            answer.map(|answer| answer.shard_iterator).map_err(|error| pelton_aws::classify(&error).message)
        }
    };
    taken.unwrap_or_else(|error| {
        tracing::debug!(shard = %range.shard, error, "the first record has to be searched for");
        None
    })
}

/// The stream itself: a consumer of it is only pushed what comes, and what has been is read from the stream.
pub fn stream_of(source: &Arn) -> Arn {
    let stream = source.resource().split_once("/consumer/").filter(|_| source.service() == "kinesis");
    stream
        .and_then(|(stream, _)| {
            Arn::new(source.partition(), source.service(), source.region(), source.account(), stream).ok()
        })
        .unwrap_or_else(|| source.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_left_for_its_stream() {
        let arn = |resource: &str| Arn::new("aws", "kinesis", "us-east-1", "000000000000", resource).unwrap();
        for consumer in ["stream/orders", "stream/orders/consumer/fast:1764085562"] {
            assert_eq!(stream_of(&arn(consumer)), arn("stream/orders"));
        }
    }
}
