//! The tools that people use, with Pelton for their Lambda endpoint and a real backend behind it.
mod boto3;
mod cli;
mod compose;
mod javascript;
mod pages;
mod rust_sdk;
mod sam_cli;
mod signed;
mod templates;
mod terraform;

use std::time::Duration;

use aws_sdk_lambda::operation::get_event_source_mapping::GetEventSourceMappingOutput;
use aws_sdk_lambda::{Client, error::ProvideErrorMetadata};
use pelton_tests::{Backend, Function, Pelton};
use serde_json::{Value, json};
use tokio::process::Command;

/// The AWS SDK for Rust, with Pelton for its Lambda.
pub fn lambda(backend: &Backend, pelton: &Pelton) -> Client {
    let config = backend.config.clone().into_builder().endpoint_url(&pelton.url).build();
    Client::new(&config)
}

/// The state, as Terraform's waiters ask for it: any state that is neither pending nor the target fails the apply.
pub async fn waits(
    client: &Client,
    id: &str,
    pending: &[&str],
    targets: &[&str],
) -> Option<GetEventSourceMappingOutput> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let found = match client.get_event_source_mapping().uuid(id).send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                assert!(targets.is_empty(), "it is gone");
                return None;
            }
            Err(error) => panic!("{error:?}"),
        };
        let state = found.state().unwrap();
        if targets.contains(&state) {
            return Some(found);
        }
        assert!(pending.contains(&state), "{state} is neither in {pending:?} nor in {targets:?}");
        assert!(tokio::time::Instant::now() < deadline, "{state} for 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `work`, with two aliases, and nothing that is polled. What Lambda waits a minute for takes 0.6 s.
async fn start(backend: &Backend, function: &Function) -> Pelton {
    let mut entry = function.entry();
    entry["Aliases"] = json!(["live", "next"]);
    Pelton::run(json!({
        "Endpoint": backend.endpoint, "Functions": [entry], "AsyncInvocation": { "DelayScale": 0.01 },
    }))
    .await
}

/// A command with the caller's PATH, credentials, and Pelton's endpoint; nothing else of the caller's settings.
fn with_endpoint(mut command: Command, pelton: &Pelton) -> Command {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(pelton.folder());
    command.envs([
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_LAMBDA", pelton.url.as_str()),
    ]);
    command
}

/// Something of the Python tools' folder.
async fn tool(pelton: &Pelton, name: &str) -> Command {
    let bin = pelton_testkit::backend::aws_tools(&|_| {}).await.unwrap();
    with_endpoint(Command::new(bin.join(name)), pelton)
}

/// What a script prints, which must end well, as JSON.
async fn prints(mut script: Command) -> Value {
    let output = script.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The reports of two events of `work` that were sent one after the other: one that went well, and one that failed twice.
fn reported(records: &mut [Value], request_ids: &[&str; 2]) {
    records.sort_by_key(|record| record["requestContext"]["condition"].to_string());
    let found: Vec<[&Value; 3]> = records
        .iter()
        .map(|record| {
            let context = &record["requestContext"];
            [&context["condition"], &context["approximateInvokeCount"], &context["requestId"]]
        })
        .collect();
    let expected = json!([["RetriesExhausted", 2, request_ids[1]], ["Success", 1, request_ids[0]]]);
    assert_eq!(json!(found), expected);
}
