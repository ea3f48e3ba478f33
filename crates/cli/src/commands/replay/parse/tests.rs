use pelton_core::{BatchInfo, Condition, ExecutionRecord, MappingId, Origin, RequestContext, ResponseContext, Subject};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:work";
const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2025-11-25T15:46:02.123";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:orders";

fn record(condition: Condition, subject: Subject) -> ExecutionRecord {
    ExecutionRecord {
        timestamp: "2025-11-24T23:11:12.123Z".into(),
        request_context: RequestContext {
            request_id: "c9b8fa9f".into(),
            function_arn: FUNCTION.parse().unwrap(),
            condition,
            approximate_invoke_count: 3,
        },
        response_context: Some(ResponseContext {
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: Some(None),
        }),
        subject,
        origin: Origin::Mapping { id: MappingId::of("a", "b"), source: STREAM.parse().unwrap() },
    }
}

fn batch(kind: StreamKind, start: u128, end: u128, size: usize, event: &str) -> ExecutionRecord {
    let stream = match kind {
        StreamKind::Kinesis => STREAM,
        StreamKind::DynamoDb => TABLE,
    };
    let at = "2025-11-25T16:34:11Z".parse().unwrap();
    let info = BatchInfo {
        kind,
        shard: PartitionId("shardId-000000000000".into()),
        start: start.to_string(),
        end: end.to_string(),
        first_arrival: at,
        last_arrival: at,
        size,
        stream: stream.parse().unwrap(),
    };
    let event = Bytes::copy_from_slice(event.as_bytes());
    record(Condition::RetryAttemptsExhausted, Subject::Batch { info, event })
}

fn messages(event: &str) -> ExecutionRecord {
    let request_payload = ExecutionRecord::embed(&Bytes::copy_from_slice(event.as_bytes()));
    record(Condition::RetriesExhausted, Subject::Invocation { request_payload, response_payload: None })
}

/// The ways in which a record comes by.
fn wrapped(record: &str) -> Vec<String> {
    let sns = json!({"Type": "Notification", "MessageId": "1", "TopicArn": "t", "Message": record}).to_string();
    let value: Value = serde_json::from_str(record).unwrap();
    let bus = json!({"version": "0", "detail-type": "Lambda Function Invocation Result - Failure", "detail": value});
    vec![
        record.to_owned(),
        sns.clone(),
        bus.to_string(),
        json!({"MessageId": "1", "ReceiptHandle": "r", "Body": record}).to_string(),
        json!({"messageId": "1", "receiptHandle": "r", "body": sns}).to_string(),
        json!({"Messages": [{"MessageId": "1", "Body": bus.to_string()}]}).to_string(),
    ]
}

fn one(text: &str) -> Failure {
    let [failure] = parse(text).unwrap().try_into().unwrap();
    failure
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_range_is_read_however_it_is_wrapped() {
    for (kind, stream) in [(StreamKind::Kinesis, STREAM), (StreamKind::DynamoDb, TABLE)] {
        let expected = Failure {
            request_id: "c9b8fa9f".into(),
            function: FUNCTION.parse().unwrap(),
            source: Some(stream.parse().unwrap()),
            given: Given::Range(Range {
                kind,
                stream: stream.parse().unwrap(),
                shard: PartitionId("shardId-000000000000".into()),
                start: "8".parse().unwrap(),
                end: "10".parse().unwrap(),
                first_arrival: "2025-11-25T16:34:11Z".parse().unwrap(),
                size: 2,
            }),
        };
        for text in wrapped(&batch(kind, 8, 10, 2, "{}").to_json().unwrap()) {
            assert_eq!(one(&text), expected, "{text}");
        }
    }
}

#[test]
fn a_record_with_its_event_is_not_fetched_again() {
    let event = "{\"Records\":  [{\"messageId\":\"1\",\"n\":1.50,\"eventSourceARN\":\"arn:aws:sqs:us-east-1:000000000000:orders\"}]}";
    let failure = one(&messages(event).to_json().unwrap());
    assert_eq!(failure.given, Given::Event(event.into()));
    assert_eq!(failure.source, Some(QUEUE.parse().unwrap()));

    let failure = one(&batch(StreamKind::Kinesis, 1, 2, 2, "{\"Records\": [1.50]}").to_json_with_payload().unwrap());
    assert_eq!(failure.given, Given::Event("{\"Records\": [1.50]}".into()));
    assert_eq!(failure.source, Some(STREAM.parse().unwrap()));
    // The end of a tumbling window has no records, but an event.
    let failure = one(&batch(StreamKind::Kinesis, 1, 1, 0, "{\"state\":{}}").to_json_with_payload().unwrap());
    assert_eq!(failure.given, Given::Event("{\"state\":{}}".into()));
}

#[test]
fn records_may_follow_one_another() {
    let (first, second) = (batch(StreamKind::Kinesis, 1, 2, 2, "{}"), messages("{}"));
    let (first, second) = (first.to_json().unwrap(), second.to_json().unwrap());
    for text in [format!("{first}\n{second}\n"), format!("\u{feff}\n\n {first} {second}"), format!("{first}{second}")] {
        assert_eq!(parse(&text).unwrap().len(), 2, "{text}");
    }
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&first).unwrap()).unwrap();
    assert_eq!(one(&pretty), one(&first));
    let error = refusal(&format!("{first}\n\n{{\"a\":1}}"));
    assert!(error.starts_with("line 3: no failure record: "), "{error}");
    assert!(error.ends_with("it has a"), "{error}");
}

#[test]
fn nonsense_is_told_what_it_lacks() {
    for (text, expected) in [
        ("", "no failure record: there is nothing in it"),
        (" \n", "no failure record: there is nothing in it"),
        ("hello", "not JSON: expected value at line 1 column 1"),
        ("{\"a\":", "not JSON: EOF while parsing a value at line 1 column 5"),
        ("[]", "it has no fields, it is a list"),
        ("\"x\"", "it has no fields, it is a text"),
        ("{}", "it has no fields"),
        ("{\"Messages\": []}", "no failure record: there is nothing in it"),
        ("{\"Body\": \"hello\"}", "line 1: Body: not JSON: expected value at line 1 column 1"),
        ("{\"Body\": 5}", "line 1: Body: 5 should be text"),
        ("{\"Records\": [1], \"x\": 2}", "it has Records, x"),
        ("{\"requestContext\": 5}", "line 1: requestContext: should be an object, it is a number"),
        ("{\"requestContext\": {}}", "line 1: requestContext.condition: is missing"),
    ] {
        let error = refusal(text);
        assert!(error.ends_with(expected), "{text}: {error}");
    }
}

#[test]
fn every_field_is_named_that_is_wrong() {
    let good: Value = serde_json::from_str(&batch(StreamKind::Kinesis, 8, 10, 2, "{}").to_json().unwrap()).unwrap();
    for (pointer, value, expected) in [
        ("/requestContext/condition", json!("Success"), "requestContext.condition: 'Success': nothing failed"),
        (
            "/requestContext/condition",
            json!("Bored"),
            "requestContext.condition: 'Bored' is unknown; a failure is one of RetriesE",
        ),
        ("/requestContext/condition", json!(1), "requestContext.condition: 1 should be text"),
        ("/requestContext/functionArn", json!("work"), "requestContext.functionArn: 'work': an ARN starts with 'arn:'"),
        ("/requestContext/requestId", json!(null), "requestContext.requestId: null should be text"),
        ("/KinesisBatchInfo", json!([]), "KinesisBatchInfo: should be an object, it is a list"),
        ("/KinesisBatchInfo/shardId", json!(7), "KinesisBatchInfo.shardId: 7 should be text"),
        (
            "/KinesisBatchInfo/startSequenceNumber",
            json!("x1"),
            "KinesisBatchInfo.startSequenceNumber: 'x1' is no sequence",
        ),
        (
            "/KinesisBatchInfo/startSequenceNumber",
            json!("11"),
            "KinesisBatchInfo.endSequenceNumber: '10' is before start",
        ),
        ("/KinesisBatchInfo/batchSize", json!("2"), "KinesisBatchInfo.batchSize: \"2\" should be a number of records"),
        ("/KinesisBatchInfo/batchSize", json!(-1), "KinesisBatchInfo.batchSize: -1 should be a number of records"),
        (
            "/KinesisBatchInfo/batchSize",
            json!(0),
            "KinesisBatchInfo.batchSize: 0: it was the last invocation of a tumbling",
        ),
        ("/KinesisBatchInfo/streamArn", json!(TABLE), "KinesisBatchInfo.streamArn: 'arn:aws:dynamodb:"),
        (
            "/KinesisBatchInfo/approximateArrivalOfFirstRecord",
            json!("now"),
            "KinesisBatchInfo.approximateArrivalOfFirstRecord: 'now': ",
        ),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let error = refusal(&bad.to_string());
        assert!(error.starts_with(&format!("line 1: {expected}")), "{pointer}: {error}");
    }
    for (inner, field) in [("KinesisBatchInfo", "endSequenceNumber"), ("requestContext", "functionArn")] {
        let mut bad = good.clone();
        bad[inner].as_object_mut().unwrap().remove(field);
        assert_eq!(refusal(&bad.to_string()), format!("line 1: {inner}.{field}: is missing"));
    }
}

#[test]
fn a_record_whose_event_is_elsewhere_says_where() {
    let mut record: Value = serde_json::from_str(&messages("{}").to_json().unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("requestPayload");
    assert!(refusal(&record.to_string()).ends_with("nor the event that the function was given"));
    record["payloadsOmitted"] = json!({"reason": "large"});
    assert!(refusal(&record.to_string()).contains("no OverflowBucket was set"));
    record["payloadsOmitted"]["s3"] = json!({"bucket": "large", "key": "a/b"});
    assert!(refusal(&record.to_string()).ends_with("is whole in s3://large/a/b, replay that one"));
    record["payload"] = json!("nonsense");
    assert!(refusal(&record.to_string()).contains("payload: not JSON"));
}

proptest! {
    #[test]
    fn every_record_that_pelton_writes_can_be_read(
        numbers in any::<[u128; 2]>(),
        size in 1..10_000_usize,
        dynamodb in any::<bool>(),
        wrapping in 0..6_usize,
    ) {
        let (start, end) = (numbers[0].min(numbers[1]), numbers[0].max(numbers[1]));
        let kind = if dynamodb { StreamKind::DynamoDb } else { StreamKind::Kinesis };
        let record = batch(kind, start, end, size, "{}");
        let Given::Range(range) = one(&wrapped(&record.to_json().unwrap())[wrapping]).given else {
            return Err(TestCaseError::fail("no range"));
        };
        prop_assert_eq!(range.start.as_str(), start.to_string());
        prop_assert_eq!(range.end.as_str(), end.to_string());
        prop_assert_eq!((range.size, range.kind), (size, kind));
    }

    #[test]
    fn an_event_keeps_every_byte(text in "\\PC{0,40}") {
        let event = format!("{{ \"Records\": [{}] }}", serde_json::to_string(&text).unwrap());
        let with_payload = batch(StreamKind::Kinesis, 1, 2, 2, &event).to_json_with_payload().unwrap();
        for record in [messages(&event).to_json().unwrap(), with_payload] {
            prop_assert_eq!(one(&record).given, Given::Event(event.clone().into()));
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,60}") {
        let _ = parse(&text);
        let _ = parse_body(&text);
    }

    #[test]
    fn a_damaged_record_is_refused_or_read_and_never_panics(at in any::<prop::sample::Index>(), byte in " -~", wrapping in 0..6_usize) {
        let mut text = wrapped(&batch(StreamKind::DynamoDb, 8, 10, 2, "{}").to_json().unwrap())[wrapping].clone();
        let at = at.index(text.len());
        text.replace_range(at..=at, &byte);
        let _ = parse(&text);
    }
}
