//! Reads failure records, however they are wrapped. Pure.
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use pelton_core::{Arn, PartitionId, SequenceNumber, StreamKind};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a condition can be that speaks of a failure: of queues and asynchronous invocations, and of streams.
const CONDITIONS: [&str; 5] =
    ["RetriesExhausted", "RetryAttemptsExhausted", "RecordAgeExceeded", "EventAgeExceeded", "ZeroReservedConcurrency"];
/// A record in an EventBridge event in an SNS envelope in a message is as deep as it gets.
const WRAPPINGS: usize = 4;

/// One failure record: what is to be invoked again, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `requestContext.requestId`.
    pub request_id: String,
    /// `requestContext.functionArn`.
    pub function: Arn,
    /// The event source, where the record tells.
    pub source: Option<Arn>,
    /// What the function was given.
    pub given: Given,
}

impl Failure {
    /// Names it in a message.
    pub fn describe(&self) -> String {
        match &self.given {
            Given::Range(Range { shard, start, end, .. }) if start == end => format!("{shard} {start}"),
            Given::Range(Range { shard, start, end, .. }) => format!("{shard} {start} to {end}"),
            Given::Event(_) => format!("request {}", self.request_id),
        }
    }
}

/// What the function was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Records of a stream, to be read once more.
    Range(Range),
    /// This event, as it was.
    Event(Bytes),
}

/// Records of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Of which kind the stream is.
    pub kind: StreamKind,
    /// The mapping's `EventSourceArn`.
    pub stream: Arn,
    /// The shard.
    pub shard: PartitionId,
    /// The first record.
    pub start: SequenceNumber,
    /// The last record; the first one if there is one only.
    pub end: SequenceNumber,
    /// When the first record arrived.
    pub first_arrival: Timestamp,
    /// How many records the batch held. Between the first and the last there can be more: filtered ones, and those of
    /// other lanes.
    pub size: usize,
}

/// A text that can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or more than that.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Nothing at all.
    #[error("no failure record: there is nothing in it")]
    Empty,
    /// JSON of something else.
    #[error(
        "no failure record: there is no requestContext, and no Message, detail or body around a record that has one; it \
         has {0}"
    )]
    Other(String),
    /// One field.
    #[error("{field}: {problem}")]
    Field {
        /// Which, as a path.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Nothing failed.
    #[error("requestContext.condition: 'Success': nothing failed, so there is nothing to replay")]
    Success,
    /// The end of a tumbling window.
    #[error(
        "{0}.batchSize: 0: it was the last invocation of a tumbling window that failed, which is given no records; only \
         the record in an S3 bucket holds what it was given"
    )]
    NoRecords(&'static str),
    /// Nothing to invoke with.
    #[error("the record holds neither a range of a stream nor the event that the function was given{0}")]
    NoPayload(String),
    /// In a text of several.
    #[error("line {line}: {error}")]
    Line {
        /// Where it begins, from 1.
        line: usize,
        /// What is wrong there.
        error: Box<ParseError>,
    },
}

/// Reads one or more values, one after another: failure records as they arrive at a queue or bucket, the envelopes of SNS
/// and EventBridge, and messages as `aws sqs receive-message` shows them. At least one.
pub fn parse(text: &str) -> Result<Vec<Failure>, ParseError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut failures = Vec::new();
    loop {
        let skipped = text.get(values.byte_offset()..).map_or(0, |rest| rest.len() - rest.trim_start().len());
        let begins = values.byte_offset() + skipped;
        let Some(value) = values.next() else { break };
        // The reader's own error names line and column.
        let found = unwrap(value?, WRAPPINGS).map_err(|error| {
            let line = 1 + text.as_bytes().iter().take(begins).filter(|byte| **byte == b'\n').count();
            ParseError::Line { line, error: Box::new(error) }
        })?;
        failures.extend(found);
    }
    if failures.is_empty() { Err(ParseError::Empty) } else { Ok(failures) }
}

/// The body of a message that was received.
pub fn parse_body(body: &str) -> Result<Failure, ParseError> {
    let value: &RawValue = serde_json::from_str(body)?;
    unwrap(value, WRAPPINGS)?.into_iter().next().ok_or(ParseError::Empty)
}

fn unwrap(value: &RawValue, wrappings: usize) -> Result<Vec<Failure>, ParseError> {
    let Ok(object) = Object::read(value, "") else {
        return Err(ParseError::Other(format!("no fields, it is {}", kind_of(value))));
    };
    if object.has("requestContext") {
        return Ok(vec![failure(&object)?]);
    }
    if wrappings > 0 {
        if let Some(Ok(messages)) =
            object.members.get("Messages").map(|it| serde_json::from_str::<Vec<&RawValue>>(it.get()))
        {
            let found: Result<Vec<_>, _> = messages.into_iter().map(|it| unwrap(it, wrappings - 1)).collect();
            return Ok(found?.into_iter().flatten().collect());
        }
        if object.has("detail") && object.has("detail-type") {
            return unwrap(object.required("detail")?, wrappings - 1);
        }
        for field in ["Message", "Body", "body"] {
            if let Some(inner) = object.optional::<String>(field, "text")? {
                let inner: &RawValue = serde_json::from_str(&inner).map_err(|error| ParseError::Field {
                    field: field.into(),
                    problem: format!("not JSON: {error}"),
                })?;
                return unwrap(inner, wrappings - 1);
            }
        }
    }
    let fields: Vec<&str> = object.members.keys().map(String::as_str).take(8).collect();
    Err(ParseError::Other(if fields.is_empty() { "no fields".into() } else { fields.join(", ") }))
}

fn failure(record: &Object) -> Result<Failure, ParseError> {
    let context = record.object("requestContext")?;
    let condition: String = context.required_as("condition", "text")?;
    if condition == "Success" {
        return Err(ParseError::Success);
    }
    if !CONDITIONS.contains(&condition.as_str()) {
        let known = CONDITIONS.join(", ");
        return Err(context.refused("condition", &format!("'{condition}' is unknown; a failure is one of {known}")));
    }
    let function = context.parsed("functionArn")?;
    let request_id = context.required_as("requestId", "text")?;
    let info = [StreamKind::Kinesis, StreamKind::DynamoDb].into_iter().find(|kind| record.has(kind.field()));
    let stream = match info {
        Some(kind) => Some(stream_arn(&record.object(kind.field())?, kind)?),
        None => None,
    };
    let (given, source) = match (event(record)?, info) {
        (Some(event), _) => {
            let source = stream.or_else(|| source_of(&event));
            (Given::Event(event), source)
        }
        (None, Some(kind)) => (Given::Range(range(&record.object(kind.field())?, kind)?), stream),
        (None, None) => return Err(ParseError::NoPayload(omission(record))),
    };
    Ok(Failure { request_id, function, source, given })
}

/// The event that the function was given: a bucket has it as text, a record of a queue's messages as JSON.
fn event(record: &Object) -> Result<Option<Bytes>, ParseError> {
    if let Some(text) = record.optional::<String>("payload", "the event as text")? {
        serde_json::from_str::<&RawValue>(&text)
            .map_err(|error| record.refused("payload", &format!("not JSON: {error}")))?;
        return Ok(Some(text.into()));
    }
    Ok(record.members.get("requestPayload").map(|payload| Bytes::copy_from_slice(payload.get().as_bytes())))
}

/// Pelton leaves payloads out that are too large for their destination, and says where they are.
fn omission(record: &Object) -> String {
    let place = || {
        let kept = record.object("payloadsOmitted").ok()?.object("s3").ok()?;
        let (bucket, key) =
            (kept.required_as::<String>("bucket", "").ok()?, kept.required_as::<String>("key", "").ok()?);
        Some(format!(": it was too large for its destination and is whole in s3://{bucket}/{key}, replay that one"))
    };
    match place() {
        Some(place) => place,
        None if record.has("payloadsOmitted") => {
            ": the event was too large for its destination, and no OverflowBucket was set to keep it".into()
        }
        None => String::new(),
    }
}

fn stream_arn(info: &Object, kind: StreamKind) -> Result<Arn, ParseError> {
    let stream: Arn = info.parsed("streamArn")?;
    let service = match kind {
        StreamKind::Kinesis => "kinesis",
        StreamKind::DynamoDb => "dynamodb",
    };
    if stream.service() != service {
        return Err(info.refused("streamArn", &format!("'{stream}' is no stream of {service}")));
    }
    Ok(stream)
}

fn range(info: &Object, kind: StreamKind) -> Result<Range, ParseError> {
    let size: usize = info.required_as("batchSize", "a number of records")?;
    if size == 0 {
        return Err(ParseError::NoRecords(kind.field()));
    }
    let (start, end): (SequenceNumber, SequenceNumber) =
        (info.parsed("startSequenceNumber")?, info.parsed("endSequenceNumber")?);
    if start > end {
        return Err(info.refused("endSequenceNumber", &format!("'{end}' is before startSequenceNumber '{start}'")));
    }
    Ok(Range {
        kind,
        stream: stream_arn(info, kind)?,
        shard: PartitionId(info.required_as("shardId", "text")?),
        start,
        end,
        first_arrival: info.parsed("approximateArrivalOfFirstRecord")?,
        size,
    })
}

/// `eventSourceARN` of the first record of an event.
fn source_of(event: &[u8]) -> Option<Arn> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "Records")]
        records: Vec<Element>,
    }
    #[derive(Deserialize)]
    struct Element {
        #[serde(rename = "eventSourceARN")]
        source: Option<String>,
    }
    let event: Event = serde_json::from_slice(event).ok()?;
    event.records.into_iter().next()?.source?.parse().ok()
}

/// A JSON object whose fields are read one by one, so that an error can name them.
struct Object<'a> {
    path: String,
    members: BTreeMap<String, &'a RawValue>,
}

impl<'a> Object<'a> {
    fn read(value: &'a RawValue, path: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { path: path.to_owned(), members: serde_json::from_str(value.get())? })
    }

    fn has(&self, field: &str) -> bool {
        self.members.get(field).is_some_and(|value| value.get() != "null")
    }

    fn refused(&self, field: &str, problem: &str) -> ParseError {
        let field = if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) };
        ParseError::Field { field, problem: problem.to_owned() }
    }

    fn required(&self, field: &str) -> Result<&'a RawValue, ParseError> {
        self.members.get(field).copied().ok_or_else(|| self.refused(field, "is missing"))
    }

    fn required_as<T: Deserialize<'a>>(&self, field: &str, expected: &str) -> Result<T, ParseError> {
        let value = self.required(field)?;
        serde_json::from_str(value.get()).map_err(|_| {
            let shown: String = value.get().chars().take(80).collect();
            self.refused(field, &format!("{shown} should be {expected}"))
        })
    }

    fn optional<T: Deserialize<'a>>(&self, field: &str, expected: &str) -> Result<Option<T>, ParseError> {
        if self.has(field) { self.required_as(field, expected).map(Some) } else { Ok(None) }
    }

    fn parsed<T: FromStr<Err: Display>>(&self, field: &str) -> Result<T, ParseError> {
        let text: String = self.required_as(field, "text")?;
        text.parse().map_err(|error: T::Err| {
            let message = error.to_string();
            let shown: String = text.chars().take(140).collect();
            let problem = if message.contains(&shown) { message } else { format!("'{shown}': {message}") };
            self.refused(field, &problem)
        })
    }

    fn object(&self, field: &str) -> Result<Object<'a>, ParseError> {
        let path = if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) };
        let value = self.required(field)?;
        Object::read(value, &path)
            .map_err(|_| self.refused(field, &format!("should be an object, it is {}", kind_of(value))))
    }
}

fn kind_of(value: &RawValue) -> &'static str {
    match value.get().bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests;
