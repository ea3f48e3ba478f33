//! Mappings of streams: section 2, for both kinds.
use pelton_tests::{Backend, EventSource as _, Feed, Function, Kind, on_ministack};
use serde_json::json;

use super::{MAPPINGS, Transcript, start};

async fn from_create_to_delete(backend: Backend, kind: Kind) -> String {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(feed.arn(), "stream");
    let made = transcript
        .create(json!({ "EventSourceArn": feed.arn(), "FunctionName": "work", "StartingPosition": "TRIM_HORIZON" }))
        .await;
    let path = Transcript::path(&made);
    transcript.settles(&path, "Enabled").await;
    feed.put("a", ["one"]).await;
    function.is_done(1).await;
    pelton_tests::eventually("the result shows", || async {
        pelton.request("GET", &path, &[], "").await.json()["LastProcessingResult"] == "OK"
    })
    .await;
    transcript.ask("PUT", &path, r#"{"Enabled":false}"#).await;
    transcript.settles(&path, "Disabled").await;
    feed.put("a", ["nobody reads this"]).await;
    transcript
        .ask(
            "PUT",
            &path,
            r#"{"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:000000000000:failed"}}}"#,
        )
        .await;
    transcript.settles(&path, "Disabled").await;
    assert_eq!(function.seen().len(), 1);
    transcript.ask("DELETE", &path, "").await;
    transcript.is_gone(&path).await;
    transcript.text
}

async fn a_kinesis_stream_from_create_to_delete(backend: Backend) {
    insta::assert_snapshot!(from_create_to_delete(backend, Kind::Kinesis).await);
}

async fn a_dynamodb_stream_from_create_to_delete(backend: Backend) {
    insta::assert_snapshot!(from_create_to_delete(backend, Kind::DynamoDb).await);
}

async fn a_deleted_table_leaves_its_mapping(backend: Backend) {
    let (feed, function) = (backend.feed(Kind::DynamoDb).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(feed.arn(), "stream");
    let made = transcript
        .create(json!({ "EventSourceArn": feed.arn(), "FunctionName": "work", "StartingPosition": "TRIM_HORIZON" }))
        .await;
    transcript.settles(&Transcript::path(&made), "Enabled").await;
    let Feed::DynamoDb(_) = &feed else { panic!("it is a table") };
    feed.delete().await;
    transcript.ask("GET", &format!("{MAPPINGS}?EventSourceArn={}", feed.arn()), "").await;
    insta::assert_snapshot!(transcript.text);
}

on_ministack!(
    a_kinesis_stream_from_create_to_delete,
    a_dynamodb_stream_from_create_to_delete,
    a_deleted_table_leaves_its_mapping,
);
