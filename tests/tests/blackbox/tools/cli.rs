//! The AWS CLI.
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pelton_tests::{Backend, Function, Pelton, body, eventually, on_ministack};
use serde_json::{Value, json};

use super::{start, tool};

/// What a command of `aws lambda` prints, or what it complains.
async fn aws(pelton: &Pelton, arguments: &[&str]) -> Result<Value, String> {
    let output = tool(pelton, "aws").await.arg("lambda").args(arguments).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true if text.trim().is_empty() => Ok(Value::Null),
        true => Ok(serde_json::from_str(&text).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

async fn cli_is(pelton: &Pelton, id: &str, state: &str) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let found = aws(pelton, &["get-event-source-mapping", "--uuid", id]).await.unwrap();
        if found["State"] == state {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{state}: {found}");
    }
}

async fn the_aws_cli_makes_changes_and_deletes_a_mapping(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let source = ["--event-source-arn", queue.arn.as_str()];
    let create =
        [&["create-event-source-mapping", "--function-name", "work", "--batch-size", "1"], &source[..]].concat();
    let created = aws(&pelton, &[&create[..], &["--tags", "team=a,stage=dev"]].concat()).await.unwrap();
    let id = created["UUID"].as_str().unwrap();
    assert_eq!((&created["State"], &created["BatchSize"]), (&json!("Creating"), &json!(1)));
    assert!(created["LastModified"].as_f64().is_some_and(|seconds| seconds > 1.7e9), "{created}");
    cli_is(&pelton, id, "Enabled").await;
    queue.send_all(["1", "2"].map(str::to_owned)).await;
    function.is_done(2).await;
    queue.is_drained().await;

    let again = aws(&pelton, &create).await.unwrap_err();
    let text = format!(
        "An error occurred (ResourceConflictException) when calling the CreateEventSourceMapping operation: An event \
         source mapping with SQS arn (\" {} \") and function (\" work \") already exists. Please update or delete the \
         existing mapping with UUID {id}",
        queue.arn
    );
    assert!(again.contains(&text), "{again}");
    let update = ["update-event-source-mapping", "--uuid", id, "--batch-size", "7"];
    let updated = aws(&pelton, &update).await.unwrap();
    assert_eq!((&updated["State"], &updated["BatchSize"]), (&json!("Updating"), &json!(7)));
    let found = cli_is(&pelton, id, "Enabled").await;
    let listed = aws(&pelton, &[&["list-event-source-mappings"], &source[..]].concat()).await.unwrap();
    assert_eq!(listed["EventSourceMappings"], json!([found]));

    let resource = ["--resource", created["EventSourceMappingArn"].as_str().unwrap()];
    aws(&pelton, &[&["tag-resource", "--tags", "stage=prod"], &resource[..]].concat()).await.unwrap();
    aws(&pelton, &[&["untag-resource", "--tag-keys", "team"], &resource[..]].concat()).await.unwrap();
    let tags = aws(&pelton, &[&["list-tags"], &resource[..]].concat()).await.unwrap();
    assert_eq!(tags, json!({ "Tags": { "stage": "prod" } }));

    let deleted = aws(&pelton, &["delete-event-source-mapping", "--uuid", id]).await.unwrap();
    assert_eq!(deleted["State"], "Deleting");
    let get = ["get-event-source-mapping", "--uuid", id];
    eventually("it is gone", || async { aws(&pelton, &get).await.is_err() }).await;
    let gone = aws(&pelton, &get).await.unwrap_err();
    let text = "An error occurred (ResourceNotFoundException) when calling the GetEventSourceMapping operation: The \
                resource you requested does not exist.";
    assert!(gone.contains(text), "{gone}");
    queue.send("nobody reads this").await;
    assert_eq!(pelton.get("/status").1, "[]");
    assert_eq!(queue.counts().await, (1, 0));
}

/// `aws lambda invoke`: what it prints, and what it wrote into its file.
async fn invoke(pelton: &Pelton, arguments: &[&str]) -> Result<(Value, String), String> {
    let file = pelton.folder().join("answer");
    let printed = aws(pelton, &[&["invoke"], arguments, &[file.to_str().unwrap()]].concat()).await?;
    Ok((printed, std::fs::read_to_string(file).unwrap()))
}

async fn the_aws_cli_invokes_in_all_types(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let work = ["--function-name", "work", "--payload"];
    let tail = [&work[..], &[r#"{"id": 1}"#, "--log-type", "Tail"]].concat();
    let (mut printed, answer) = invoke(&pelton, &tail).await.unwrap();
    assert_eq!(answer, r#"{"did": {"id": 1}}"#);
    let log = STANDARD.decode(printed["LogResult"].as_str().unwrap()).unwrap();
    let log = String::from_utf8(log).unwrap();
    let id = function.is_done(1).await[0].id.clone();
    assert!(log.starts_with(&format!("START RequestId: {id} Version: $LATEST\n")), "{log}");
    assert!(log.contains(&format!("REPORT RequestId: {id}\t")), "{log}");
    printed["LogResult"] = Value::Null;
    assert_eq!(printed, json!({ "StatusCode": 200, "ExecutedVersion": "$LATEST", "LogResult": null }));

    let fails = [&work[..], &[r#"{"do": "fail"}"#, "--invocation-type", "RequestResponse", "--qualifier", "live"]];
    let (printed, answer) = invoke(&pelton, &fails.concat()).await.unwrap();
    assert_eq!(printed, json!({ "StatusCode": 200, "ExecutedVersion": "$LATEST", "FunctionError": "Unhandled" }));
    assert!(answer.contains("told to fail"), "{answer}");
    let dry = [&work[..], &["{}", "--invocation-type", "DryRun"]].concat();
    assert_eq!(invoke(&pelton, &dry).await.unwrap(), (json!({ "StatusCode": 204 }), String::new()));
    let event = [&work[..], &[r#"{"id": 2}"#, "--invocation-type", "Event"]].concat();
    assert_eq!(invoke(&pelton, &event).await.unwrap(), (json!({ "StatusCode": 202 }), String::new()));
    let seen = function.is_done(3).await;
    assert_eq!((seen.len(), &seen[2].event), (3, &json!({ "id": 2 })));
    let accepted = [&["invoke-async", "--function-name", "work", "--invoke-args"], &["args.json"][..]].concat();
    std::fs::write(pelton.folder().join("args.json"), r#"{"id": 3}"#).unwrap();
    assert_eq!(aws(&pelton, &accepted).await.unwrap(), json!({ "Status": 202 }));
    assert_eq!(function.is_done(4).await[3].event, json!({ "id": 3 }));

    let missing = invoke(&pelton, &["--function-name", "missing", "--invocation-type", "Event"]).await.unwrap_err();
    let text = format!(
        "An error occurred (ResourceNotFoundException) when calling the Invoke operation: Function not found: {}:$LATEST",
        Backend::arn("lambda", "function:missing")
    );
    assert!(missing.contains(&text), "{missing}");
}

async fn the_aws_cli_sets_event_invoke_configs(backend: Backend) {
    let (function, failed) = (Function::new(), backend.queue(30).await);
    let pelton = start(&backend, &function).await;
    let work = ["--function-name", "work"];
    let config = async |command: &str, more: &[&str]| {
        let command = format!("{command}-function-event-invoke-config");
        aws(&pelton, &[&[command.as_str()][..], &work, more].concat()).await
    };
    let none = config("get", &[]).await.unwrap_err();
    let arn = Backend::arn("lambda", "function:work:$LATEST");
    assert!(none.contains(&format!("The function {arn} doesn't have an EventInvokeConfig")), "{none}");
    let to = json!({ "OnFailure": { "Destination": failed.arn } }).to_string();
    config("put", &["--maximum-retry-attempts", "0", "--destination-config", &to]).await.unwrap();
    let mut updated = config("update", &["--maximum-event-age-in-seconds", "3600"]).await.unwrap();
    assert!(updated["LastModified"].as_f64().is_some_and(|seconds| seconds > 1.7e9), "{updated}");
    assert_eq!(config("get", &[]).await.unwrap(), updated);
    updated["LastModified"] = Value::Null;
    let expected = json!({
        "LastModified": null, "FunctionArn": arn, "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 3600,
        "DestinationConfig": { "OnSuccess": {}, "OnFailure": { "Destination": failed.arn } },
    });
    assert_eq!(updated, expected);
    config("put", &["--qualifier", "live", "--maximum-retry-attempts", "1"]).await.unwrap();
    let list = [&["list-function-event-invoke-configs"], &work[..], &["--page-size", "1"]].concat();
    let listed = aws(&pelton, &list).await.unwrap();
    let configs = listed["FunctionEventInvokeConfigs"].as_array().unwrap();
    let retries: Vec<&Value> = configs.iter().map(|config| &config["MaximumRetryAttempts"]).collect();
    assert_eq!(json!(retries), json!([0, 1]));
    let wrong = config("put", &["--maximum-retry-attempts", "3"]).await.unwrap_err();
    let text = "1 validation error detected: Value '3' at 'maximumRetryAttempts' failed to satisfy constraint: Member \
                must have value less than or equal to 2";
    assert!(wrong.contains(text), "{wrong}");

    let event = ["--payload", r#"{"do": "fail"}"#, "--invocation-type", "Event"];
    invoke(&pelton, &[&work[..], &event].concat()).await.unwrap();
    let record = body(&failed.take(1).await[0]);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!((&record["requestContext"]["functionArn"], function.seen().len()), (&json!(arn), 1));
    for more in [&[][..], &["--qualifier", "live"]] {
        assert_eq!(config("delete", more).await.unwrap(), Value::Null);
        config("get", more).await.unwrap_err();
    }
    assert_eq!(aws(&pelton, &list).await.unwrap(), json!({ "FunctionEventInvokeConfigs": [] }));
}

async fn the_aws_cli_looks_at_local_functions_and_lets_others_use_them(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let work = ["--function-name", "work"];
    let on_work = async |command: &[&str]| aws(&pelton, &[command, &work].concat()).await;
    for waiter in
        ["function-exists", "function-active", "function-active-v2", "function-updated", "function-updated-v2"]
    {
        assert_eq!(on_work(&["wait", waiter]).await.unwrap(), Value::Null, "{waiter}");
    }
    let arn = Backend::arn("lambda", "function:work");
    let found = on_work(&["get-function"]).await.unwrap();
    assert_eq!((&found["Configuration"]["FunctionArn"], &found["Code"]), (&json!(arn), &json!({})));
    assert_eq!(on_work(&["get-function-configuration"]).await.unwrap(), found["Configuration"]);
    let listed = aws(&pelton, &["list-functions", "--query", "Functions[0].FunctionName"]).await.unwrap();
    assert_eq!(listed, "work");
    let versions = on_work(&["list-versions-by-function", "--query", "Versions[].Version"]).await.unwrap();
    assert_eq!(versions, json!(["$LATEST"]));
    assert_eq!(on_work(&["list-aliases", "--query", "Aliases[].Name"]).await.unwrap(), json!(["live", "next"]));

    let permission = ["--statement-id", "sns", "--action", "lambda:InvokeFunction"];
    let principal = ["--principal", "sns.amazonaws.com", "--source-account", "000000000000"];
    let added = on_work(&[&["add-permission"], &permission[..], &principal].concat()).await.unwrap();
    let statement: Value = serde_json::from_str(added["Statement"].as_str().unwrap()).unwrap();
    let expected = json!({
        "Sid": "sns", "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "lambda:InvokeFunction", "Resource": arn,
        "Condition": { "StringEquals": { "AWS:SourceAccount": "000000000000" } },
    });
    assert_eq!(statement, expected);
    let policy = on_work(&["get-policy"]).await.unwrap();
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"], json!([expected]));
    let again = on_work(&[&["add-permission"], &permission[..], &principal].concat()).await.unwrap_err();
    assert!(again.contains("(ResourceConflictException)"), "{again}");
    assert_eq!(on_work(&["remove-permission", "--statement-id", "sns"]).await.unwrap(), Value::Null);
    let gone = on_work(&["get-policy"]).await.unwrap_err();
    assert!(gone.contains("(ResourceNotFoundException)"), "{gone}");
    let refused = on_work(&["delete-function"]).await.unwrap_err();
    assert!(refused.contains("pelton.yaml"), "{refused}");
}

on_ministack!(
    the_aws_cli_makes_changes_and_deletes_a_mapping,
    the_aws_cli_invokes_in_all_types,
    the_aws_cli_sets_event_invoke_configs,
    the_aws_cli_looks_at_local_functions_and_lets_others_use_them,
);
