//! Records of asynchronous invocations: byte for byte what Lambda sends, on each kind of destination (spec 10.1, 10.2).
use aws_sdk_sqs::types::MessageSystemAttributeName;
use bytes::Bytes;
use pelton_core::{Condition, ExecutionRecord, Origin, RequestContext, ResponseContext, Subject, TraceHeader};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bus::bus;
use crate::scripted::Scripted;
use crate::support::{Backend, name, on_both, record};
use crate::topic::{envelope, topic};

on_both!(
    a_queue_gets_them_with_the_trace,
    a_queue_gets_them_without_a_trace_that_sqs_would_refuse,
    a_topic_gets_them,
    a_bus_gets_them_as_detail,
    a_bucket_gets_failures,
);

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:work:live";
const TRACE: &str = "Root=1-67891233-abcdef012345678912345678;Sampled=0;Lineage=1:pelton:3";
const NEXT_TRACE: &str = "Root=1-67891233-abcdef012345678912345678;Sampled=0;Lineage=1:pelton:4";

/// The record of an event of a new invocation.
pub fn event(condition: Condition, attempts: u32, answer: Option<(Option<&str>, &'static str)>) -> ExecutionRecord {
    let payload = |json: &'static str| ExecutionRecord::embed(&Bytes::from_static(json.as_bytes()));
    ExecutionRecord {
        timestamp: "2025-11-24T23:11:12.123Z".into(),
        request_context: RequestContext {
            request_id: Uuid::new_v4().to_string(),
            function_arn: FUNCTION.parse().unwrap(),
            condition,
            approximate_invoke_count: attempts,
        },
        response_context: answer.map(|(error, _)| ResponseContext {
            status_code: 200,
            executed_version: "7".into(),
            function_error: error.map(|error| Some(error.to_owned())),
        }),
        subject: Subject::Invocation {
            request_payload: payload("{\"raise_error\":  1, \"text\":\"Ω \\u00e9\"}"),
            response_payload: answer.and_then(|(_, answer)| payload(answer)),
        },
        origin: Origin::Event { trace: TraceHeader::received(Some(TRACE)) },
    }
}

pub const ERROR: &str =
    "{\"errorMessage\":\"no stock\",\"errorType\":\"ValueError\",\"requestId\":\"r\",\"stackTrace\":[]}";

/// One of each condition, and the text that must arrive.
fn events() -> Vec<(ExecutionRecord, String)> {
    let success = event(Condition::Success, 1, Some((None, "{\"ok\":true}")));
    let exhausted = event(Condition::RetriesExhausted, 3, Some((Some("Unhandled"), ERROR)));
    let too_old = event(Condition::EventAgeExceeded, 2, Some((Some("Unhandled"), ERROR)));
    let never_asked = event(Condition::EventAgeExceeded, 0, None);
    let zero = event(Condition::ZeroReservedConcurrency, 0, None);
    let answered = format!(
        ",\"responseContext\":{{\"statusCode\":200,\"executedVersion\":\"7\",\"functionError\":\"Unhandled\"}},\
         \"responsePayload\":{ERROR}"
    );
    let ok = ",\"responseContext\":{\"statusCode\":200,\"executedVersion\":\"7\"},\"responsePayload\":{\"ok\":true}";
    let expected = |record: &ExecutionRecord, condition: &str, count: u32, answer: &str| {
        let id = &record.request_context.request_id;
        format!(
            "{{\"version\":\"1.0\",\"timestamp\":\"2025-11-24T23:11:12.123Z\",\"requestContext\":{{\"requestId\":\"{id}\",\
             \"functionArn\":\"arn:aws:lambda:us-east-1:000000000000:function:work:live\",\"condition\":\"{condition}\",\
             \"approximateInvokeCount\":{count}}},\"requestPayload\":{{\"raise_error\":  1, \"text\":\"Ω \\u00e9\"}}{answer}}}"
        )
    };
    let texts = [
        expected(&success, "Success", 1, ok),
        expected(&exhausted, "RetriesExhausted", 3, &answered),
        expected(&too_old, "EventAgeExceeded", 2, &answered),
        expected(&never_asked, "EventAgeExceeded", 0, ""),
        expected(&zero, "ZeroReservedConcurrency", 0, ""),
    ];
    [success, exhausted, too_old, never_asked, zero].into_iter().zip(texts).collect()
}

async fn a_queue_gets_them_with_the_trace(backend: &Backend) {
    let queue = backend.queue().await;
    let destination = backend.destination(&queue.arn);
    for (record, text) in events() {
        destination.deliver(&record).await.unwrap();
        let message = backend.messages(&queue, 1).await.remove(0);
        assert_eq!(message.body(), Some(text.as_str()));
        assert_eq!(message.message_attributes().map_or(0, |attributes| attributes.len()), 0);
        let trace = message.attributes().unwrap().get(&MessageSystemAttributeName::AwsTraceHeader);
        assert_eq!(trace.map(String::as_str), Some(NEXT_TRACE));
    }
}

async fn a_queue_gets_them_without_a_trace_that_sqs_would_refuse(backend: &Backend) {
    let queue = backend.queue().await;
    let mut record = event(Condition::Success, 1, None);
    record.origin = Origin::Event { trace: TraceHeader::received(Some("Root=of a caller")) };
    backend.destination(&queue.arn).deliver(&record).await.unwrap();
    let message = backend.messages(&queue, 1).await.remove(0);
    assert_eq!(message.attributes().unwrap().get(&MessageSystemAttributeName::AwsTraceHeader), None);
}

async fn a_topic_gets_them(backend: &Backend) {
    let queue = backend.queue().await;
    let destination = backend.destination(&topic(backend, &name(), &queue).await);
    for (record, text) in events() {
        destination.deliver(&record).await.unwrap();
        let envelope = envelope(&backend.body(&queue).await);
        assert_eq!(envelope["Message"], text);
        assert!(envelope.get("Subject").is_none_or(Value::is_null), "{envelope}");
        assert!(envelope.get("MessageAttributes").is_none(), "{envelope}");
    }
}

async fn a_bus_gets_them_as_detail(backend: &Backend) {
    let queue = backend.queue().await;
    let bus = bus(backend, &queue).await;
    let destination = backend.destination(&bus);
    for (record, text) in events() {
        destination.deliver(&record).await.unwrap();
        let event: Value = serde_json::from_str(&backend.body(&queue).await).unwrap();
        let outcome = if record.request_context.condition == Condition::Success { "Success" } else { "Failure" };
        assert_eq!((&event["version"], &event["source"]), (&json!("0"), &json!("lambda")));
        assert_eq!(event["detail-type"], format!("Lambda Function Invocation Result - {outcome}"));
        assert_eq!(event["resources"], json!([bus, FUNCTION]));
        assert_eq!(event["detail"], serde_json::from_str::<Value>(&text).unwrap());
    }
}

async fn a_bucket_gets_failures(backend: &Backend) {
    for (record, text) in events().split_off(1) {
        let bucket = backend.bucket().await;
        let destination = backend.destination(&format!("arn:aws:s3:::{bucket}"));
        for _ in 0..2 {
            destination.deliver(&record).await.unwrap();
        }
        let [(key, found)]: [_; 1] = backend.objects(&bucket).await.into_iter().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(found, text);
        let id = key.strip_prefix("aws/lambda/async/work/2025/11/24/2025-11-24T23.11.12-").expect(&key);
        id.parse::<Uuid>().expect("the key ends with a UUID");
    }
}

#[tokio::test]
async fn a_function_gets_them_one_hop_further() {
    for (record, text) in events() {
        let (endpoint, backend) = Scripted::start(vec![(202, "", String::new())]).await;
        backend.destination("arn:aws:lambda:us-east-1:000000000000:function:audit").deliver(&record).await.unwrap();
        let [request] = endpoint.requests().await.try_into().unwrap();
        assert_eq!(request.body, text);
        assert_eq!(request.header("x-amz-invocation-type"), Some("Event"));
        let traces = request.headers.iter().filter(|(name, _)| name == "x-amzn-trace-id");
        assert_eq!(traces.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [NEXT_TRACE]);
    }
}

#[tokio::test]
async fn the_record_of_a_mapping_has_no_trace() {
    let (endpoint, backend) = Scripted::start(vec![(202, "", String::new())]).await;
    let destination = backend.destination("arn:aws:lambda:us-east-1:000000000000:function:audit");
    destination.deliver(&record(Condition::Success)).await.unwrap();
    assert_eq!(endpoint.requests().await[0].header("x-amzn-trace-id"), None);
}
