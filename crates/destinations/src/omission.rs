//! A record without its payloads, for destinations that can't take the whole.
use pelton_core::{ExecutionRecord, Subject};
use serde::Serialize;

/// `payloadsOmitted`, an extension of Pelton: present only in a record whose payloads were left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Omission {
    /// In words.
    reason: String,
    /// Of the whole record, in bytes of JSON.
    record_size: usize,
    /// What the destination takes, in bytes; absent where it refuses without saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    /// Where the whole record is.
    #[serde(rename = "s3", skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
}

/// Where a record is kept whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shrunk<'a> {
    #[serde(flatten)]
    record: &'a ExecutionRecord,
    payloads_omitted: Omission,
}

impl Omission {
    pub fn new(record_size: usize, limit: Option<usize>, kept: Option<Kept>) -> Self {
        let reason = match limit {
            Some(limit) => format!("the record has {record_size} bytes, the destination takes {limit}"),
            None => format!("the record has {record_size} bytes, the destination refused it as too large"),
        };
        Self { reason, record_size, limit, kept }
    }
}

/// The record as JSON, `payloadsOmitted` in place of both payloads.
pub fn without_payloads(record: &ExecutionRecord, omission: Omission) -> Result<String, serde_json::Error> {
    let mut record = record.clone();
    if let Subject::Invocation { request_payload, response_payload } = &mut record.subject {
        (*request_payload, *response_payload) = (None, None);
    }
    serde_json::to_string(&Shrunk { record: &record, payloads_omitted: omission })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use bytes::Bytes;
    use pelton_core::{
        BatchInfo, Condition, MappingId, Origin, PartitionId, RequestContext, ResponseContext, StreamKind,
    };

    /// A record with these payloads.
    pub fn record(condition: Condition, request: &str, response: &str) -> ExecutionRecord {
        ExecutionRecord {
            timestamp: "2025-11-24T23:11:12.123Z".into(),
            request_context: RequestContext {
                request_id: "c9b8fa9f".into(),
                function_arn: "arn:aws:lambda:us-east-1:111111111111:function:work".parse().unwrap(),
                condition,
                approximate_invoke_count: 1,
            },
            response_context: Some(ResponseContext {
                status_code: 200,
                executed_version: "$LATEST".into(),
                function_error: None,
            }),
            subject: Subject::Invocation {
                request_payload: ExecutionRecord::embed(&Bytes::copy_from_slice(request.as_bytes())),
                response_payload: ExecutionRecord::embed(&Bytes::copy_from_slice(response.as_bytes())),
            },
            origin: Origin::Mapping {
                id: MappingId::of("source", "function"),
                source: "arn:aws:sqs:us-east-1:111111111111:orders".parse().unwrap(),
            },
        }
    }

    /// Two records of a Kinesis shard that were given up.
    pub fn batch(condition: Condition) -> ExecutionRecord {
        let source: pelton_core::Arn = "arn:aws:kinesis:us-east-1:111111111111:stream/orders".parse().unwrap();
        let info = BatchInfo {
            kind: StreamKind::Kinesis,
            shard: PartitionId("shardId-000000000000".into()),
            start: "4".into(),
            end: "5".into(),
            first_arrival: "2025-11-24T23:11:11.456Z".parse().unwrap(),
            last_arrival: "2025-11-24T23:11:12Z".parse().unwrap(),
            size: 2,
            stream: source.clone(),
        };
        let event = Bytes::from_static("{\"Records\":[{\"a\":  \"é\"},2]}".as_bytes());
        let origin = Origin::Mapping { id: MappingId::of("source", "function"), source };
        ExecutionRecord { subject: Subject::Batch { info, event }, origin, ..record(condition, "", "") }
    }

    /// The range of a record of a batch.
    pub fn batch_info(record: &mut ExecutionRecord) -> &mut BatchInfo {
        match &mut record.subject {
            Subject::Batch { info, .. } => info,
            Subject::Invocation { .. } => panic!("the record is of an invocation"),
        }
    }

    #[test]
    fn says_what_is_missing_and_where_it_is() {
        let kept = Kept { bucket: "large".into(), key: "a/b".into() };
        let record = record(Condition::Success, "{}", "1");
        let json = without_payloads(&record, Omission::new(900, Some(800), Some(kept))).unwrap();
        assert_eq!(
            json,
            "{\"version\":\"1.0\",\"timestamp\":\"2025-11-24T23:11:12.123Z\",\"requestContext\":{\
             \"requestId\":\"c9b8fa9f\",\"functionArn\":\"arn:aws:lambda:us-east-1:111111111111:function:work\",\
             \"condition\":\"Success\",\"approximateInvokeCount\":1},\
             \"responseContext\":{\"statusCode\":200,\"executedVersion\":\"$LATEST\"},\
             \"payloadsOmitted\":{\"reason\":\"the record has 900 bytes, the destination takes 800\",\
             \"recordSize\":900,\"limit\":800,\"s3\":{\"bucket\":\"large\",\"key\":\"a/b\"}}}"
        );
        let json = without_payloads(&record, Omission::new(900, None, None)).unwrap();
        assert!(json.ends_with("the destination refused it as too large\",\"recordSize\":900}}"), "{json}");
    }
}
