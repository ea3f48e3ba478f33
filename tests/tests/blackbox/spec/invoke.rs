//! Invocations: the first row of section 9, and sections 12.4 and 13.
use pelton_tests::{Backend, Function, Pelton, on_ministack};
use serde_json::{Value, json};

use super::{Transcript, start};

const INVOKE: &str = "/2015-03-31/functions/work/invocations";
/// Lambda's limit of an answer.
const MOST: usize = 6_291_556;

async fn each_type_is_answered_as_awss(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    let waited = transcript.ask("POST", INVOKE, r#"{"id":1}"#).await;
    assert_eq!(waited.header("x-amz-executed-version"), "$LATEST");
    let event = transcript.ask_with("POST", INVOKE, &[("X-Amz-Invocation-Type", "Event")], "").await;
    assert_eq!(event.header("x-amz-executed-version"), "");
    let seen = function.is_done(2).await;
    assert_eq!(
        (&seen[1].event, seen[1].id.as_str()),
        (&json!({}), event.request_id()),
        "no payload is an empty object"
    );
    transcript.ask_with("POST", INVOKE, &[("X-Amz-Invocation-Type", "DryRun")], "{}").await;
    let asynchronous = transcript.ask("POST", "/2014-11-13/functions/work/invoke-async/", r#"{"id":2}"#).await;
    assert_eq!(asynchronous.status, 202);
    assert_eq!(function.is_done(3).await.len(), 3, "the dry run ran nothing");
    insta::assert_snapshot!(transcript.text);
}

async fn invocations_are_refused_in_awss_words(backend: Backend) {
    let (function, idle) = (Function::new(), Function::named("idle"));
    let mut never = idle.entry();
    never["ReservedConcurrentExecutions"] = json!(0);
    let pelton = Pelton::run(json!({ "Endpoint": backend.endpoint, "Functions": [function.entry(), never] })).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.ask("POST", "/2015-03-31/functions/idle/invocations", "{}").await;
    transcript.ask("POST", &format!("{INVOKE}?Qualifier=unknown"), "{}").await;
    let event = [("X-Amz-Invocation-Type", "Event")];
    transcript.ask_with("POST", "/2015-03-31/functions/missing/invocations", &event, "{}").await;
    transcript.ask("POST", INVOKE, b"\"a\x87\"").await;
    transcript.ask("POST", INVOKE, b"\x99").await;
    transcript.ask_with("POST", INVOKE, &event, b"\x99").await;
    transcript.ask_with("POST", INVOKE, &[("X-Amz-Invocation-Type", "Sometimes")], "{}").await;
    assert_eq!(function.seen().len() + idle.seen().len(), 0);
    insta::assert_snapshot!(transcript.text);
}

async fn functions_answer_as_awss(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let code = "def handler(event, context):
    if event.get('fail'):
        raise ValueError('told to fail')
    if 'size' in event:
        return 'x' * (event['size'] - 2)
    if event.get('length'):
        return len(event['text'])
";
    std::fs::write(folder.path().join("app.py"), code).unwrap();
    let entry = json!({
        "FunctionName": "work", "Runtime": "python3.x", "Handler": "app.handler", "CodeUri": folder.path(), "Timeout": 20,
    });
    let pelton = Pelton::run(json!({ "Endpoint": backend.endpoint, "Functions": [entry] })).await;
    let invoke = async |event: Value| pelton.invoke("work", &[], &event).await;
    let nothing = invoke(json!({})).await;
    assert_eq!((nothing.status, nothing.body.as_str()), (200, "null"));
    let failed = invoke(json!({ "fail": true })).await;
    assert_eq!((failed.status, failed.header("x-amz-function-error")), (200, "Unhandled"));
    let error = failed.json();
    let keys: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["errorMessage", "errorType", "requestId", "stackTrace"]);
    assert_eq!((&error["errorMessage"], &error["errorType"]), (&json!("told to fail"), &json!("ValueError")));
    assert_eq!(error["requestId"], failed.request_id());
    let large = invoke(json!({ "size": 6 * 1024 * 1024 })).await;
    assert_eq!((large.status, large.header("x-amz-function-error"), large.body.len()), (200, "", 6 * 1024 * 1024));
    let too_large = invoke(json!({ "size": MOST + 1 })).await;
    assert_eq!((too_large.status, too_large.header("x-amz-function-error")), (200, "Unhandled"));
    let text = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
    assert_eq!(too_large.json(), json!({ "errorType": "Function.ResponseSizeTooLarge", "errorMessage": text }));
    let given = invoke(json!({ "length": true, "text": "x".repeat(5_000_000) })).await;
    assert_eq!((given.status, given.body.as_str()), (200, "5000000"));
}

on_ministack!(each_type_is_answered_as_awss, invocations_are_refused_in_awss_words, functions_answer_as_awss);
