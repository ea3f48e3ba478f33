//! Refused mappings, word for word: section 12.1, and the envelope of 1.1.
use pelton_tests::{Backend, EventSource as _, Function, Kind, on_ministack};
use serde_json::{Value, json};

use super::{MAPPINGS, Transcript, start};

const UNKNOWN: &str = "11111111-2222-3333-4444-555555555555";

async fn mappings_of_queues_are_refused_in_awss_words(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    let missing = Backend::arn("sqs", "missing");
    let to = |destination: &str| json!({ destination: { "Destination": Backend::arn("sqs", "reports") } });
    for mapping in [
        json!({ "FunctionName": "missing" }),
        json!({ "EventSourceArn": missing, "FunctionName": "missing" }),
        json!({ "EventSourceArn": missing, "FunctionName": "missing", "DestinationConfig": to("OnSuccess") }),
        json!({ "EventSourceArn": missing, "FunctionName": "work" }),
        json!({ "EventSourceArn": queue.arn, "FunctionName": "work", "BatchSize": 11 }),
        json!({
            "EventSourceArn": queue.arn, "FunctionName": "work",
            "FilterCriteria": { "Filters": [{ "Pattern": "{\"body\": \"order\"}" }] },
        }),
        json!({
            "EventSourceArn": queue.arn, "FunctionName": "work", "BatchSize": 0, "MaximumBatchingWindowInSeconds": 301,
        }),
        json!({ "EventSourceArn": queue.arn, "FunctionName": "work", "ScalingConfig": { "MaximumConcurrency": 1 } }),
    ] {
        assert_eq!(transcript.create(mapping).await.status, 400);
    }
    let made = pelton.request("POST", MAPPINGS, &[], mapping(&queue.arn).to_string()).await;
    let path = Transcript::path(&made);
    transcript.name(made.json()["UUID"].as_str().unwrap(), "uuid");
    transcript.ask("PUT", &path, r#"{"BatchSize":11}"#).await;
    for method in ["GET", "PUT", "DELETE"] {
        let body = if method == "PUT" { "{}" } else { "" };
        transcript.ask(method, &format!("{MAPPINGS}/{UNKNOWN}"), body).await;
    }
    insta::assert_snapshot!(transcript.text);
}

fn mapping(queue: &str) -> Value {
    json!({ "EventSourceArn": queue, "FunctionName": "work", "Enabled": false })
}

async fn mappings_of_streams_are_refused_in_awss_words(backend: Backend) {
    let (stream, table) = (backend.feed(Kind::Kinesis).await, backend.feed(Kind::DynamoDb).await);
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(stream.arn(), "stream");
    transcript.name(table.arn(), "stream of a table");
    let mapping = |source: &str, more: Value| {
        let mut mapping = json!({ "EventSourceArn": source, "FunctionName": "work", "Enabled": false });
        mapping.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mapping
    };
    let trim = || json!({ "StartingPosition": "TRIM_HORIZON" });
    let missing = Backend::arn("kinesis", "stream/missing");
    for (source, more) in [
        (missing.as_str(), trim()),
        (stream.arn(), json!({})),
        (stream.arn(), json!({ "StartingPosition": "invalid" })),
        (table.arn(), json!({ "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1_700_000_000 })),
        (stream.arn(), json!({ "StartingPosition": "LATEST", "ParallelizationFactor": 11 })),
        (stream.arn(), json!({ "StartingPosition": "LATEST", "MaximumRecordAgeInSeconds": 604_801 })),
        (stream.arn(), json!({ "StartingPosition": "LATEST", "MaximumRetryAttempts": 10_001 })),
        (stream.arn(), json!({ "StartingPosition": "LATEST", "TumblingWindowInSeconds": 901 })),
    ] {
        assert_eq!(transcript.create(mapping(source, more)).await.status, 400);
    }
    for source in [stream.arn(), table.arn()] {
        transcript.create(mapping(source, trim())).await;
        let again = transcript.create(mapping(source, trim())).await;
        assert_eq!(again.status, 409);
    }
    insta::assert_snapshot!(transcript.text);
}

/// Kafka isn't built: that is said, and nothing is made.
async fn what_is_not_built_is_refused_by_its_name(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    let kafka = json!({
        "FunctionName": "work", "Topics": ["orders"],
        "SelfManagedEventSource": { "Endpoints": { "KAFKA_BOOTSTRAP_SERVERS": ["kafka:9092"] } },
    });
    assert_eq!(transcript.create(kafka).await.status, 400);
    let cluster = Backend::arn("kafka", "cluster/orders/11111111-2222-3333-4444-555555555555-1");
    let msk = json!({ "EventSourceArn": cluster, "FunctionName": "work", "Topics": ["orders"] });
    assert_eq!(transcript.create(msk).await.status, 400);
    let listed = transcript.ask("GET", MAPPINGS, "").await;
    assert_eq!(listed.json(), json!({ "EventSourceMappings": [] }));
    insta::assert_snapshot!(transcript.text);
}

on_ministack!(
    mappings_of_queues_are_refused_in_awss_words,
    mappings_of_streams_are_refused_in_awss_words,
    what_is_not_built_is_refused_by_its_name,
);
