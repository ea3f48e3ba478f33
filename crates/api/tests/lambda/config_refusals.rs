//! What is refused of event invoke configs, word for word and in AWS's order (spec 11.5, 12.2).
use std::sync::Arc;

use pelton_testkit::FakeInvoker;
use serde_json::{Value, json};

use crate::configs::{QUEUE, STEM, delete, get, none, path, put, update};
use crate::invoke::{constraint, refused};
use crate::support::{Answer, Api};

async fn start() -> Api {
    let api = Api::start().await;
    api.world.add_local("work", &["live"], Arc::new(FakeInvoker::scripted([])));
    api.world.add_local("helper", &[], Arc::new(FakeInvoker::scripted([])));
    api
}

fn retries() -> Value {
    json!({ "MaximumRetryAttempts": 1 })
}

fn invalid(message: &str) -> (u16, String, Value) {
    refused(400, "InvalidParameterValueException", json!({ "Type": "User", "message": message }))
}

fn missing(message: &str) -> (u16, String, Value) {
    refused(404, "ResourceNotFoundException", json!({ "Type": "User", "Message": message }))
}

#[tokio::test]
async fn something_is_to_be_set() {
    let api = start().await;
    let message = "You must specify at least one of error handling or destination setting.";
    for name in ["work", "missing", "remote:missing"] {
        assert_eq!(put(&api, name, json!({})).await.error(), invalid(message));
        assert_eq!(put(&api, name, Value::Null).await.error(), invalid(message));
        assert_eq!(update(&api, name, json!({})).await.error(), invalid(message));
    }
}

#[tokio::test]
async fn functions_that_are_not_there_have_none() {
    let api = start().await;
    let arn = format!("{STEM}missing");
    for name in ["missing", &arn, "work:missing", "work?Qualifier=2", "remote:missing"] {
        assert_eq!(put(&api, name, retries()).await.error(), missing("The function doesn't exist."), "{name}");
        assert_eq!(update(&api, name, retries()).await.error(), missing("The function doesn't exist."), "{name}");
    }
    let list = api.ask("GET", &format!("{}/list", path("missing")), Value::Null).await;
    assert_eq!(list.error(), missing("The function doesn't exist."));
    // Get and Delete don't look.
    for (name, function) in [
        ("missing", "missing:$LATEST"),
        ("work", "work:$LATEST"),
        ("work:2", "work:2"),
        ("remote?Qualifier=live", "remote:live"),
    ] {
        assert_eq!(get(&api, name).await.error(), none(function));
        assert_eq!(delete(&api, name).await.error(), none(function));
    }
    assert_eq!(update(&api, "work", retries()).await.error(), none("work:$LATEST"));
    let (status, kind, body) = put(&api, "silent", retries()).await.error();
    assert_eq!((status, kind.as_str()), (503, "serviceexception"));
    assert_eq!(body["Message"], format!("The function can't be looked for: {STEM}silent can't be asked for"));
}

#[tokio::test]
async fn names_are_refused_as_those_of_invocations() {
    let api = start().await;
    let mismatch = "The derived qualifier from the function name does not match the specified qualifier.";
    let elsewhere = "arn:aws:lambda:eu-west-1:111111111111:function:work";
    let out_of_reach = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')";
    let all = async |name: &str| -> Vec<Answer> {
        vec![
            put(&api, name, retries()).await,
            update(&api, name, retries()).await,
            get(&api, name).await,
            delete(&api, name).await,
        ]
    };
    for answer in all("work:live?Qualifier=%24LATEST").await {
        assert_eq!(answer.error(), invalid(mismatch));
    }
    for answer in all(elsewhere).await {
        assert_eq!(answer.error(), missing(out_of_reach));
    }
    for answer in all("..%2Fwork").await {
        let (status, kind, body) = answer.error();
        assert_eq!((status, kind.as_str()), (400, "validationexception"));
        let begin = "1 validation error detected: Value '../work' at 'functionName' failed to satisfy constraint: Member \
                     must satisfy regular expression pattern: (arn:";
        assert!(body["message"].as_str().unwrap().starts_with(begin), "{body}");
    }
    assert_eq!(api.ask("PATCH", &path("work"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn ranges_are_told_as_awss_model_tells_them() {
    let api = start().await;
    let range = |value: &str, member: &str, constraint: &str| {
        format!("Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {constraint}")
    };
    for (fields, rest) in [
        (json!({ "MaximumRetryAttempts": 3 }), range("3", "maximumRetryAttempts", "less than or equal to 2")),
        (json!({ "MaximumRetryAttempts": -1 }), range("-1", "maximumRetryAttempts", "greater than or equal to 0")),
        (
            json!({ "MaximumRetryAttempts": 18446744073709551615u64 }),
            range("18446744073709551615", "maximumRetryAttempts", "less than or equal to 2"),
        ),
        (
            json!({ "MaximumEventAgeInSeconds": 59 }),
            range("59", "maximumEventAgeInSeconds", "greater than or equal to 60"),
        ),
        (
            json!({ "MaximumEventAgeInSeconds": 21601 }),
            range("21601", "maximumEventAgeInSeconds", "less than or equal to 21600"),
        ),
    ] {
        // Before anything is looked for.
        for name in ["work", "missing"] {
            assert_eq!(put(&api, name, fields.clone()).await.error(), constraint(&rest));
            assert_eq!(update(&api, name, fields.clone()).await.error(), constraint(&rest));
        }
    }
    let both = json!({ "MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 1 });
    let (_, _, body) = put(&api, "work", both).await.error();
    assert!(body["message"].as_str().unwrap().starts_with("2 validation errors detected: "), "{body}");
    for (items, text) in [("0", "greater than or equal to 1"), ("51", "less than or equal to 50")] {
        let answer = api.ask("GET", &format!("{}/list?MaxItems={items}", path("work")), Value::Null).await;
        assert_eq!(answer.error(), constraint(&range(items, "maxItems", text)));
    }
}

#[tokio::test]
async fn destinations_are_what_takes_records() {
    let api = start().await;
    let with = |side: &str, arn: &str| json!({ "DestinationConfig": { side: { "Destination": arn } } });
    for arn in [
        QUEUE,
        "arn:aws:sns:us-east-1:111111111111:topic",
        "arn:aws:events:us-east-1:111111111111:event-bus/default",
        &format!("{STEM}helper"),
        &format!("{STEM}remote:live"),
    ] {
        for side in ["OnSuccess", "OnFailure"] {
            assert_eq!(put(&api, "work", with(side, arn)).await.status, 200, "{side} {arn}");
        }
    }
    let bucket = "arn:aws:s3:::failures";
    assert_eq!(put(&api, "work", with("OnFailure", bucket)).await.status, 200);
    let role = "arn:aws:iam::111111111111:role/r";
    let config =
        |sides: &str| invalid(&format!("The provided destination config DestinationConfig({sides}) is invalid."));
    for arn in [role, bucket, "kafka://topic", "arn:aws:lambda:us-east-1:111111111111:layer:l"] {
        let expected = config(&format!("onSuccess=OnSuccess(destination={arn}), onFailure=null"));
        assert_eq!(put(&api, "work", with("OnSuccess", arn)).await.error(), expected);
    }
    let expected = config(&format!("onSuccess=null, onFailure=OnFailure(destination={role})"));
    assert_eq!(update(&api, "work", with("OnFailure", role)).await.error(), expected);
    let both = json!({ "DestinationConfig": { "OnSuccess": {}, "OnFailure": { "Destination": role } } });
    let expected = config(&format!("onSuccess=OnSuccess(destination=null), onFailure=OnFailure(destination={role})"));
    assert_eq!(put(&api, "work", both).await.error(), expected);
}

#[tokio::test]
async fn functions_as_destinations_are_others_and_there() {
    let api = start().await;
    let with = |arn: &str| json!({ "DestinationConfig": { "OnFailure": { "Destination": arn } } });
    for arn in ["missing", "remote:missing", "helper:live"].map(|name| format!("{STEM}{name}")) {
        let message = format!("The destination ARN {arn} is invalid.");
        assert_eq!(put(&api, "work", with(&arn)).await.error(), invalid(&message));
    }
    let itself = "You can't specify the function as a destination for itself.";
    for (name, arn) in [("work", "work"), ("work", "work:live"), ("work:live", "work:$LATEST"), ("remote", "remote:1")]
    {
        assert_eq!(put(&api, name, with(&format!("{STEM}{arn}"))).await.error(), invalid(itself));
    }
    let other_account = "arn:aws:lambda:us-east-1:222222222222:function:remote";
    assert_eq!(put(&api, "remote", with(other_account)).await.status, 200);
    // The function is looked for first.
    assert_eq!(put(&api, "missing", with(other_account)).await.error(), missing("The function doesn't exist."));
}

#[tokio::test]
async fn what_is_no_arn_is_refused_with_awss_pattern() {
    let api = start().await;
    let pattern = r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";
    for (side, member) in [("OnSuccess", "onSuccess"), ("OnFailure", "onFailure")] {
        let fields = json!({ "DestinationConfig": { side: { "Destination": "reports" } } });
        let rest = format!(
            "Value 'reports' at 'destinationConfig.{member}.destination' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: {pattern}"
        );
        assert_eq!(put(&api, "work", fields.clone()).await.error(), constraint(&rest));
        assert_eq!(update(&api, "work", fields).await.error(), constraint(&rest));
    }
    let long = format!("arn:aws:sqs:us-east-1:111111111111:{}", "q".repeat(350));
    let fields = json!({ "DestinationConfig": { "OnFailure": { "Destination": long } } });
    let (_, _, body) = put(&api, "work", fields).await.error();
    let end = "failed to satisfy constraint: Member must have length less than or equal to 350";
    assert!(body["message"].as_str().unwrap().ends_with(end), "{body}");
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused() {
    let api = start().await;
    for (body, kind) in [
        (&b"{"[..], "invalidrequestcontentexception"),
        (b"\"\x87\"", "invalidrequestcontentexception"),
        (b"[]", "serializationexception"),
        (b"{\"MaximumRetryAttempts\": \"1\"}", "serializationexception"),
        (b"{\"MaximumRetryAttempts\": 1.5}", "serializationexception"),
        (b"{\"DestinationConfig\": []}", "serializationexception"),
        (b"{\"DestinationConfig\": {\"OnFailure\": 1}}", "serializationexception"),
        (b"{\"DestinationConfig\": {\"OnFailure\": {\"Destination\": 1}}}", "serializationexception"),
        (b"{\"MaximumRetries\": 1}", "invalidparametervalueexception"),
        (b"{\"DestinationConfig\": {\"OnTimeout\": {}}}", "invalidparametervalueexception"),
    ] {
        let answer = api.raw("PUT", &path("work"), "", body).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (400, kind), "{}", String::from_utf8_lossy(body));
    }
    let huge = vec![b' '; 6 * 1_024 * 1_024 + 1];
    assert_eq!(api.raw("PUT", &path("work"), "", &huge).await.status, 413);
    assert_eq!(get(&api, "work").await.error(), none("work:$LATEST"));
}
