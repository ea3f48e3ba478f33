//! Errors, word for word (spec 1.1, 12.1).
use serde_json::{Value, json};

use crate::support::{Api, MAPPINGS, QUEUE, STREAM, TABLE, of_a_file, queue, stream, with};

const INVALID: &str = "InvalidParameterValueException";
const UNKNOWN: &str = "ad9cff62-3f68-4a5e-8d2e-e2a4b5e8c9aa";

fn invalid(message: &str) -> (u16, String, Value) {
    (400, INVALID.to_lowercase(), json!({ "Type": "User", "message": message }))
}

fn constraint(rest: &str) -> (u16, String, Value) {
    (400, "validationexception".into(), json!({ "message": format!("1 validation error detected: {rest}") }))
}

#[tokio::test]
async fn creates_are_refused_in_awss_words_and_order() {
    let api = Api::start().await;
    let missing = json!({ "FunctionName": "missing" });
    let pattern = |text: &str| json!({ "FilterCriteria": { "Filters": [{ "Pattern": text }] } });
    let destination = "Unsupported DestinationConfig parameter for given event source mapping type.";
    let window = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
    let no_queue = "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS \
                    Error Message: The specified queue does not exist.";
    let no_position = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: \
                       Member must not be null.";
    let to_a_queue = json!({ "Destination": "arn:aws:sqs:us-east-1:111111111111:q" });
    let mut without_position = stream(json!({}));
    without_position.as_object_mut().unwrap().remove("StartingPosition");
    for (fields, message) in [
        (missing.clone(), "Unrecognized event source."),
        (with(missing.clone(), json!({ "EventSourceArn": "arn:aws:s3:::bucket" })), "Unrecognized event source."),
        (queue(missing.clone()), "Function does not exist"),
        (
            queue(with(missing.clone(), json!({ "EventSourceArn": format!("{QUEUE}-missing") }))),
            "Function does not exist",
        ),
        (queue(json!({ "EventSourceArn": format!("{QUEUE}-missing") })), no_queue),
        (
            stream(json!({ "EventSourceArn": format!("{STREAM}-missing") })),
            &format!("Stream not found: {STREAM}-missing"),
        ),
        (queue(with(missing.clone(), json!({ "DestinationConfig": { "OnSuccess": to_a_queue } }))), destination),
        (queue(json!({ "DestinationConfig": { "OnFailure": to_a_queue } })), destination),
        (stream(json!({ "DestinationConfig": { "OnSuccess": to_a_queue } })), destination),
        (queue(json!({ "BatchSize": 11 })), window),
        (without_position, no_position),
        (
            stream(json!({
                "EventSourceArn": TABLE, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1735689600,
            })),
            &format!("Unsupported starting position for arn type: {TABLE}"),
        ),
        (queue(pattern("null")), "Invalid filter pattern definition."),
        (queue(pattern("simple string")), "Invalid filter pattern definition."),
        (queue(pattern("{\"eventSource\": \"aws:sqs\"}")), "Invalid filter pattern definition."),
        (queue(pattern("{\"eventSource\": []}")), "Invalid filter pattern definition."),
        (queue(pattern("[{\"eventName\": [\"INSERT\"=123}]")), "Invalid filter pattern definition."),
        (queue(json!({ "StartingPosition": "LATEST" })), "StartingPosition is not valid for SQS event sources."),
        (
            queue(json!({ "MaximumRetryAttempts": 3 })),
            "Unsupported MaximumRetryAttempts parameter for given event source mapping type.",
        ),
        (queue(json!({ "VisibilityHeartbeat": true })), "VisibilityHeartbeat is no field of CreateEventSourceMapping."),
        (
            stream(json!({ "PollIntervalMilliseconds": 200 })),
            "PollIntervalMilliseconds is no field of CreateEventSourceMapping.",
        ),
        (
            stream(json!({ "DestinationConfig": { "OverflowBucket": "arn:aws:s3:::large" } })),
            "OverflowBucket is no field of DestinationConfig.",
        ),
        (
            queue(json!({ "ProvisionedPollerConfig": { "MinimumPollers": 1 } })),
            "ProvisionedPollerConfig is not supported by this version of Pelton: its pollers adapt to the queue by themselves",
        ),
        (queue(json!({ "Topics": ["t"] })), "Topics is for Kafka, which this version of Pelton does not read"),
        (
            queue(json!({ "EventSourceArn": format!("{QUEUE}.fifo"), "BatchSize": 11 })),
            "a FIFO queue allows batches of at most 10: write a whole number from 1 to 10",
        ),
    ] {
        assert_eq!(api.create(fields.clone()).await.error(), invalid(message), "{fields}");
    }
    assert_eq!(api.list("").await, json!({ "EventSourceMappings": [] }), "nothing was made");
}

#[tokio::test]
async fn ranges_are_told_as_awss_model_tells_them() {
    let api = Api::start().await;
    let position = "Value 'invalid' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value \
                    set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]";
    assert_eq!(api.create(stream(json!({ "StartingPosition": "invalid" }))).await.error(), constraint(position));
    for (field, value, member, rule) in [
        ("BatchSize", 0, "batchSize", "greater than or equal to 1"),
        ("BatchSize", 10_001, "batchSize", "less than or equal to 10000"),
        ("MaximumBatchingWindowInSeconds", 301, "maximumBatchingWindowInSeconds", "less than or equal to 300"),
        ("ParallelizationFactor", 11, "parallelizationFactor", "less than or equal to 10"),
        ("MaximumRecordAgeInSeconds", -2, "maximumRecordAgeInSeconds", "greater than or equal to -1"),
        ("MaximumRetryAttempts", 10_001, "maximumRetryAttempts", "less than or equal to 10000"),
        ("TumblingWindowInSeconds", 901, "tumblingWindowInSeconds", "less than or equal to 900"),
    ] {
        let expected =
            format!("Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {rule}");
        assert_eq!(api.create(stream(json!({ field: value }))).await.error(), constraint(&expected));
    }
    let concurrency = "Value '1' at 'scalingConfig.maximumConcurrency' failed to satisfy constraint: Member must have \
                       value greater than or equal to 2";
    let fields = queue(json!({ "ScalingConfig": { "MaximumConcurrency": 1 } }));
    assert_eq!(api.create(fields).await.error(), constraint(concurrency));
    let both = api.create(queue(json!({ "BatchSize": 0, "ScalingConfig": { "MaximumConcurrency": 1 } }))).await;
    let batch =
        "Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater than or equal to 1";
    assert_eq!(both.json()["message"], format!("2 validation errors detected: {batch}; {concurrency}"));
    let no_function = api.create(json!({ "EventSourceArn": QUEUE })).await;
    let expected = "Value null at 'functionName' failed to satisfy constraint: Member must not be null";
    assert_eq!(no_function.error(), constraint(expected));
}

#[tokio::test]
async fn a_second_mapping_of_the_same_source_and_function_is_refused() {
    let api = Api::start().await;
    for (fields, subject) in [
        (queue(json!({})), format!("An event source mapping with SQS arn (\" {QUEUE} \") and function (\" work \")")),
        (
            stream(json!({})),
            format!("The event source arn (\" {STREAM} \") and function (\" work \") provided mapping"),
        ),
    ] {
        let id = api.created(fields.clone()).await;
        let (status, kind, body) = api.create(fields.clone()).await.error();
        let message = format!("{subject} already exists. Please update or delete the existing mapping with UUID {id}");
        let expected = (409, "resourceconflictexception", json!({ "Type": "User", "message": message }));
        assert_eq!((status, kind.as_str(), body), expected);
        let other = api.created(with(fields, json!({ "FunctionName": "other" }))).await;
        let renamed = api.update(&other, json!({ "FunctionName": "work" })).await;
        assert_eq!((renamed.status, &renamed.json()["message"]), (409, &json!(message)));
    }
}

#[tokio::test]
async fn a_mapping_of_the_file_counts_and_is_left_to_the_file() {
    let api = Api::start().await;
    let mapping = of_a_file(queue(json!({ "Tags": { "team": "a" } })));
    let id = mapping.id.to_string();
    api.world.file.lock().unwrap().push(mapping);
    let duplicate = api.create(queue(json!({}))).await;
    assert_eq!(duplicate.status, 409);
    assert!(duplicate.text().contains(&id), "{duplicate:?}");
    assert_eq!(api.get(&id).await.json()["LastModified"], json!(1735689600.0));
    assert_eq!(api.list("").await["EventSourceMappings"][0]["UUID"], id);
    let tags = format!("/2017-03-31/tags/arn:aws:lambda:us-east-1:111111111111:event-source-mapping:{id}");
    assert_eq!(api.ask("GET", &tags, Value::Null).await.json(), json!({ "Tags": { "team": "a" } }));
    let refused = invalid(&format!(
        "The event source mapping {id} is written in /etc/pelton.yaml: change it there. Pelton reads the file again when \
         it is saved."
    ));
    assert_eq!(api.update(&id, json!({ "BatchSize": 1 })).await.error(), refused);
    assert_eq!(api.delete(&id).await.error(), refused);
    assert_eq!(api.ask("POST", &tags, json!({ "Tags": { "a": "b" } })).await.error(), refused);
    assert_eq!(api.ask("DELETE", &format!("{tags}?tagKeys=a"), Value::Null).await.error(), refused);
}

#[tokio::test]
async fn an_unknown_mapping_does_not_exist() {
    let api = Api::start().await;
    let body = json!({ "Type": "User", "Message": "The resource you requested does not exist." });
    let expected = (404, "resourcenotfoundexception".to_owned(), body);
    for id in [UNKNOWN, "x", "..%2f", "%ff"] {
        assert_eq!(api.get(id).await.error(), expected, "{id}");
        assert_eq!(api.update(id, json!({ "BatchSize": 1 })).await.error(), expected);
        assert_eq!(api.delete(id).await.error(), expected);
    }
}

#[tokio::test]
async fn updates_are_refused_as_creates_are() {
    let api = Api::start().await;
    let id = api.created(queue(json!({}))).await;
    let before = api.get(&id).await.json()["BatchSize"].clone();
    for (fields, message) in [
        (
            json!({ "BatchSize": 11 }),
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        (json!({ "FunctionName": "missing" }), "Function does not exist"),
        (
            json!({ "EventSourceArn": STREAM }),
            "EventSourceArn can't be changed: delete the mapping and create another one.",
        ),
        (
            json!({ "Tags": { "a": "b" } }),
            "Tags are no field of UpdateEventSourceMapping: use TagResource and UntagResource.",
        ),
        (json!({ "VisibilityHeartbeat": false }), "VisibilityHeartbeat is no field of UpdateEventSourceMapping."),
        (
            json!({ "ParallelizationFactor": 2 }),
            "Unsupported ParallelizationFactor parameter for given event source mapping type.",
        ),
    ] {
        assert_eq!(api.update(&id, fields).await.error(), invalid(message));
    }
    let range =
        "Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater than or equal to 1";
    assert_eq!(api.update(&id, json!({ "BatchSize": 0 })).await.error(), constraint(range));
    assert_eq!(api.get(&id).await.json()["BatchSize"], before);
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused() {
    let api = Api::start().await;
    for (body, kind) in [
        (&b"{\"FunctionName\": "[..], "invalidrequestcontentexception"),
        (b"\x87\x00", "invalidrequestcontentexception"),
        (b"[]", "serializationexception"),
        (b"{\"FunctionName\": {}, \"EventSourceArn\": []}", "serializationexception"),
        (b"{\"FunctionName\": \"f\", \"BatchSize\": \"ten\"}", "serializationexception"),
        (b"{\"FunctionName\": \"f\", \"BatchSize\": 1.5}", "serializationexception"),
        (b"{\"FunctionName\": \"f\", \"Enabled\": 3}", "serializationexception"),
        (b"{\"FunctionName\": \"f\", \"Tags\": [{\"Key\": \"a\", \"Value\": \"b\"}]}", "serializationexception"),
        (b"{\"FunctionName\": \"f\", \"FilterCriteria\": {\"Filters\": [null]}}", "serializationexception"),
    ] {
        let (status, found, _) = api.raw("POST", MAPPINGS, "", body).await.error();
        assert_eq!((status, found.as_str()), (400, kind), "{}", String::from_utf8_lossy(body));
    }
    let large = format!("{{\"FunctionName\": \"{}\"}}", "f".repeat(6 * 1024 * 1024));
    let (status, kind, body) = api.raw("POST", MAPPINGS, "", large.as_bytes()).await.error();
    assert_eq!((status, kind.as_str()), (413, "requesttoolargeexception"));
    assert_eq!(body, json!({ "Type": "User", "message": "Request must be smaller than 6291456 bytes" }));
    assert_eq!(api.create(queue(json!({}))).await.status, 202, "and it goes on");
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_a_service_error() {
    let api = Api::start().await;
    let arn = "arn:aws:lambda:us-east-1:111111111111:function:silent";
    let body = json!({ "Type": "Service", "Message": format!("{arn} can't be asked for") });
    let answer = api.create(queue(json!({ "FunctionName": "silent" }))).await.error();
    assert_eq!(answer, (503, "serviceexception".into(), body));
}

#[tokio::test]
async fn operations_that_lambda_does_not_have_are_unknown() {
    let api = Api::start().await;
    for (method, path) in [("PATCH", MAPPINGS.to_owned()), ("POST", format!("{MAPPINGS}/{UNKNOWN}"))] {
        let body = json!({ "message": format!("Lambda has no operation {method} {path}.") });
        let answer = api.ask(method, &path, Value::Null).await.error();
        assert_eq!(answer, (404, "unknownoperationexception".into(), body));
    }
}
