//! Tags of mappings (spec 2.6, 12.3).
use serde_json::{Map, Value, json};

use crate::support::{Api, queue};

fn path(arn: &str) -> String {
    format!("/2017-03-31/tags/{}", arn.replace(':', "%3A"))
}

async fn tagged(api: &Api, tags: Value) -> String {
    let created = api.create(queue(json!({ "Tags": tags }))).await;
    assert_eq!(created.status, 202, "{created:?}");
    assert_eq!(created.json().get("Tags"), None);
    created.json()["EventSourceMappingArn"].as_str().unwrap().to_owned()
}

async fn tags(api: &Api, arn: &str) -> Value {
    let answer = api.ask("GET", &path(arn), Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn tags_are_merged_removed_and_listed() {
    let api = Api::start().await;
    let arn = tagged(&api, json!({ "team": "a", "stage": "dev" })).await;
    assert_eq!(tags(&api, &arn).await, json!({ "Tags": { "team": "a", "stage": "dev" } }));
    let added = api.ask("POST", &path(&arn), json!({ "Tags": { "stage": "prod", "new": "" } })).await;
    assert_eq!((added.status, added.text().as_str()), (204, ""));
    assert!(added.header("x-amzn-requestid").is_some());
    assert_eq!(tags(&api, &arn).await, json!({ "Tags": { "team": "a", "stage": "prod", "new": "" } }));
    let query = format!("{}?tagKeys=team&tagKeys=new&tagKeys=unknown", path(&arn));
    assert_eq!(api.ask("DELETE", &query, Value::Null).await.status, 204);
    assert_eq!(tags(&api, &arn).await, json!({ "Tags": { "stage": "prod" } }));
    assert_eq!(api.ask("DELETE", &format!("{}?tagKeys=stage", path(&arn)), Value::Null).await.status, 204);
    assert_eq!(tags(&api, &arn).await, json!({ "Tags": {} }));
    let id = arn.rsplit(':').next().unwrap();
    assert_eq!(api.update(id, json!({ "BatchSize": 2 })).await.status, 202, "the document's revision is known");
}

#[tokio::test]
async fn unknown_mappings_have_no_tags() {
    let api = Api::start().await;
    let mine = tagged(&api, json!({})).await;
    let unknown = "arn:aws:lambda:us-east-1:111111111111:event-source-mapping:ad9cff62-3f68-4a5e-8d2e-e2a4b5e8c9aa";
    for arn in [unknown.to_owned(), mine.replace("us-east-1", "eu-west-1"), mine.replace("1111:event", "1112:event")] {
        let body = json!({ "Type": "User", "Message": format!("Event source mapping not found: {arn}") });
        let expected = (404, "resourcenotfoundexception".to_owned(), body);
        assert_eq!(api.ask("GET", &path(&arn), Value::Null).await.error(), expected);
        assert_eq!(api.ask("POST", &path(&arn), json!({ "Tags": { "a": "b" } })).await.error(), expected);
        assert_eq!(api.ask("DELETE", &format!("{}?tagKeys=a", path(&arn)), Value::Null).await.error(), expected);
    }
}

#[tokio::test]
async fn arns_of_nothing_are_refused_with_awss_pattern() {
    let api = Api::start().await;
    let mine = tagged(&api, json!({})).await;
    for arn in [format!("{mine}:alias"), "arn:aws:lambda:us-east-1:111111111111:foobar:x".to_owned()] {
        let pattern = r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)";
        let message = format!(
            "1 validation error detected: Value '{arn}' at 'resource' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: {pattern}"
        );
        let expected = (400, "validationexception".to_owned(), json!({ "message": message }));
        assert_eq!(api.ask("GET", &path(&arn), Value::Null).await.error(), expected);
    }
}

#[tokio::test]
async fn tags_have_their_limits() {
    let api = Api::start().await;
    let many = |count: usize| -> Value {
        Value::Object(Map::from_iter((0..count).map(|index| (format!("k{index}"), json!("v")))))
    };
    let too_many = "Number of tags exceeds resource tag limit.";
    let refused = api.create(queue(json!({ "Tags": many(51) }))).await;
    assert_eq!((refused.status, &refused.json()["message"]), (400, &json!(too_many)));
    let arn = tagged(&api, many(50)).await;
    for (body, message) in [
        (json!({ "Tags": { "one": "more" } }), too_many),
        (json!({ "Tags": {} }), "An error occurred and the request cannot be processed."),
        (json!({ "Tags": { "": "v" } }), "A tag's key has 1 to 128 characters, its value up to 256."),
    ] {
        let (status, kind, found) = api.ask("POST", &path(&arn), body.clone()).await.error();
        let message = if body["Tags"].get("").is_some() { too_many } else { message };
        assert_eq!(
            (status, kind.as_str(), &found["message"]),
            (400, "invalidparametervalueexception", &json!(message))
        );
    }
    let none = api.ask("DELETE", &path(&arn), Value::Null).await.error();
    let message = "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be \
                   null";
    assert_eq!(none, (400, "validationexception".into(), json!({ "message": message })));
    assert_eq!(tags(&api, &arn).await["Tags"].as_object().unwrap().len(), 50);
}
