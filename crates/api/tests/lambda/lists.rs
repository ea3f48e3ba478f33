//! `ListEventSourceMappings` (spec 2.5).
use serde_json::{Value, json};

use crate::support::{Api, MAPPINGS, QUEUE, STREAM, of_a_file, queue, stream};

fn ids(list: &Value) -> Vec<String> {
    let mappings = list["EventSourceMappings"].as_array().unwrap();
    mappings.iter().map(|mapping| mapping["UUID"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn filters_choose_by_source_and_function() {
    let api = Api::start().await;
    let of_the_file = of_a_file(queue(json!({ "FunctionName": "filed" }))).id.to_string();
    api.world.file.lock().unwrap().push(of_a_file(queue(json!({ "FunctionName": "filed" }))));
    let plain = api.created(queue(json!({}))).await;
    let version = api.created(queue(json!({ "FunctionName": "work:1" }))).await;
    let clicks = api.created(stream(json!({}))).await;
    let other = api.created(stream(json!({ "FunctionName": "workers" }))).await;
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    };
    for (query, expected) in [
        (String::new(), sorted(&[&of_the_file, &plain, &version, &clicks, &other])),
        (format!("EventSourceArn={QUEUE}"), sorted(&[&of_the_file, &plain, &version])),
        (format!("EventSourceArn={}", QUEUE.replace(':', "%3A")), sorted(&[&of_the_file, &plain, &version])),
        ("FunctionName=work".into(), sorted(&[&plain, &version, &clicks])),
        ("FunctionName=work:1".into(), sorted(&[&version])),
        ("FunctionName=filed".into(), sorted(&[&of_the_file])),
        (
            "FunctionName=arn:aws:lambda:us-east-1:111111111111:function:work".into(),
            sorted(&[&plain, &version, &clicks]),
        ),
        ("FunctionName=arn:aws:lambda:us-east-1:222222222222:function:work".into(), vec![]),
        (format!("FunctionName=work&EventSourceArn={STREAM}"), sorted(&[&clicks])),
        ("FunctionName=nobody".into(), vec![]),
        ("EventSourceArn=arn:aws:sqs:us-east-1:111111111111:none".into(), vec![]),
    ] {
        assert_eq!(ids(&api.list(&query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let api = Api::start().await;
    let mut all = Vec::new();
    for index in 0..7 {
        all.push(api.created(queue(json!({ "EventSourceArn": format!("{QUEUE}-{index}"), "Enabled": false }))).await);
    }
    all.sort();
    let (mut found, mut marker) = (Vec::new(), String::new());
    for expected in [3, 3, 1] {
        let page = api.list(&format!("MaxItems=3&Marker={marker}")).await;
        assert_eq!(ids(&page).len(), expected);
        found.extend(ids(&page));
        marker = page["NextMarker"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!((found, marker.as_str()), (all, ""));
    let whole = api.list("MaxItems=7").await;
    assert_eq!((ids(&whole).len(), whole.get("NextMarker")), (7, None));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let api = Api::start().await;
    for (query, kind, message) in [
        (
            "MaxItems=0",
            "validationexception",
            "1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value \
             greater than or equal to 1",
        ),
        (
            "MaxItems=10001",
            "validationexception",
            "1 validation error detected: Value '10001' at 'maxItems' failed to satisfy constraint: Member must have \
             value less than or equal to 10000",
        ),
        ("MaxItems=many", "serializationexception", "MaxItems: expected a whole number"),
        ("Marker=nonsense", "invalidparametervalueexception", "Invalid value for Marker."),
        (
            "FunctionName=a%20b",
            "invalidparametervalueexception",
            "FunctionName: 'a b' is no function name: 1 to 64 letters, digits, '-' and '_'",
        ),
    ] {
        let answer = api.ask("GET", &format!("{MAPPINGS}?{query}"), Value::Null).await;
        let (status, found, body) = answer.error();
        assert_eq!((status, found.as_str(), &body["message"]), (400, kind, &json!(message)));
    }
}
