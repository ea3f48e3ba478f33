//! What a caller sends beside the event, as the function sees it.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use pelton_core::{Call, ErrorKind};
use pelton_testkit::backend;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Code, json as parse, result, try_call};

const PYTHON: &str = r#"
import os

def handler(event, context):
    sent = context.client_context
    client = sent and sent.client
    return {
        "request_id": context.aws_request_id,
        "trace": os.environ["_X_AMZN_TRACE_ID"],
        "custom": sent and sent.custom,
        "env": sent and sent.env,
        "client": client and [client.installation_id, client.app_title, client.app_package_name],
        "has_context": sent is not None,
    }
"#;

const NODE: &str = r#"
exports.handler = async (event, context) => ({
  request_id: context.awsRequestId,
  trace: process.env._X_AMZN_TRACE_ID,
  custom: context.clientContext?.custom ?? null,
  env: context.clientContext?.env ?? null,
  client: context.clientContext?.client
    ? ["installation_id", "app_title", "app_package_name"].map((key) => context.clientContext.client[key] ?? null)
    : null,
  has_context: context.clientContext !== undefined,
})
"#;

/// The same function on every runtime client.
async fn functions() -> Vec<(&'static str, Code)> {
    let python = backend::awslambdaric(&|_| {}).await.unwrap();
    let aws = Code::command(&[python.to_str().unwrap(), "-m", "awslambdaric", "app.handler"]);
    aws.write("app.py", PYTHON);
    vec![
        ("python", Code::python(PYTHON)),
        ("node", Code::new("nodejs20.x", "index.js", NODE, "index.handler")),
        ("awslambdaric", aws),
    ]
}

fn with_context(context: &str) -> Call {
    Call { client_context: Some(BASE64.encode(context)), ..Call::with(Bytes::from_static(b"{}")) }
}

#[tokio::test]
async fn request_id_trace_and_client_context_reach_the_function() {
    for (runtime, code) in functions().await {
        let function = code.start().await;
        let request_id = Uuid::new_v4();
        let trace = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:fc3b4ff1:2";
        let context = json!({
            "client": {"installation_id": "i-1", "app_title": "größe 😀"},
            "custom": {"tenant": "a\nb", "deep": {"n": [1.5]}},
            "env": {"locale": "de"},
        });
        let call = Call {
            request_id: Some(request_id),
            trace_header: Some(trace.into()),
            ..with_context(&serde_json::to_string_pretty(&context).unwrap())
        };
        // Two attempts of one event.
        for call in [call.clone(), call] {
            let response = try_call(&function, call).await.unwrap();
            assert_eq!(response.request_id, request_id.to_string(), "{runtime}");
            assert_eq!(
                parse(&response),
                json!({
                    "request_id": request_id.to_string(),
                    "trace": trace,
                    "custom": context["custom"],
                    "env": context["env"],
                    "client": ["i-1", "größe 😀", null],
                    "has_context": true,
                }),
                "{runtime}"
            );
        }
        let parts = parse(&try_call(&function, with_context("{}")).await.unwrap());
        assert_eq!(
            [&parts["custom"], &parts["client"], &parts["has_context"]],
            [&Value::Null, &Value::Null, &json!(true)],
            "{runtime}"
        );

        let plain = result(&function, "{}").await;
        assert_eq!(plain["has_context"], false, "{runtime}: nothing of the last call is left");
        assert_ne!(plain["request_id"], request_id.to_string(), "{runtime}");
        let new_trace = plain["trace"].as_str().unwrap();
        assert!(new_trace.starts_with("Root=1-") && new_trace != trace, "{runtime}: {new_trace}");
    }
}

#[tokio::test]
async fn a_trace_header_that_is_none_begins_a_trace() {
    let function = Code::python(PYTHON).start().await;
    for header in ["", "no trace", "Root=1-2\r\nX: y", "Root=é"] {
        let call = Call { trace_header: Some(header.into()), ..Call::with(Bytes::from_static(b"{}")) };
        let answer = parse(&try_call(&function, call).await.unwrap());
        assert!(answer["trace"].as_str().unwrap().starts_with("Root=1-"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_context_that_is_none_is_refused() {
    let function = Code::python(PYTHON).start().await;
    for context in ["not Base64", "e30", &BASE64.encode("[1]"), &BASE64.encode("no json")] {
        let call = Call { client_context: Some(context.into()), ..Call::with(Bytes::from_static(b"{}")) };
        let error = try_call(&function, call).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Payload);
        assert_eq!(error.message, "Client context must be a valid Base64-encoded JSON object.");
    }
}
