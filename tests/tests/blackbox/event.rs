//! The event that the function gets, to the letter (spec 3.1).
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use pelton_tests::{Backend, Function, Pelton, Queue, mapping, on_both_backends};
use serde_json::{Value, json};

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn is_digits(value: &Value, length: usize) -> bool {
    value.as_str().is_some_and(|text| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The only record of the only invocation.
async fn only_record(function: &Function, queue: &Queue) -> Value {
    queue.is_drained().await;
    let seen = function.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(keys(&seen[0].event), ["Records"]);
    let [record] = seen[0].records() else { panic!("{:?}", seen[0].event) };
    record.clone()
}

async fn a_plain_message(backend: Backend) {
    let (queue, function) = (backend.queue(5).await, Function::new());
    let body = "{\"foo\":  \"bar\"}";
    let id = queue.send(body).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    let record = only_record(&function, &queue).await;
    let expected = [
        "messageId",
        "receiptHandle",
        "body",
        "attributes",
        "messageAttributes",
        "md5OfBody",
        "eventSource",
        "eventSourceARN",
        "awsRegion",
    ];
    assert_eq!(keys(&record), expected, "window 0 and no attributes: md5OfMessageAttributes is absent");
    assert_eq!(record["messageId"], id.as_str());
    assert!(record["receiptHandle"].as_str().is_some_and(|handle| !handle.is_empty()));
    assert_eq!(record["body"], body);
    assert_eq!(record["messageAttributes"], json!({}));
    assert_eq!(record["md5OfBody"], "b4592dc1907ba677b888fb1410a2af76");
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["eventSourceARN"], queue.arn.as_str());
    assert_eq!(record["awsRegion"], "us-east-1");
    let attributes = &record["attributes"];
    let expected = ["ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"];
    assert_eq!(keys(attributes), expected);
    assert_eq!(attributes["ApproximateReceiveCount"], "1");
    assert!(is_digits(&attributes["SentTimestamp"], 13), "{attributes}");
    assert!(is_digits(&attributes["ApproximateFirstReceiveTimestamp"], 13), "{attributes}");
}

async fn attributes_of_every_kind_and_the_trace_header(backend: Backend) {
    let (queue, function) = (backend.queue(5).await, Function::new());
    let text =
        |kind: &str, value: &str| MessageAttributeValue::builder().data_type(kind).string_value(value).build().unwrap();
    let raw = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255, 16])).build();
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value(TRACE).build().unwrap();
    let send = queue.client.send_message().queue_url(&queue.url).message_body("attributes");
    let sent = send
        .message_attributes("Title", text("String", "The Whistler"))
        .message_attributes("WeeksOn", text("Number", "6"))
        .message_attributes("Raw", raw.unwrap())
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .send()
        .await
        .unwrap();
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    let record = only_record(&function, &queue).await;
    let list = |kind: &str, data_type: &str, value: &str| json!({kind: value, "stringListValues": [], "binaryListValues": [], "dataType": data_type});
    assert_eq!(
        record["messageAttributes"],
        json!({
            "Title": list("stringValue", "String", "The Whistler"),
            "WeeksOn": list("stringValue", "Number", "6"),
            "Raw": list("binaryValue", "Binary", "AP8Q"),
        })
    );
    let title = &record["messageAttributes"]["Title"];
    assert_eq!(keys(title), ["stringValue", "stringListValues", "binaryListValues", "dataType"]);
    assert_eq!(record["md5OfMessageAttributes"], sent.md5_of_message_attributes().unwrap());
    assert_eq!(record["attributes"]["AWSTraceHeader"], TRACE);
}

async fn a_fifo_message_has_its_three_fields(backend: Backend) {
    let (queue, function) = (backend.fifo_queue(5).await, Function::new());
    let send = queue.client.send_message().queue_url(&queue.url).message_body("fifo");
    let sent = send.message_group_id("group-1").message_deduplication_id("once").send().await.unwrap();
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    let attributes = only_record(&function, &queue).await["attributes"].clone();
    assert_eq!(attributes["MessageGroupId"], "group-1");
    assert_eq!(attributes["MessageDeduplicationId"], "once");
    assert_eq!(attributes["SequenceNumber"], sent.sequence_number().unwrap());
}

async fn with_a_window_the_missing_md5_is_null(backend: Backend) {
    let (queue, function) = (backend.queue(5).await, Function::new());
    queue.send("window").await;
    let window = json!({ "MaximumBatchingWindowInSeconds": 1 });
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, window)]).await;
    let record = only_record(&function, &queue).await;
    assert_eq!(record.get("md5OfMessageAttributes"), Some(&Value::Null));
}

async fn bodies_arrive_verbatim(backend: Backend) {
    let (queue, function) = (backend.queue(5).await, Function::new());
    let bodies = [
        "{\"n\": 1e3, \"m\": 1.0, \"l\": 12345678901234567890123, \"s\":\"\\u00e9\\/\"}",
        " \t\n leading and trailing \n ",
        "{\"not\": json",
        "Zoë 💡 日本語 \u{a0}\u{2028}",
        "\"quoted\" \\ back\\slash <&> '",
        "null",
    ];
    queue.send_all(bodies.map(str::to_owned)).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    queue.is_drained().await;
    let seen = function.seen();
    let mut received: Vec<&str> = seen.iter().flat_map(|seen| seen.bodies()).collect();
    received.sort_unstable();
    let mut expected = bodies.to_vec();
    expected.sort_unstable();
    assert_eq!(received, expected);
}

async fn a_redelivery_has_the_same_id_another_receipt_and_one_more_receive(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new());
    let id = queue.send(json!({ "do": "fail", "times": 1 })).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    queue.is_drained().await;
    let seen = function.seen();
    let [first, second] = &seen[..] else { panic!("{} invocations", seen.len()) };
    assert_eq!((first.receive_counts(), second.receive_counts()), (vec!["1"], vec!["2"]));
    let (first, second) = (&first.records()[0], &second.records()[0]);
    assert_eq!((&first["messageId"], &second["messageId"]), (&json!(id), &json!(id)));
    assert_ne!(first["receiptHandle"], second["receiptHandle"]);
    let first_received = |record: &Value| record["attributes"]["ApproximateFirstReceiveTimestamp"].clone();
    assert_eq!(first_received(first), first_received(second));
}

on_both_backends!(
    a_plain_message,
    attributes_of_every_kind_and_the_trace_header,
    a_fifo_message_has_its_three_fields,
    with_a_window_the_missing_md5_is_null,
    bodies_arrive_verbatim,
    a_redelivery_has_the_same_id_another_receipt_and_one_more_receive,
);
