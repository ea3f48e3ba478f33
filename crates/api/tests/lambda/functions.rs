//! Local functions as Lambda shows them, and that the API doesn't change them.
use std::sync::Arc;

use pelton_testkit::FakeInvoker;
use serde_json::{Value, json};

use crate::support::Api;
use crate::upstream::Scripted;

const FUNCTIONS: &str = "/2015-03-31/functions";
const WORK: &str = "arn:aws:lambda:us-east-1:111111111111:function:work";

async fn with_locals() -> Api {
    let api = Api::start().await;
    api.world.add_local("work", &["live", "beta", "1st"], Arc::new(FakeInvoker::scripted([])));
    api
}

async fn get(api: &Api, path: &str) -> Value {
    let answer = api.ask("GET", path, Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-amzn-requestid").is_some_and(|id| id.len() == 36));
    answer.json()
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// What is shown of `work`, without its revision.
fn work(arn: &str) -> Value {
    json!({
        "FunctionName": "work",
        "FunctionArn": arn,
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::111111111111:role/work",
        "CodeSize": 0,
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "CodeSha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "Version": "$LATEST",
        "TracingConfig": { "Mode": "PassThrough" },
        "PackageType": "Zip",
        "Architectures": [architecture()],
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": "/aws/lambda/work" },
        "Handler": "app.handler",
        "LastModified": "2025-01-01T00:00:00.000+0000",
    })
}

/// Takes the revision out, which must be an id.
fn revision(shown: &mut Value) -> String {
    let id = shown.as_object_mut().unwrap().remove("RevisionId").expect("a revision");
    let id = id.as_str().unwrap().to_owned();
    assert_eq!(id.len(), 36, "{id}");
    id
}

#[tokio::test]
async fn a_local_function_is_shown_under_the_name_it_was_asked_for() {
    let api = with_locals().await;
    let mut revisions = Vec::new();
    for (name, arn) in [
        ("work", WORK.to_owned()),
        ("work/", WORK.to_owned()),
        ("function:work", WORK.to_owned()),
        ("work:live", format!("{WORK}:live")),
        ("work%3A%24LATEST", format!("{WORK}:$LATEST")),
        ("work?Qualifier=live", format!("{WORK}:live")),
        ("arn%3Aaws%3Alambda%3Aus-east-1%3A222222222222%3Afunction%3Awork%3Abeta", format!("{WORK}:beta")),
    ] {
        let mut expected = work(&arn);
        expected["State"] = json!("Active");
        expected["LastUpdateStatus"] = json!("Successful");
        let path = match name.split_once('?') {
            Some((name, query)) => format!("{FUNCTIONS}/{name}/configuration?{query}"),
            None => format!("{FUNCTIONS}/{}/configuration", name.trim_end_matches('/')),
        };
        let mut configuration = get(&api, &path).await;
        let mut function = get(&api, &format!("{FUNCTIONS}/{name}")).await;
        revisions.push(revision(&mut configuration));
        revisions.push(revision(&mut function["Configuration"]));
        assert_eq!(configuration, expected, "{name}");
        assert_eq!(function, json!({ "Configuration": expected, "Code": {} }), "{name}");
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 1, "{revisions:?}");
}

#[tokio::test]
async fn no_answer_holds_the_environment_or_any_value_of_it() {
    let api = with_locals().await;
    api.world.locals.lock().unwrap()[0].settings.environment.insert("PASSWORD".into(), "hunter2".into());
    for path in ["/work", "/work/configuration", "/work/versions", "/work/aliases", "/work/aliases/live", ""] {
        let text = api.ask("GET", &format!("{FUNCTIONS}{path}"), Value::Null).await.text();
        for secret in ["Environment", "PASSWORD", "hunter2", "STAGE"] {
            assert!(!text.contains(secret), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn what_a_function_has_or_lacks_is_shown() {
    let api = with_locals().await;
    {
        let mut locals = api.world.locals.lock().unwrap();
        let settings = &mut locals[0].settings;
        (settings.runtime, settings.handler) = (None, None);
        settings.reserved_concurrency = Some(0);
        settings.dead_letter_queue = Some("arn:aws:sqs:us-east-1:111111111111:dead".parse().unwrap());
        settings.last_modified = "2025-11-24T23:11:12.123456Z".parse().unwrap();
    }
    let shown = get(&api, &format!("{FUNCTIONS}/work")).await;
    assert_eq!(shown["Concurrency"], json!({ "ReservedConcurrentExecutions": 0 }));
    let configuration = &shown["Configuration"];
    assert_eq!(configuration["Runtime"], "provided.al2023");
    assert_eq!(configuration.get("Handler"), None);
    assert_eq!(configuration["LastModified"], "2025-11-24T23:11:12.123+0000");
    assert_eq!(configuration["DeadLetterConfig"], json!({ "TargetArn": "arn:aws:sqs:us-east-1:111111111111:dead" }));
    let concurrency = "/2019-09-30/functions/work/concurrency";
    assert_eq!(get(&api, concurrency).await, json!({ "ReservedConcurrentExecutions": 0 }));
    api.world.locals.lock().unwrap()[0].settings.reserved_concurrency = None;
    assert_eq!(get(&api, concurrency).await, json!({}));
    assert_eq!(get(&api, "/2020-06-30/functions/work/code-signing-config").await, json!({}));
}

#[tokio::test]
async fn a_revision_changes_with_what_is_shown_and_outlives_the_process() {
    let ask = async |memory: u32| {
        let api = with_locals().await;
        api.world.locals.lock().unwrap()[0].settings.memory_size = memory;
        revision(&mut get(&api, &format!("{FUNCTIONS}/work/configuration")).await)
    };
    let first = ask(128).await;
    assert_eq!(ask(128).await, first);
    assert_ne!(ask(256).await, first);
}

#[tokio::test]
async fn versions_and_aliases_are_listed() {
    let api = with_locals().await;
    let mut versions = get(&api, &format!("{FUNCTIONS}/work/versions?MaxItems=1")).await;
    revision(&mut versions["Versions"][0]);
    assert_eq!(versions, json!({ "Versions": [work(&format!("{WORK}:$LATEST"))] }));

    let alias = |name: &str| json!({ "AliasArn": format!("{WORK}:{name}"), "Name": name, "FunctionVersion": "$LATEST", "Description": "" });
    let list = async |query: &str| {
        let mut page = get(&api, &format!("{FUNCTIONS}/work/aliases{query}")).await;
        for alias in page["Aliases"].as_array_mut().unwrap() {
            revision(alias);
        }
        page
    };
    let all = json!({ "Aliases": [alias("1st"), alias("beta"), alias("live")] });
    assert_eq!(list("").await, all);
    assert_eq!(list("?FunctionVersion=%24LATEST").await, all);
    assert_eq!(list("?FunctionVersion=7").await, json!({ "Aliases": [] }));
    let first = json!({ "NextMarker": "beta", "Aliases": [alias("1st"), alias("beta")] });
    assert_eq!(list("?MaxItems=2").await, first);
    assert_eq!(list("?MaxItems=2&Marker=beta").await, json!({ "Aliases": [alias("live")] }));
    let mut one = get(&api, &format!("{FUNCTIONS}/work/aliases/live")).await;
    let mut other = get(&api, &format!("{FUNCTIONS}/work/aliases/beta")).await;
    assert_ne!(revision(&mut one), revision(&mut other));
    assert_eq!(one, alias("live"));
}

#[tokio::test]
async fn what_is_not_there_is_said_in_awss_words() {
    let api = with_locals().await;
    let not_found =
        |message: String| (404, "resourcenotfoundexception".to_owned(), json!({ "Type": "User", "Message": message }));
    for path in ["work?Qualifier=7", "work/configuration?Qualifier=7", "work:7", "work%3A7/configuration"] {
        let answer = api.ask("GET", &format!("{FUNCTIONS}/{path}"), Value::Null).await;
        assert_eq!(answer.error(), not_found(format!("Function not found: {WORK}:7")), "{path}");
    }
    let answer = api.ask("GET", &format!("{FUNCTIONS}/work/aliases/other"), Value::Null).await;
    assert_eq!(answer.error(), not_found(format!("Cannot find alias arn: {WORK}:other")));
    let elsewhere = "arn:aws:lambda:eu-west-1:111111111111:function:work";
    let answer = api.ask("GET", &format!("{FUNCTIONS}/{elsewhere}"), Value::Null).await;
    let message = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')";
    assert_eq!(answer.error(), not_found(message.into()));
}

#[tokio::test]
async fn what_cannot_be_is_refused_as_awss_model_refuses_it() {
    let api = with_locals().await;
    let at_least = "Member must have value greater than or equal to 1";
    for (path, value, member, constraint) in [
        ("work/aliases/7", "7", "name", "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"),
        (
            "work/aliases?FunctionVersion=x",
            "x",
            "functionVersion",
            r"Member must satisfy regular expression pattern: (\$LATEST(\.PUBLISHED)?|[0-9]+)",
        ),
        ("work/aliases?MaxItems=0", "0", "maxItems", at_least),
        ("work/versions?MaxItems=0", "0", "maxItems", at_least),
        ("?MaxItems=10001", "10001", "maxItems", "Member must have value less than or equal to 10000"),
        ("?FunctionVersion=1", "1", "functionVersion", "Member must satisfy enum value set: [ALL]"),
        (
            "work?Qualifier=a.b",
            "a.b",
            "qualifier",
            r"Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
        ),
    ] {
        let path = if path.starts_with('?') { format!("{FUNCTIONS}{path}") } else { format!("{FUNCTIONS}/{path}") };
        let message = format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        );
        let expected = (400, "validationexception".to_owned(), json!({ "message": message }));
        assert_eq!(api.ask("GET", &path, Value::Null).await.error(), expected, "{path}");
    }
    let answer = api.ask("GET", &format!("{FUNCTIONS}/work/versions?Marker=x"), Value::Null).await;
    assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some("Invalid value for Marker.")));
}

#[tokio::test]
async fn a_local_function_has_no_tags() {
    let api = with_locals().await;
    let path = |arn: &str| format!("/2017-03-31/tags/{}", arn.replace(':', "%3A"));
    assert_eq!(get(&api, &path(WORK)).await, json!({ "Tags": {} }));
    for (method, query, operation) in [("POST", "", "TagResource"), ("DELETE", "?tagKeys=a", "UntagResource")] {
        let answer = api.ask(method, &format!("{}{query}", path(WORK)), json!({ "Tags": { "a": "b" } })).await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (400, Some("invalidparametervalueexception")));
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(operation) && message.contains("/etc/pelton.yaml"), "{message}");
    }
    let answer = api.ask("GET", &path(&format!("{WORK}:live")), Value::Null).await;
    let message = "Tags on function aliases and versions are not supported. Please specify a function ARN.";
    assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(message)));
}

/// The upstream may have a function of the same name, which is not to be changed in the local one's place.
#[tokio::test]
async fn nothing_changes_a_local_function_and_nothing_of_it_is_passed_on() {
    let api = with_locals().await;
    let upstream = Scripted::of(&api, vec![(200, "{}".into()); 40]).await;
    for (method, path, operation) in [
        ("DELETE", "/2015-03-31/functions/work", "DeleteFunction"),
        ("DELETE", "/2015-03-31/functions/work:live", "DeleteFunction"),
        ("PUT", "/2015-03-31/functions/work/configuration", "UpdateFunctionConfiguration"),
        ("PUT", "/2015-03-31/functions/work/code", "UpdateFunctionCode"),
        ("POST", "/2015-03-31/functions/work/versions", "PublishVersion"),
        ("POST", "/2015-03-31/functions/work/aliases", "CreateAlias"),
        ("PUT", "/2015-03-31/functions/work/aliases/live", "UpdateAlias"),
        ("DELETE", "/2015-03-31/functions/work/aliases/live", "DeleteAlias"),
        ("PUT", "/2017-10-31/functions/work/concurrency", "PutFunctionConcurrency"),
        ("DELETE", "/2017-10-31/functions/work/concurrency/", "DeleteFunctionConcurrency"),
        ("PUT", "/2019-09-30/functions/work/provisioned-concurrency?Qualifier=live", "PutProvisionedConcurrencyConfig"),
        ("GET", "/2019-09-30/functions/work/provisioned-concurrency?List=ALL", "GetProvisionedConcurrencyConfig"),
        ("DELETE", "/2019-09-30/functions/work/provisioned-concurrency", "DeleteProvisionedConcurrencyConfig"),
        ("PUT", "/2020-06-30/functions/work/code-signing-config", "PutFunctionCodeSigningConfig"),
        ("DELETE", "/2020-06-30/functions/work/code-signing-config", "DeleteFunctionCodeSigningConfig"),
        ("PUT", "/2021-07-20/functions/work/runtime-management-config", "PutRuntimeManagementConfig"),
        ("POST", "/2021-10-31/functions/work/url", "CreateFunctionUrlConfig"),
        ("GET", "/2021-10-31/functions/work/urls", "ListFunctionUrlConfigs"),
        ("POST", "/2021-11-15/functions/work/response-streaming-invocations", "InvokeWithResponseStream"),
        ("PUT", "/2024-08-31/functions/work/recursion-config", "PutFunctionRecursionConfig"),
        ("PUT", "/2025-11-30/functions/work/function-scaling-config", "PutFunctionScalingConfig"),
        ("GET", "/2025-12-01/functions/work/durable-executions", "ListDurableExecutionsByFunction"),
    ] {
        let message = format!(
            "{operation} is not possible for the function work, which Pelton runs itself: what it is and has is written \
             in /etc/pelton.yaml. Change it there. Pelton reads the file again when it is saved."
        );
        let body = json!({ "Type": "User", "message": message });
        let expected = (400, "invalidparametervalueexception".to_owned(), body);
        assert_eq!(api.ask(method, path, json!({})).await.error(), expected, "{method} {path}");
    }
    for (method, path) in [
        ("PATCH", "/2015-03-31/functions/work"),
        ("GET", "/2015-03-31/functions/work/invocations"),
        ("POST", "/2099-12-31/functions/work/what-is-to-come"),
        ("GET", "/2014-11-13/functions/work"),
    ] {
        let (status, kind, body) = api.ask(method, path, json!({})).await.error();
        assert_eq!((status, kind.as_str()), (404, "unknownoperationexception"));
        assert_eq!(body, json!({ "message": format!("Lambda has no operation {method} {path}.") }));
    }
    assert_eq!(upstream.asked(), Vec::<String>::new());
    assert_eq!(api.ask("DELETE", "/2015-03-31/functions/other", Value::Null).await.status, 200);
    assert_eq!(upstream.lines(), ["DELETE /2015-03-31/functions/other"]);
}

#[tokio::test]
async fn no_function_is_made_in_the_shadow_of_a_local_one() {
    let api = with_locals().await;
    let upstream = Scripted::of(&api, vec![(201, "{\"made\":1}".into()); 3]).await;
    let code = "x".repeat(7_000_000);
    for name in ["work", "function:work", WORK, "222222222222:function:work"] {
        let body = json!({ "Code": { "ZipFile": code }, "FunctionName": name });
        let body_of_error = json!({ "Type": "User", "message": "Function already exist: work" });
        let expected = (409, "resourceconflictexception".to_owned(), body_of_error);
        assert_eq!(api.ask("POST", FUNCTIONS, body).await.error(), expected, "{name}");
    }
    assert_eq!(upstream.asked(), Vec::<String>::new());
    let bodies = [json!({ "FunctionName": "other", "Code": {} }).to_string(), "{\"no json".into(), "[]".into()];
    for body in &bodies {
        let answer = api.raw("POST", FUNCTIONS, "x-mine: 1\r\n", body.as_bytes()).await;
        assert_eq!((answer.status, answer.text().as_str()), (201, "{\"made\":1}"));
    }
    let asked = upstream.asked();
    assert_eq!(asked.len(), 3);
    for (request, body) in asked.iter().zip(&bodies) {
        assert!(request.starts_with(&format!("POST {FUNCTIONS} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains("x-mine: 1\r\n") && request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
    }
}
