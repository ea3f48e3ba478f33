//! The Lambda Invoke API of a server that really executes functions.
#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Credentials;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime, State};
use bytes::Bytes;
use pelton_core::{Call, ErrorKind, InvokeError, Invoker as _, Response};
use pelton_invoke::LambdaInvoker;
use pelton_testkit::backend;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const CODE: &str = r#"
def handler(event, context):
    if "fail" in event:
        raise ValueError(event["fail"])
    if "size" in event:
        return "x" * event["size"]
    print("at work")
    return {"event": event, "request_id": context.aws_request_id}
"#;

async fn client() -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(backend::ministack())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    Client::new(&config)
}

/// A new function with a published version and the alias `live`.
async fn function(client: &Client) -> String {
    let name = format!("invoke-{}", Uuid::new_v4().simple());
    let code = FunctionCode::builder().zip_file(Blob::new(zip("app.py", CODE))).build();
    let function = client.create_function().function_name(&name).runtime(Runtime::Python312).handler("app.handler");
    function.role("arn:aws:iam::000000000000:role/any").code(code).send().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.get_function_configuration().function_name(&name).send().await.unwrap().state != Some(State::Active) {
        assert!(Instant::now() < deadline, "the function doesn't become active");
        sleep(Duration::from_millis(50)).await;
    }
    let version = client.publish_version().function_name(&name).send().await.unwrap().version.unwrap();
    client.create_alias().function_name(&name).name("live").function_version(version).send().await.unwrap();
    name
}

/// A ZIP archive of one file, stored as it is.
fn zip(name: &str, text: &str) -> Vec<u8> {
    let crc = text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    }) ^ u32::MAX;
    let (name_length, size) = (u16::try_from(name.len()).unwrap(), u32::try_from(text.len()).unwrap());
    let mut common = Vec::new();
    for field in [20u16, 0, 0, 0, 0x21] {
        common.extend_from_slice(&field.to_le_bytes());
    }
    for field in [crc, size, size] {
        common.extend_from_slice(&field.to_le_bytes());
    }
    common.extend_from_slice(&name_length.to_le_bytes());
    common.extend_from_slice(&0u16.to_le_bytes());

    let mut archive = [&b"PK\x03\x04"[..], &common, name.as_bytes(), text.as_bytes()].concat();
    let directory_start = u32::try_from(archive.len()).unwrap();
    // Version made by: Unix; permissions 0644 in the external attributes.
    archive.extend_from_slice(b"PK\x01\x02\x14\x03");
    archive.extend_from_slice(&common);
    archive.extend_from_slice(&[0; 6]);
    archive.extend_from_slice(&(0o100_644u32 << 16).to_le_bytes());
    archive.extend_from_slice(&0u32.to_le_bytes());
    archive.extend_from_slice(name.as_bytes());
    let directory_size = u32::try_from(archive.len()).unwrap() - directory_start;
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    archive.extend_from_slice(&directory_size.to_le_bytes());
    archive.extend_from_slice(&directory_start.to_le_bytes());
    archive.extend_from_slice(&0u16.to_le_bytes());
    archive
}

async fn invoke(invoker: &LambdaInvoker, name: &str, event: &'static str) -> Result<Response, InvokeError> {
    invoker.invoke(&name.parse().unwrap(), Bytes::from_static(event.as_bytes())).await
}

fn payload(response: &Response) -> Value {
    serde_json::from_slice(&response.payload).unwrap()
}

#[tokio::test]
async fn success_function_error_and_a_large_answer() {
    let client = client().await;
    let name = function(&client).await;
    let invoker = LambdaInvoker::new(client);

    let response = invoke(&invoker, &name, r#"{"Records":[]}"#).await.unwrap();
    assert_eq!((response.status_code, response.function_error.as_deref()), (200, None));
    assert_eq!(payload(&response)["event"], json!({"Records": []}));
    assert!(!response.request_id.is_empty());

    let response = invoke(&invoker, &name, r#"{"fail":"no stock"}"#).await.unwrap();
    assert_eq!((response.status_code, response.function_error.as_deref()), (200, Some("Unhandled")));
    // The type is the emulator's own.
    assert!(payload(&response)["errorMessage"].as_str().unwrap().contains("no stock"), "{response:?}");

    let response = invoke(&invoker, &name, r#"{"size":5000000}"#).await.unwrap();
    assert_eq!(response.payload.len(), 5_000_002);
}

#[tokio::test]
async fn the_log_comes_to_who_asks() {
    let client = client().await;
    let name = function(&client).await.parse().unwrap();
    let invoker = LambdaInvoker::new(client);
    let call = Call { wants_log: true, ..Call::with(Bytes::from_static(b"{}")) };
    let tail = invoker.call(&name, call).await.unwrap().log_tail.unwrap();
    assert!(String::from_utf8_lossy(&tail).contains("at work"), "{tail:?}");
}

#[tokio::test]
async fn every_form_of_the_name_finds_the_function() {
    let client = client().await;
    let name = function(&client).await;
    let invoker = LambdaInvoker::new(client);
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    for (written, version) in [
        (name.clone(), "$LATEST"),
        (format!("{name}:$LATEST"), "$LATEST"),
        (format!("{name}:1"), "1"),
        (format!("{name}:live"), "1"),
        (arn.clone(), "$LATEST"),
        (format!("{arn}:live"), "1"),
    ] {
        let response = invoke(&invoker, &written, "{}").await.unwrap();
        assert_eq!((response.function_error, response.executed_version.as_str()), (None, version), "{written}");
    }
}

#[tokio::test]
async fn a_function_that_is_missing_is_refused() {
    let invoker = LambdaInvoker::new(client().await);
    let error = invoke(&invoker, "no-such-function", "{}").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.starts_with("ResourceNotFoundException: "), "{error}");
}
