//! Tags of mappings: sections 2.6 and 12.3.
use pelton_tests::{Backend, Function, on_ministack};
use serde_json::json;

use super::{Transcript, start};

async fn tags_of_mappings(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    let mapping =
        json!({ "EventSourceArn": queue.arn, "FunctionName": "work", "Enabled": false, "Tags": { "team": "orders" } });
    let made = transcript.create(mapping).await.json();
    let path = |arn: &str| format!("/2017-03-31/tags/{}", arn.replace(':', "%3A"));
    let tags = path(made["EventSourceMappingArn"].as_str().unwrap());
    transcript.ask("GET", &tags, "").await;
    transcript.ask("POST", &tags, r#"{"Tags":{"team":"carts","stage":"test"}}"#).await;
    transcript.ask("GET", &tags, "").await;
    transcript.ask("DELETE", &format!("{tags}?tagKeys=team&tagKeys=unknown"), "").await;
    transcript.ask("GET", &format!("{tags}/"), "").await;
    transcript.ask("DELETE", &format!("{tags}?tagKeys=stage"), "").await;
    transcript.ask("GET", &tags, "").await;

    let unknown = path(&Backend::arn("lambda", "event-source-mapping:11111111-2222-3333-4444-555555555555"));
    transcript.ask("GET", &unknown, "").await;
    transcript.ask("POST", &unknown, r#"{"Tags":{"a":"b"}}"#).await;
    transcript.ask("DELETE", &format!("{unknown}?tagKeys=a"), "").await;
    transcript.ask("GET", &format!("{tags}%3Aalias"), "").await;
    transcript.ask("GET", &path(&Backend::arn("lambda", "something:else")), "").await;
    insta::assert_snapshot!(transcript.text);
}

on_ministack!(tags_of_mappings);
