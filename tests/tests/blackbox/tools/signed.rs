//! The same tools where Pelton asks for signatures: each signs in its own way, and a wrong secret lets nobody in.
use aws_sdk_lambda::config::Credentials;
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::primitives::Blob;
use pelton_tests::{Backend, Function, Pelton, javascript, on_ministack};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{lambda, tool, with_endpoint};

const ID: &str = "AKIAEXAMPLEEXAMPLE01";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided.";

const PYTHON: &str = r#"
import boto3, json
client = boto3.client("lambda")
answer = client.invoke(FunctionName="arn:aws:lambda:us-east-1:000000000000:function:work:live", Payload=b'{"id": 1}')
pages = client.get_paginator("list_event_source_mappings").paginate(FunctionName="work")
print(json.dumps([json.load(answer["Payload"]), [page["EventSourceMappings"] for page in pages]]))
"#;
const NODE: &str = r#"
import { InvokeCommand, LambdaClient, ListEventSourceMappingsCommand } from "@aws-sdk/client-lambda";
const client = new LambdaClient({});
const answer = await client.send(new InvokeCommand({
  FunctionName: "arn:aws:lambda:us-east-1:000000000000:function:work:live", Payload: JSON.stringify({ id: 1 }),
}));
const listed = await client.send(new ListEventSourceMappingsCommand({ FunctionName: "work" }));
console.log(JSON.stringify([JSON.parse(answer.Payload.transformToString()), [listed.EventSourceMappings]]));
"#;

async fn start(backend: &Backend, function: &Function) -> Pelton {
    let mut entry = function.entry();
    entry["Aliases"] = json!(["live"]);
    let key = json!({ "AccessKeyId": ID, "SecretAccessKey": SECRET });
    Pelton::run(json!({
        "Endpoint": backend.endpoint, "Functions": [entry], "Authentication": { "AccessKeys": [key] },
    }))
    .await
}

/// Output and errors of a command that signs with a secret.
async fn signing(mut command: Command, secret: &str) -> (bool, String, String) {
    let output = command.env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", secret).output().await.unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), stdout, stderr)
}

async fn each_tools_signature_is_good_and_a_wrong_one_is_not(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let node = async || {
        let mut node = Command::new("node");
        node.args(["--input-type=module", "--eval", NODE]);
        let mut node = with_endpoint(node, &pelton);
        node.current_dir(javascript().await);
        node
    };
    let python = async || {
        let mut python = tool(&pelton, "python").await;
        python.args(["-c", PYTHON]);
        python
    };
    let (aws, ours) = (
        async || {
            let mut aws = tool(&pelton, "aws").await;
            aws.args(["lambda", "invoke", "--function-name", "work:live", "--payload", r#"{"id": 1}"#, "answer.json"]);
            aws
        },
        || {
            let mut ours = with_endpoint(Command::new(pelton_tests::binary()), &pelton);
            ours.args(["invoke", "work", "--qualifier", "live", "--payload", r#"{"id": 1}"#, "--url", &pelton.url]);
            ours
        },
    );
    for (command, wrong) in [(node().await, node().await), (python().await, python().await)] {
        let (is_good, stdout, stderr) = signing(command, SECRET).await;
        assert!(is_good, "{stderr}");
        assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap(), json!([{ "did": { "id": 1 } }, [[]]]));
        let (is_good, _, stderr) = signing(wrong, "guessed").await;
        assert!(!is_good && stderr.contains(MISMATCH), "{stderr}");
    }
    let (is_good, _, stderr) = signing(aws().await, SECRET).await;
    assert!(is_good, "{stderr}");
    assert_eq!(std::fs::read_to_string(pelton.folder().join("answer.json")).unwrap(), r#"{"did": {"id": 1}}"#);
    let (is_good, _, stderr) = signing(aws().await, "guessed").await;
    assert!(!is_good && stderr.contains("InvalidSignatureException") && stderr.contains(MISMATCH), "{stderr}");
    let (is_good, stdout, stderr) = signing(ours(), SECRET).await;
    assert!(is_good && stdout.contains("did"), "{stderr}");
    let (is_good, _, stderr) = signing(ours(), "guessed").await;
    assert!(!is_good && stderr.contains(MISMATCH), "{stderr}");
    assert_eq!(function.is_done(4).await.len(), 4);

    let client = lambda(&backend, &pelton);
    let config = |secret: &str| {
        let credentials = Credentials::new(ID, secret, None, None, "test");
        client.config().to_builder().credentials_provider(credentials).build()
    };
    let client = aws_sdk_lambda::Client::from_conf(config(SECRET));
    let invoke = client.invoke().function_name("work").payload(Blob::new("{}"));
    assert_eq!(invoke.clone().send().await.unwrap().status_code(), 200);
    let wrong = aws_sdk_lambda::Client::from_conf(config("guessed"));
    let error = wrong.list_functions().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
    assert!(error.message().unwrap().starts_with(MISMATCH));
    let unsigned = pelton.invoke("work", &[], &json!({})).await;
    let expected = json!({ "message": "Missing Authentication Token" });
    assert_eq!(unsigned.refusal(), (403, "MissingAuthenticationTokenException", expected));

    // What is passed on is checked too, and arrives.
    let name = Backend::name("function");
    backend.create_function(&name, "def handler(event, context):\n    return event\n").await;
    let found = client.get_function().function_name(&name).send().await.unwrap();
    assert_eq!(found.configuration().unwrap().function_name(), Some(name.as_str()));
    assert!(!pelton.log().contains(SECRET), "no secret in the log");
}

on_ministack!(each_tools_signature_is_good_and_a_wrong_one_is_not);
