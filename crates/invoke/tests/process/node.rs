//! The Node runtime that Pelton carries.
use serde_json::json;

use crate::support::{Code, error, invoke, json as parse, result};

fn node(file: &str, text: &str, handler: &str) -> Code {
    Code::new("nodejs20.x", file, text, handler)
}

fn common(text: &str) -> Code {
    node("index.js", text, "index.handler")
}

#[tokio::test]
async fn every_form_of_handler_answers() {
    for (file, text, expected) in [
        ("index.js", "exports.handler = async (event) => ({ got: event.value })", json!({"got": 7})),
        ("index.mjs", "export const handler = async (event) => event.value + 1", json!(8)),
        ("index.cjs", "exports.handler = async (event) => event.value", json!(7)),
        ("index.js", "exports.handler = (event) => Promise.resolve(event.value)", json!(7)),
        ("index.js", "exports.handler = (event, context, callback) => callback(null, event.value)", json!(7)),
        (
            "index.js",
            "exports.handler = (event, context, callback) => { setTimeout(() => callback(null, event.value), 20) }",
            json!(7),
        ),
        (
            "index.js",
            "exports.handler = (event, context, callback) => {
                context.callbackWaitsForEmptyEventLoop = false
                setInterval(() => {}, 1000)
                callback(null, 'at once')
            }",
            json!("at once"),
        ),
        ("index.js", "exports.handler = (event, context) => context.succeed(event.value)", json!(7)),
        ("index.js", "exports.handler = async () => {}", json!(null)),
        ("index.js", "exports.handler = () => {}", json!(null)),
        ("index.js", "exports.handler = () => 'not a promise'", json!(null)),
        ("index.js", "exports.handler = () => new Promise(() => {})", json!(null)),
    ] {
        let code = node(file, text, "index.handler");
        let function = code.start().await;
        for _ in 0..2 {
            assert_eq!(result(&function, r#"{"value":7}"#).await, expected, "{file}: {text}");
        }
        assert_eq!(function.status().restarts, 0, "{text}");
    }
}

#[tokio::test]
async fn finds_modules_in_folders_and_by_package_type() {
    let code = node(
        "src/orders.js",
        "export const api = { handler: async () => import.meta.url.length > 0 }",
        "src/orders.api.handler",
    );
    code.write("package.json", r#"{"type":"module"}"#);
    assert_eq!(result(&code.start().await, "{}").await, true);
}

#[tokio::test]
async fn the_context_is_lambdas() {
    let code = common(
        "exports.handler = async (event, context) => ({ ...context, remaining: context.getRemainingTimeInMillis(),
            handler: process.env._HANDLER, environment: process.env.AWS_EXECUTION_ENV, directory: process.cwd() })",
    );
    let response = invoke(&code.start().await, "{}").await;
    let answer = parse(&response);
    assert_eq!(answer["awsRequestId"], response.request_id.as_str());
    assert_eq!(answer["invokedFunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:work");
    assert_eq!((&answer["functionName"], &answer["memoryLimitInMB"]), (&json!("work"), &json!("256")));
    assert_eq!(answer["environment"], "AWS_Lambda_nodejs20.x");
    assert_eq!(answer["directory"], code.path().canonicalize().unwrap().to_str().unwrap());
    assert!((1..=30_000).contains(&answer["remaining"].as_i64().unwrap()));
}

#[tokio::test]
async fn another_version_than_the_configured_one_runs_all_the_same() {
    let code = Code::new("nodejs99.x", "index.js", "exports.handler = async () => process.version", "index.handler");
    assert!(result(&code.start().await, "{}").await.as_str().unwrap().starts_with('v'));
}

#[tokio::test]
async fn errors_are_function_errors() {
    for (text, error_type, message) in [
        ("exports.handler = async () => { throw new TypeError('no stock') }", "TypeError", "no stock"),
        ("exports.handler = () => { throw new Error('no stock') }", "Error", "no stock"),
        (
            "exports.handler = (event, context, callback) => callback(new RangeError('no stock'))",
            "RangeError",
            "no stock",
        ),
        ("exports.handler = (event, context, callback) => callback('no stock')", "string", "no stock"),
        ("exports.handler = (event, context) => context.fail(new Error('no stock'))", "Error", "no stock"),
        ("exports.handler = async () => { throw null }", "object", "null"),
        (
            "exports.handler = async () => 1n",
            "Runtime.MarshalError",
            "Unable to stringify response body: Do not know how to serialize a BigInt",
        ),
    ] {
        let code = common(text);
        let function = code.start().await;
        for _ in 0..2 {
            let problem = error(&function, "{}").await;
            assert_eq!(
                (&problem["errorType"], &problem["errorMessage"]),
                (&json!(error_type), &json!(message)),
                "{text}"
            );
            assert!(problem["trace"].is_array());
        }
        assert_eq!(function.status().restarts, 0, "{text}");
    }
}

#[tokio::test]
async fn what_escapes_the_handler_ends_the_process() {
    for (text, error_type) in [
        (
            "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise(r => setTimeout(r, 5000)) }",
            "Runtime.UnhandledPromiseRejection",
        ),
        ("exports.handler = () => new Promise(() => setTimeout(() => { throw new Error('lost') }, 10))", "Error"),
    ] {
        let code = common(text);
        let function = code.start().await;
        let problem = error(&function, "{}").await;
        assert_eq!(problem["errorType"], error_type, "{problem}");
        assert!(problem["errorMessage"].as_str().unwrap().contains("lost"), "{problem}");
        error(&function, "{}").await;
        assert!(function.status().restarts >= 1);
    }
}

#[tokio::test]
async fn initialisation_errors_are_the_invocations() {
    for (text, handler, error_type, message) in [
        ("exports.handler = (", "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"),
        ("exports.other = 1", "index.handler", "Runtime.HandlerNotFound", "index.handler is undefined or not exported"),
        ("exports.handler = 1", "index.handler", "Runtime.HandlerNotFound", "index.handler is not a function"),
        ("", "other.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'other'"),
        ("require('no-such')", "index.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'no-such'"),
        ("", "index", "Runtime.MalformedHandlerName", "Bad handler 'index'"),
        ("throw new RangeError('no table')", "index.handler", "RangeError", "no table"),
    ] {
        let code = node("index.js", text, handler);
        let problem = error(&code.start().await, "{}").await;
        assert_eq!(problem["errorType"], error_type, "{problem}");
        assert!(problem["errorMessage"].as_str().unwrap().starts_with(message), "{problem}");
    }
}

#[tokio::test]
async fn large_answers_and_events() {
    let code =
        common("exports.handler = async (event) => typeof event === 'number' ? 'x'.repeat(event) : event.length");
    let function = code.start().await;
    assert_eq!(result(&function, "5000000").await.as_str().unwrap().len(), 5_000_000);
    assert_eq!(error(&function, "7000000").await["errorType"], "Function.ResponseSizeTooLarge");
    assert_eq!(result(&function, format!("\"{}\"", "x".repeat(6_000_000))).await, 6_000_000);
    assert_eq!(function.status().restarts, 0);
}
