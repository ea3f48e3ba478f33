//! The rules of `EventSourceArn`.
use pelton_core::{Arn, ArnError};
use pelton_pattern::Decoding;

use crate::region;
use crate::section::Section;

/// The pattern of AWS's model for `EventSourceArn`; also the last part of that for destinations (spec 12.2).
pub(crate) const ARN_PATTERN: &str =
    r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";
/// The region in the ARNs of DynamoDB Local, wherever it runs.
const DYNAMODB_LOCAL: &str = "ddblocal";

const FIELD: &str = "EventSourceArn";
/// AWS's text for whatever it doesn't poll; what follows it here is Pelton's own.
const UNRECOGNIZED: &str = "Unrecognized event source.";
const ANY: &str = "write the ARN of an SQS queue, Kinesis stream or DynamoDB stream, such as \
                   arn:aws:sqs:us-east-1:000000000000:orders";
const QUEUE: &str = "write the queue's ARN, such as arn:aws:sqs:us-east-1:000000000000:orders";
const KINESIS: &str = "write the stream's ARN, such as arn:aws:kinesis:us-east-1:000000000000:stream/orders, or for \
                       enhanced fan-out that of a consumer, which ends in stream/orders/consumer/NAME:1700000000";
const DYNAMODB: &str = "write the stream's ARN, such as \
                        arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2025-01-01T00:00:00.000";

/// An event source that Pelton polls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventSource {
    pub arn: Arn,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Queue,
    FifoQueue,
    KinesisStream,
    /// A consumer of a Kinesis stream, to which records are pushed: enhanced fan-out.
    KinesisConsumer,
    DynamoDbStream,
}

impl Kind {
    pub fn is_stream(self) -> bool {
        match self {
            Self::Queue | Self::FifoQueue => false,
            Self::KinesisStream | Self::KinesisConsumer | Self::DynamoDbStream => true,
        }
    }

    /// How filters read the source's records.
    pub fn decoding(self) -> Decoding {
        match self {
            Self::Queue | Self::FifoQueue => Decoding::Sqs,
            Self::KinesisStream | Self::KinesisConsumer => Decoding::Kinesis,
            Self::DynamoDbStream => Decoding::DynamoDb,
        }
    }
}

impl EventSource {
    /// Whether the ARN tells the region of nothing else, since it isn't one of AWS's.
    pub fn is_in_dynamodb_local(&self) -> bool {
        self.arn.region() == DYNAMODB_LOCAL
    }
}

/// Checks the field; what is wrong is reported.
pub(crate) fn check(text: &str, section: &mut Section<'_>) -> Option<EventSource> {
    let arn: Arn = match text.parse() {
        Ok(arn) => arn,
        Err(error) => {
            section.problem(FIELD, not_an_arn(text, &error, "eventSourceArn", ARN_PATTERN), ANY);
            return None;
        }
    };
    let unsupported = match arn.service() {
        "sqs" | "kinesis" | "dynamodb" => None,
        "kafka" => Some("Kafka topics"),
        "mq" => Some("Amazon MQ brokers"),
        "rds" => Some("DocumentDB clusters"),
        _ => {
            section.problem(FIELD, UNRECOGNIZED, ANY);
            return None;
        }
    };
    if let Some(sources) = unsupported {
        let message = format!("{sources} are not supported as event sources by this version of Pelton yet");
        let fix = "name an SQS queue, Kinesis stream or DynamoDB stream, or let the mapping run where it runs today";
        section.problem(FIELD, message, fix);
        return None;
    }
    let (kind, example) = match arn.service() {
        "sqs" => (queue(arn.resource()), QUEUE),
        "kinesis" => (kinesis(arn.resource()), KINESIS),
        _ => (dynamodb(arn.resource()), DYNAMODB),
    };
    let kind = match kind {
        Ok(kind) => kind,
        Err(message) => {
            section.problem(FIELD, message, example);
            return None;
        }
    };
    if arn.region().is_empty() || arn.account().is_empty() {
        let source = if kind.is_stream() { "stream" } else { "queue" };
        section.problem(FIELD, format!("the ARN of a {source} has a Region and an account"), example);
        return None;
    }
    let source = EventSource { arn, kind };
    let is_local = kind == Kind::DynamoDbStream && source.is_in_dynamodb_local();
    if !is_local && !region::is_region(source.arn.region()) {
        section.problem(FIELD, outside_pattern(text, "eventSourceArn", ARN_PATTERN), example);
        return None;
    }
    Some(source)
}

/// The kind of queue that has a name.
pub(crate) fn queue(resource: &str) -> Result<Kind, String> {
    let name = resource.strip_suffix(".fifo").unwrap_or(resource);
    let is_name = resource.len() <= 80
        && !name.is_empty()
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character));
    match is_name {
        true if name != resource => Ok(Kind::FifoQueue),
        true => Ok(Kind::Queue),
        false => Err(format!(
            "'{resource}' is no queue name: 1 to 80 letters, digits, '-' and '_', or the same with '.fifo'"
        )),
    }
}

fn kinesis(resource: &str) -> Result<Kind, String> {
    let Some(path) = resource.strip_prefix("stream/") else {
        return Err(format!("{UNRECOGNIZED} '{resource}' is neither a stream nor a consumer of one"));
    };
    let (stream, consumer) = match path.split_once('/') {
        Some((stream, consumer)) => (stream, Some(consumer)),
        None => (path, None),
    };
    let is_name = |name: &str| (1..=128).contains(&name.len()) && name.chars().all(is_name_character);
    if !is_name(stream) {
        return Err(format!("'{stream}' is no stream name: 1 to 128 letters, digits, '_', '.' and '-'"));
    }
    let Some(consumer) = consumer else { return Ok(Kind::KinesisStream) };
    let parts = consumer.strip_prefix("consumer/").and_then(|consumer| consumer.split_once(':'));
    let is_consumer = parts.is_some_and(|(name, created_at)| {
        is_name(name) && !created_at.is_empty() && created_at.bytes().all(|byte| byte.is_ascii_digit())
    });
    match is_consumer {
        true => Ok(Kind::KinesisConsumer),
        false => Err(format!("'{consumer}' is no consumer of a stream: consumer/NAME:EPOCH, as AWS gave it")),
    }
}

fn dynamodb(resource: &str) -> Result<Kind, String> {
    let Some(path) = resource.strip_prefix("table/") else {
        return Err(format!("{UNRECOGNIZED} '{resource}' is no stream of a table"));
    };
    let (table, stream) = match path.split_once('/') {
        Some((table, stream)) => (table, Some(stream)),
        None => (path, None),
    };
    if !is_table_name(table) {
        return Err(format!("'{table}' is no table name: 3 to 255 letters, digits, '_', '.' and '-'"));
    }
    let Some(stream) = stream else {
        return Err(format!(
            "{UNRECOGNIZED} This is the table, not its stream: the stream's ARN is the table's LatestStreamArn, shown \
             by `aws dynamodb describe-table --table-name {table}`, and none as long as the table has no stream"
        ));
    };
    let label = stream.strip_prefix("stream/").unwrap_or_default();
    match !label.is_empty() && !label.contains('/') {
        true => Ok(Kind::DynamoDbStream),
        false => Err(format!("{UNRECOGNIZED} '{resource}' is no stream of a table")),
    }
}

/// DynamoDB's rule for the names of tables.
pub(crate) fn is_table_name(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.chars().all(is_name_character)
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_.-".contains(character)
}

/// Why a text is no ARN: AWS's sentence where its pattern is what refuses it.
pub(crate) fn not_an_arn(text: &str, error: &ArnError, member: &str, pattern: &str) -> String {
    match error {
        ArnError::Character | ArnError::Empty("resource") => error.to_string(),
        _ => outside_pattern(text, member, pattern),
    }
}

fn outside_pattern(text: &str, member: &str, pattern: &str) -> String {
    let text = crate::problem::shortened(text);
    format!(
        "1 validation error detected: Value '{text}' at '{member}' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: {pattern}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_sources_by_their_resources() {
        for (kind, resources) in [
            (Kind::KinesisStream, &["stream/s", "stream/a.b_c-D9"][..]),
            (Kind::KinesisConsumer, &["stream/s/consumer/c:1", "stream/s/consumer/c.d_e-f:1700000000"]),
        ] {
            for resource in resources {
                assert_eq!(kinesis(resource), Ok(kind), "{resource}");
            }
        }
        for label in ["2024", "2025-11-25T15:46:02.123"] {
            assert_eq!(dynamodb(&format!("table/orders/stream/{label}")), Ok(Kind::DynamoDbStream));
        }
        assert_eq!((queue("q"), queue("q.fifo")), (Ok(Kind::Queue), Ok(Kind::FifoQueue)));
    }

    #[test]
    fn refuses_what_only_resembles_them() {
        let long = format!("stream/{}", "a".repeat(129));
        for resource in [
            "stream/",
            "stream/a b",
            &long,
            "streams/s",
            "stream/s/",
            "stream/s/consumer/c",
            "stream/s/consumer/c:",
            "stream/s/consumer/c:1a",
            "stream/s/consumer/:1",
            "stream/s/shard/1",
        ] {
            assert!(kinesis(resource).is_err(), "{resource}");
        }
        for resource in
            ["table/ab/stream/1", "table/abc", "table/abc/stream/", "table/abc/stream/1/2", "table/abc/index/i"]
        {
            assert!(dynamodb(resource).is_err(), "{resource}");
        }
    }
}
