//! Who may use the API.
use std::sync::Arc;

use pelton_store::MemoryStore;
use serde_json::{Value, json};

use crate::support::{Api, MAPPINGS, queue};

#[tokio::test]
async fn where_others_can_reach_it_it_is_served_only_if_that_is_wanted() {
    let documents = || Ok(Arc::new(MemoryStore::new()) as Arc<_>);
    let mut api = Api::listening("0.0.0.0:0", false, documents()).await;
    api.address.set_ip([127, 0, 0, 1].into());
    for (method, path) in [("POST", MAPPINGS), ("GET", MAPPINGS), ("POST", "/2015-03-31/functions")] {
        let (status, kind, body) = api.ask(method, path, queue(json!({}))).await.error();
        assert_eq!((status, kind.as_str()), (403, "accessdeniedexception"));
        assert!(body["Message"].as_str().unwrap().contains("AllowUnauthenticated: true"), "{body}");
    }
    assert_eq!(api.ask("GET", "/healthz", Value::Null).await.status, 200);
    let mut api = Api::listening("0.0.0.0:0", true, documents()).await;
    api.address.set_ip([127, 0, 0, 1].into());
    assert_eq!(api.create(queue(json!({}))).await.status, 202);
}

#[tokio::test]
async fn web_pages_are_not_answered() {
    let api = Api::start().await;
    let body = queue(json!({})).to_string();
    for header in ["origin: http://evil.example\r\n", "sec-fetch-site: cross-site\r\n", "origin: null\r\n"] {
        let answer = api.raw("POST", MAPPINGS, header, body.as_bytes()).await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (403, Some("accessdeniedexception")));
    }
    assert_eq!(api.list("").await, json!({ "EventSourceMappings": [] }));
}

#[tokio::test]
async fn dots_in_a_path_are_refused() {
    let api = Api::start().await;
    for path in ["/2015-03-31/functions/../../x", "/2015-03-31/event-source-mappings/%2e%2e/functions"] {
        let answer = api.ask("GET", path, Value::Null).await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (400, Some("invalidrequestcontentexception")));
    }
}
