//! What a destination receives: the record of one execution, in the shape that Lambda sends for asynchronous
//! invocations (spec 10.1), which Pelton also uses for queue mappings.
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Arn, MappingId};

/// `version` of every execution record.
pub const SCHEMA_VERSION: &str = "1.0";

/// One execution record. Serialises to AWS's JSON, keys in AWS's order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionRecord {
    /// Always [`SCHEMA_VERSION`].
    pub version: &'static str,
    /// UTC, milliseconds, `Z`.
    pub timestamp: String,
    /// Which invocation, and what became of it.
    pub request_context: RequestContext,
    /// The event the function was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_payload: Option<Box<RawValue>>,
    /// Absent when nothing answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_context: Option<ResponseContext>,
    /// What the function returned; an answer that isn't JSON becomes a JSON string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_payload: Option<Box<RawValue>>,
    /// The mapping that invoked: message group of a FIFO destination, part of an S3 key. Not sent.
    #[serde(skip)]
    pub mapping: MappingId,
    /// The mapping's source: part of an S3 key. Not sent.
    #[serde(skip)]
    pub source: Arn,
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
    /// The attempts are used up.
    RetriesExhausted,
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
    /// The JSON text that goes to queues, topics, buses, functions and buckets.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
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
            version: SCHEMA_VERSION,
            timestamp: "2025-11-24T23:11:12.123Z".into(),
            request_context: RequestContext {
                request_id: "c9b8fa9f".into(),
                function_arn: "arn:aws:lambda:us-east-1:111111111111:function:my-fn".parse().unwrap(),
                condition,
                approximate_invoke_count: 3,
            },
            request_payload: ExecutionRecord::embed(&Bytes::from_static(b"{\"a\":  1}")),
            response_context: Some(ResponseContext {
                status_code: 200,
                executed_version: "$LATEST".into(),
                function_error,
            }),
            response_payload: ExecutionRecord::embed(&Bytes::from_static(b"not json")),
            mapping: MappingId::of("a", "b"),
            source: "arn:aws:sqs:us-east-1:111111111111:q".parse().unwrap(),
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
}
