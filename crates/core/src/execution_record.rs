//! What a destination receives. There are two shapes: the record that Lambda sends for asynchronous invocations (spec
//! 10.1), which Pelton also uses for queue mappings and for every success; and the record of a batch of a stream that
//! was given up (spec 8.1).
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::{Arn, MappingId, PartitionId, TraceHeader};

/// `version` of every execution record.
pub const SCHEMA_VERSION: &str = "1.0";

/// One execution record. Serialises to AWS's JSON, keys in AWS's order.
#[derive(Debug, Clone)]
pub struct ExecutionRecord {
    /// UTC, milliseconds, `Z`.
    pub timestamp: String,
    /// Which invocation, and what became of it.
    pub request_context: RequestContext,
    /// Absent when nothing answered.
    pub response_context: Option<ResponseContext>,
    /// What it is about.
    pub subject: Subject,
    /// Who invoked. Not sent.
    pub origin: Origin,
}

/// Who invoked: message group of a FIFO destination, part of an S3 key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A mapping.
    Mapping {
        /// Its id.
        id: MappingId,
        /// Its source.
        source: Arn,
    },
    /// An asynchronous invocation.
    Event {
        /// Its trace: a function that gets the record continues it.
        trace: TraceHeader,
    },
}

/// What an execution record is about.
#[expect(clippy::large_enum_variant, reason = "one record is sent at a time, and none is kept in numbers")]
#[derive(Debug, Clone)]
pub enum Subject {
    /// One invocation, with what went in and came out.
    Invocation {
        /// The event the function was given.
        request_payload: Option<Box<RawValue>>,
        /// What the function returned; an answer that isn't JSON becomes a JSON string.
        response_payload: Option<Box<RawValue>>,
    },
    /// Records of a stream that were given up. Only their range is sent; a bucket also gets the event.
    Batch {
        /// Where in which stream.
        info: BatchInfo,
        /// The event that the function was given, or would have been.
        event: Bytes,
    },
}

/// `KinesisBatchInfo` or `DDBStreamBatchInfo`: the same seven fields (spec 8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchInfo {
    /// Of which kind the stream is: it gives the field its name and its times their format.
    pub kind: StreamKind,
    /// The shard.
    pub shard: PartitionId,
    /// Sequence number of the first record.
    pub start: String,
    /// Sequence number of the last record; that of the first if there is one only.
    pub end: String,
    /// When the first record arrived.
    pub first_arrival: Timestamp,
    /// When the last record arrived.
    pub last_arrival: Timestamp,
    /// How many records.
    pub size: usize,
    /// The mapping's `EventSourceArn`.
    pub stream: Arn,
}

/// The two kinds of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Kinesis data streams: arrival times in milliseconds.
    Kinesis,
    /// DynamoDB Streams: arrival times in whole seconds.
    DynamoDb,
}

impl StreamKind {
    /// The field that holds the batch info.
    pub fn field(self) -> &'static str {
        match self {
            Self::Kinesis => "KinesisBatchInfo",
            Self::DynamoDb => "DDBStreamBatchInfo",
        }
    }

    fn time(self, at: Timestamp) -> String {
        match self {
            Self::Kinesis => at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            Self::DynamoDb => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }
}

impl Serialize for BatchInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("shardId", &self.shard)?;
        map.serialize_entry("startSequenceNumber", &self.start)?;
        map.serialize_entry("endSequenceNumber", &self.end)?;
        map.serialize_entry("approximateArrivalOfFirstRecord", &self.kind.time(self.first_arrival))?;
        map.serialize_entry("approximateArrivalOfLastRecord", &self.kind.time(self.last_arrival))?;
        map.serialize_entry("batchSize", &self.size)?;
        map.serialize_entry("streamArn", &self.stream)?;
        map.end()
    }
}

impl Serialize for ExecutionRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.subject {
            Subject::Invocation { request_payload, response_payload } => {
                map.serialize_entry("version", SCHEMA_VERSION)?;
                map.serialize_entry("timestamp", &self.timestamp)?;
                map.serialize_entry("requestContext", &self.request_context)?;
                if let Some(payload) = request_payload {
                    map.serialize_entry("requestPayload", payload)?;
                }
                if let Some(context) = &self.response_context {
                    map.serialize_entry("responseContext", context)?;
                }
                if let Some(payload) = response_payload {
                    map.serialize_entry("responsePayload", payload)?;
                }
            }
            Subject::Batch { info, .. } => {
                map.serialize_entry("requestContext", &self.request_context)?;
                if let Some(context) = &self.response_context {
                    map.serialize_entry("responseContext", context)?;
                }
                map.serialize_entry("version", SCHEMA_VERSION)?;
                map.serialize_entry("timestamp", &self.timestamp)?;
                map.serialize_entry(info.kind.field(), info)?;
            }
        }
        map.end()
    }
}

/// `requestContext` of an execution record.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    /// Of the last attempt; a fresh UUID if nothing was invoked.
    pub request_id: String,
    /// The mapping's function ARN, as qualified as it was configured.
    pub function_arn: Arn,
    /// What became of it.
    pub condition: Condition,
    /// Attempts made, the last one included.
    pub approximate_invoke_count: u32,
}

/// Why the record is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Condition {
    /// The function succeeded.
    Success,
    /// The attempts are used up: asynchronous invocations and queues.
    RetriesExhausted,
    /// The attempts are used up: streams.
    RetryAttemptsExhausted,
    /// The record is older than `MaximumRecordAgeInSeconds`: streams.
    RecordAgeExceeded,
    /// The next attempt would come after `MaximumEventAgeInSeconds`: asynchronous invocations.
    EventAgeExceeded,
    /// The function may not run at all: asynchronous invocations.
    ZeroReservedConcurrency,
    /// Functions invoke each other in a circle: asynchronous invocations (extension: AWS names no condition).
    RecursionDepthExceeded,
}

impl Condition {
    /// As it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::RetriesExhausted => "RetriesExhausted",
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
            Self::RecursionDepthExceeded => "RecursionDepthExceeded",
        }
    }
}

/// `responseContext` of an execution record.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseContext {
    /// HTTP status of the Invoke call: 200, also for function errors.
    pub status_code: u16,
    /// `$LATEST` or a version number.
    pub executed_version: String,
    /// Absent on success; `null` where the function returned normally but its answer failed the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_error: Option<Option<String>>,
}

impl ExecutionRecord {
    /// The JSON text that goes to queues, topics, buses and functions.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The JSON text that goes to buckets: a batch of a stream is there with its `payload`, the event as a JSON string
    /// (spec 8.2).
    pub fn to_json_with_payload(&self) -> Result<String, serde_json::Error> {
        let mut json = self.to_json()?;
        if let Subject::Batch { event, .. } = &self.subject {
            let payload = serde_json::to_string(&String::from_utf8_lossy(event))?;
            json.truncate(json.len() - 1);
            json = format!("{json},\"payload\":{payload}}}");
        }
        Ok(json)
    }

    /// Names who invoked: message group of a FIFO destination, second part of an S3 key.
    pub fn group(&self) -> String {
        match &self.origin {
            Origin::Mapping { id, .. } => id.to_string(),
            Origin::Event { .. } => "async".to_owned(),
        }
    }

    /// Whether the record is as small as it gets: without payloads.
    pub fn has_payloads(&self) -> bool {
        match &self.subject {
            Subject::Invocation { request_payload, response_payload } => {
                request_payload.is_some() || response_payload.is_some()
            }
            Subject::Batch { .. } => false,
        }
    }

    /// Embeds bytes as JSON: verbatim if they are JSON, else as a JSON string (invalid UTF-8 replaced).
    pub fn embed(payload: &Bytes) -> Option<Box<RawValue>> {
        if let Ok(raw) = serde_json::from_slice::<Box<RawValue>>(payload) {
            return Some(raw);
        }
        serde_json::value::to_raw_value(&String::from_utf8_lossy(payload)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(condition: Condition, function_error: Option<Option<String>>) -> ExecutionRecord {
        ExecutionRecord {
            timestamp: "2025-11-24T23:11:12.123Z".into(),
            request_context: RequestContext {
                request_id: "c9b8fa9f".into(),
                function_arn: "arn:aws:lambda:us-east-1:111111111111:function:my-fn".parse().unwrap(),
                condition,
                approximate_invoke_count: 3,
            },
            response_context: Some(ResponseContext {
                status_code: 200,
                executed_version: "$LATEST".into(),
                function_error,
            }),
            subject: Subject::Invocation {
                request_payload: ExecutionRecord::embed(&Bytes::from_static(b"{\"a\":  1}")),
                response_payload: ExecutionRecord::embed(&Bytes::from_static(b"not json")),
            },
            origin: Origin::Mapping {
                id: MappingId::of("a", "b"),
                source: "arn:aws:sqs:us-east-1:111111111111:q".parse().unwrap(),
            },
        }
    }

    #[test]
    fn has_lambdas_keys_in_lambdas_order() {
        assert_eq!(
            record(Condition::Success, None).to_json().unwrap(),
            "{\"version\":\"1.0\",\"timestamp\":\"2025-11-24T23:11:12.123Z\",\"requestContext\":{\"requestId\":\"c9b8fa9f\",\
             \"functionArn\":\"arn:aws:lambda:us-east-1:111111111111:function:my-fn\",\"condition\":\"Success\",\
             \"approximateInvokeCount\":3},\"requestPayload\":{\"a\":  1},\"responseContext\":{\"statusCode\":200,\
             \"executedVersion\":\"$LATEST\"},\"responsePayload\":\"not json\"}"
        );
    }

    #[test]
    fn tells_a_function_error_from_a_failing_answer() {
        let json = record(Condition::RetriesExhausted, Some(Some("Unhandled".into()))).to_json().unwrap();
        assert!(json.contains("\"functionError\":\"Unhandled\""), "{json}");
        let json = record(Condition::RetriesExhausted, Some(None)).to_json().unwrap();
        assert!(json.contains("\"functionError\":null"), "{json}");
    }
    fn batch(kind: StreamKind) -> ExecutionRecord {
        let at: Timestamp = "2025-11-25T16:34:11.456Z".parse().unwrap();
        let info = BatchInfo {
            kind,
            shard: PartitionId("shardId-000000000000".into()),
            start: "1".into(),
            end: "2".into(),
            first_arrival: at,
            last_arrival: at,
            size: 2,
            stream: "arn:aws:kinesis:us-east-1:111111111111:stream/s".parse().unwrap(),
        };
        let event = Bytes::from_static(b"{\"Records\":[{\"a\":\"\xc3\xa9\"}]}");
        ExecutionRecord {
            subject: Subject::Batch { info, event },
            ..record(Condition::RetryAttemptsExhausted, Some(None))
        }
    }

    #[test]
    fn a_batch_has_lambdas_keys_in_lambdas_order() {
        assert_eq!(
            batch(StreamKind::Kinesis).to_json().unwrap(),
            "{\"requestContext\":{\"requestId\":\"c9b8fa9f\",\"functionArn\":\"arn:aws:lambda:us-east-1:111111111111:\
             function:my-fn\",\"condition\":\"RetryAttemptsExhausted\",\"approximateInvokeCount\":3},\"responseContext\":\
             {\"statusCode\":200,\"executedVersion\":\"$LATEST\",\"functionError\":null},\"version\":\"1.0\",\"timestamp\":\
             \"2025-11-24T23:11:12.123Z\",\"KinesisBatchInfo\":{\"shardId\":\"shardId-000000000000\",\"startSequenceNumber\":\
             \"1\",\"endSequenceNumber\":\"2\",\"approximateArrivalOfFirstRecord\":\"2025-11-25T16:34:11.456Z\",\
             \"approximateArrivalOfLastRecord\":\"2025-11-25T16:34:11.456Z\",\"batchSize\":2,\"streamArn\":\
             \"arn:aws:kinesis:us-east-1:111111111111:stream/s\"}}"
        );
        let json = batch(StreamKind::DynamoDb).to_json().unwrap();
        assert!(json.contains("\"DDBStreamBatchInfo\":{"), "{json}");
        assert!(json.contains("\"approximateArrivalOfFirstRecord\":\"2025-11-25T16:34:11Z\""), "{json}");
    }

    #[test]
    fn a_bucket_gets_the_event_as_a_string() {
        let json = batch(StreamKind::Kinesis).to_json_with_payload().unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["payload"], "{\"Records\":[{\"a\":\"é\"}]}");
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys.last(), Some(&"payload"), "{keys:?}");
        let invocation = record(Condition::Success, None);
        assert_eq!(invocation.to_json_with_payload().unwrap(), invocation.to_json().unwrap());
    }
}
