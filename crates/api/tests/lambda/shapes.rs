//! What a mapping looks like (spec 2.1, 2.3).
use serde_json::{Value, json};

use crate::support::{Api, MAPPINGS, QUEUE, STREAM, TABLE, masked, queue, stream, with};

fn shown(source: &str, state: &str) -> Value {
    let is_queue = source.contains(":sqs:");
    let mut shown = json!({
        "BatchSize": if is_queue { 10 } else { 100 },
        "EventSourceArn": source,
        "EventSourceMappingArn": "arn:aws:lambda:us-east-1:111111111111:event-source-mapping:UUID",
        "FunctionArn": "arn:aws:lambda:us-east-1:111111111111:function:work",
        "FunctionResponseTypes": [],
        "LastModified": "number",
        "MaximumBatchingWindowInSeconds": 0,
        "State": state,
        "StateTransitionReason": if is_queue { "USER_INITIATED" } else { "User action" },
        "UUID": "UUID",
    });
    if !is_queue {
        let of_streams = json!({
            "BisectBatchOnFunctionError": false, "DestinationConfig": { "OnFailure": {} },
            "LastProcessingResult": "No records processed", "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": -1, "ParallelizationFactor": 1, "StartingPosition": "TRIM_HORIZON",
            "TumblingWindowInSeconds": 0,
        });
        shown = with(shown, of_streams);
    }
    shown
}

#[tokio::test]
async fn a_queues_mapping_has_just_awss_keys_and_defaults() {
    let api = Api::start().await;
    let answer = api.create(queue(json!({}))).await;
    assert_eq!((answer.status, answer.header("content-type")), (202, Some("application/json")));
    assert!(answer.header("x-amzn-requestid").is_some_and(|id| id.len() == 36), "{answer:?}");
    let created = answer.json();
    assert_eq!(masked(created.clone()), shown(QUEUE, "Creating"));

    let id = created["UUID"].as_str().unwrap();
    api.settles(id, "Enabled").await;
    let answer = api.get(id).await;
    assert_eq!((answer.status, masked(answer.json())), (200, shown(QUEUE, "Enabled")));
    assert_eq!(api.list("").await, json!({ "EventSourceMappings": [answer.json()] }));
    let deleted = api.delete(id).await;
    assert_eq!((deleted.status, masked(deleted.json())), (202, shown(QUEUE, "Deleting")));
    api.is_gone(id).await;
    assert_eq!(api.list("").await, json!({ "EventSourceMappings": [] }));
}

#[tokio::test]
async fn streams_have_more_keys_and_both_kinds_the_same() {
    let api = Api::start().await;
    for source in [STREAM, TABLE] {
        let created = api.create(stream(json!({ "EventSourceArn": source }))).await;
        assert_eq!((created.status, masked(created.json())), (202, shown(source, "Creating")));
    }
}

#[tokio::test]
async fn what_is_set_is_shown_as_it_was_set() {
    let api = Api::start().await;
    let pattern = "{ \"body\": {\"kind\": [\"order \u{2603} ${HOME}\"]} }";
    let fields = json!({
        "BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 300, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": { "Filters": [{ "Pattern": pattern }] }, "ScalingConfig": { "MaximumConcurrency": 2 },
    });
    let created = api.create(queue(fields.clone())).await.json();
    assert_eq!(masked(created), with(shown(QUEUE, "Creating"), fields));

    let fields = json!({
        "BatchSize": 1, "BisectBatchOnFunctionError": true, "MaximumRecordAgeInSeconds": 60, "MaximumRetryAttempts": 0,
        "ParallelizationFactor": 10, "TumblingWindowInSeconds": 900, "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": 1735689600.125,
        "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:sqs:us-east-1:111111111111:failed" } },
    });
    let created = api.create(stream(fields.clone())).await.json();
    assert_eq!(masked(created), with(shown(STREAM, "Creating"), fields));
}

#[tokio::test]
async fn what_says_nothing_is_not_shown() {
    let api = Api::start().await;
    let fields = json!({
        "FilterCriteria": { "Filters": [] }, "ScalingConfig": {}, "FunctionResponseTypes": [], "Tags": {},
        "DestinationConfig": { "OnFailure": {} }, "SourceAccessConfigurations": [], "Topics": null, "KMSKeyArn": null,
    });
    assert_eq!(masked(api.create(queue(fields)).await.json()), shown(QUEUE, "Creating"));
    let destination = json!({ "DestinationConfig": { "OnFailure": { "Destination": "" } } });
    assert_eq!(masked(api.create(stream(destination)).await.json()), shown(STREAM, "Creating"));
}

#[tokio::test]
async fn functions_stay_as_qualified_as_they_were_named() {
    let api = Api::start().await;
    let arn = "arn:aws:lambda:us-east-1:111111111111:function:";
    for (index, (name, qualified)) in [
        ("fn", "fn"),
        ("fn:$LATEST", "fn:$LATEST"),
        ("fn:1", "fn:1"),
        ("fn:myalias", "fn:myalias"),
        ("arn:aws:lambda:us-east-1:111111111111:function:fn", "fn"),
        ("arn:aws:lambda:us-east-1:111111111111:function:fn:1", "fn:1"),
        ("111111111111:function:fn:myalias", "fn:myalias"),
    ]
    .into_iter()
    .enumerate()
    {
        let fields = json!({ "FunctionName": name, "EventSourceArn": format!("{QUEUE}-{index}") });
        assert_eq!(api.create(fields).await.json()["FunctionArn"], format!("{arn}{qualified}"), "{name}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_is_taken_too() {
    let api = Api::start().await;
    let created = api.ask("POST", &format!("{MAPPINGS}/"), queue(json!({}))).await;
    assert_eq!(created.status, 202);
    let id = created.json()["UUID"].as_str().unwrap().to_owned();
    let path = format!("{MAPPINGS}/{}/", id.to_uppercase());
    assert_eq!(api.ask("GET", &path, Value::Null).await.status, 200);
    assert_eq!(api.ask("GET", &format!("{MAPPINGS}/?MaxItems=1"), Value::Null).await.status, 200);
    assert_eq!(api.ask("DELETE", &path, Value::Null).await.status, 202);
}
