//! `docker-compose.yml` and what it mounts, without containers: the very scripts and the very `pelton.yaml`, on real
//! backends.
use std::path::{Path, PathBuf};

use pelton_tests::{Backend, Pelton, Queue, body, on_localstack, on_ministack};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{lambda, prints, tool, waits};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A YAML file of the repository: the AWS CLI brings a reader along.
async fn yaml(file: &str) -> Value {
    let bin = pelton_testkit::backend::aws_tools(&|_| {}).await.unwrap();
    let mut python = Command::new(bin.join("python"));
    python.args(["-c", "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"]);
    python.arg(repository().join(file));
    prints(python).await
}

/// The example's `pelton.yaml`, with the places of this machine.
async fn start(backend: &Backend) -> Pelton {
    let mut configuration = yaml("deploy/examples/compose/pelton.yaml").await;
    configuration["Endpoint"] = json!(backend.endpoint);
    configuration["State"] = json!({ "Memory": {} });
    configuration["Functions"][0]["CodeUri"] = json!(repository().join("deploy/examples/compose"));
    Pelton::run(configuration).await
}

/// A script of the example, with `aws`, and with `awslocal` as LocalStack's image has it.
async fn runs(script: &str, backend: &Backend, pelton: Option<&Pelton>) {
    let bin = pelton_testkit::backend::aws_tools(&|_| {}).await.unwrap();
    let shims = tempfile::tempdir().unwrap();
    let awslocal = shims.path().join("awslocal");
    std::fs::write(&awslocal, "#!/bin/sh\nexec aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"\n").unwrap();
    let mut chmod = Command::new("chmod");
    assert!(chmod.arg("+x").arg(&awslocal).status().await.unwrap().success());
    let path = std::env::var_os("PATH").unwrap();
    let paths = [shims.path().to_owned(), bin].into_iter().chain(std::env::split_paths(&path));
    let mut bash = Command::new("bash");
    bash.arg(repository().join("deploy/examples/compose").join(script)).env_clear();
    bash.env("PATH", std::env::join_paths(paths).unwrap());
    // The region is the script's.
    bash.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    bash.env("AWS_ENDPOINT_URL", &backend.endpoint);
    if let Some(pelton) = pelton {
        bash.env("AWS_ENDPOINT_URL_LAMBDA", &pelton.url);
    }
    let output = bash.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A queue that a script has made.
fn queue(backend: &Backend, name: &str) -> Queue {
    let url = format!("{}/000000000000/{name}", backend.endpoint);
    Queue { client: backend.sqs.clone(), url, arn: Backend::arn("sqs", name), name: name.to_owned() }
}

/// Runs the scripts, and looks at what they have made and at what the head of the compose file shows.
async fn seeded(backend: &Backend) -> Pelton {
    // Their names are fixed: a run before this one may have left something.
    let _ = backend.lambda.delete_function().function_name("invoice").send().await;
    for name in ["orders", "orders-done", "invoices", "invoices-reports"] {
        let _ = backend.sqs.purge_queue().queue_url(queue(backend, name).url).send().await;
    }
    runs("create-queues.sh", backend, None).await;
    let pelton = start(backend).await;
    let client = lambda(backend, &pelton);
    // The second time changes nothing.
    for _ in ["first", "second"] {
        runs("seed.sh", backend, Some(&pelton)).await;
        let listed = client.list_event_source_mappings().function_name("invoice").send().await.unwrap();
        let [mapping] = listed.event_source_mappings() else { panic!("{listed:?}") };
        let source = Backend::arn("sqs", "invoices");
        assert_eq!((mapping.batch_size(), mapping.event_source_arn()), (Some(5), Some(source.as_str())));
        waits(&client, mapping.uuid().unwrap(), &["Creating"], &["Enabled"]).await;
    }
    // The function is that of the backend; the mapping and the config are Pelton's alone.
    backend.lambda.get_function().function_name("invoice").send().await.unwrap();
    let behind = backend.lambda.list_event_source_mappings().function_name("invoice").send().await.unwrap();
    assert!(behind.event_source_mappings().is_empty(), "{behind:?}");
    let config = client.get_function_event_invoke_config().function_name("invoice").send().await.unwrap();
    assert_eq!(config.maximum_retry_attempts(), Some(1));
    let functions = client.list_functions().into_paginator().items().send();
    let functions = functions.collect::<Result<Vec<_>, _>>().await.unwrap();
    let names: Vec<_> = functions.iter().filter_map(|function| function.function_name()).collect();
    assert!(names.first() == Some(&"orders") && names.contains(&"invoice"), "{names:?}");
    queue(backend, "orders").send(r#"{"id": 1, "amount": 20}"#).await;
    let record = body(&queue(backend, "orders-done").take(1).await[0]);
    assert_eq!(record["responsePayload"], json!({ "batchItemFailures": [], "total": 20 }));
    pelton
}

async fn scripts_seed_both_by_one_lambda_endpoint(backend: Backend) {
    seeded(&backend).await;
}

/// The same on the backend that executes functions here, and then invocations of the one that was seeded.
async fn scripts_seed_both_and_the_seeded_function_is_invoked(backend: Backend) {
    let pelton = seeded(&backend).await;
    let invoices = queue(&backend, "invoices");
    invoices.send(r#"{"id": 2, "amount": 30}"#).await;
    invoices.is_drained().await;
    assert_eq!(pelton.status(&invoices)["Deleted"], 1);
    let mut aws = tool(&pelton, "aws").await;
    let payload = r#"{"id": 3, "amount": 40}"#;
    aws.args(["lambda", "invoke", "--function-name", "invoice", "--invocation-type", "Event", "--payload", payload]);
    aws.arg("answer");
    assert_eq!(prints(aws).await, json!({ "StatusCode": 202 }));
    let record = body(&queue(&backend, "invoices-reports").take(1).await[0]);
    assert_eq!(record["responsePayload"], json!({ "invoice": 3, "total": 40 }));
}

/// Keys of a service in the Compose specification that the file has use for.
const KEYS: [&str; 11] = [
    "build",
    "depends_on",
    "entrypoint",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "profiles",
    "restart",
    "stop_grace_period",
    "volumes",
];

#[tokio::test]
async fn the_compose_file_is_sound() {
    let file = yaml("docker-compose.yml").await;
    let top: Vec<&str> = file.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(top, ["name", "services"]);
    let services = file["services"].as_object().unwrap();
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["localstack", "pelton", "seed"]);
    let provisioned = std::fs::read_to_string(repository().join("crates/testkit/src/backend/localstack.rs")).unwrap();
    let release = provisioned.split_once("const FOR_NEW_PYTHON: Release = Release { localstack: \"").unwrap().1;
    let image = format!("localstack/localstack:{}", release.split('"').next().unwrap());
    for (name, service) in services {
        for key in service.as_object().unwrap().keys() {
            assert!(KEYS.contains(&key.as_str()), "{name}: {key}");
        }
        match &service["image"] {
            Value::Null => assert_eq!(name, "pelton"),
            pinned => assert_eq!(pinned, &image, "the release that the tests run"),
        }
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port} is published to others");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().unwrap();
            if let Some(rest) = volume.strip_prefix("./") {
                let (here, inside) = rest.split_once(':').unwrap();
                assert!(repository().join(here).exists() && inside.ends_with(":ro"), "{name}: {volume}");
            }
        }
        for (needed, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert!(services.contains_key(needed), "{name}: {needed}");
            assert_eq!(how["condition"], "service_healthy");
        }
    }
    let pelton = &services["pelton"];
    let dockerfile =
        std::fs::read_to_string(repository().join(pelton["build"]["dockerfile"].as_str().unwrap())).unwrap();
    let target = format!(" AS {}\n", pelton["build"]["target"].as_str().unwrap());
    assert!(dockerfile.contains(&target) && dockerfile.contains("HEALTHCHECK"));
    // What Pelton listens on inside is what the others are told.
    let listen = yaml("deploy/examples/compose/pelton.yaml").await["Listen"].clone();
    let port = listen.as_str().unwrap().strip_prefix("0.0.0.0:").unwrap().to_owned();
    assert!(pelton["ports"][0].as_str().unwrap().ends_with(&format!(":{port}")));
    assert_eq!(services["seed"]["environment"]["AWS_ENDPOINT_URL_LAMBDA"], format!("http://pelton:{port}"));
    assert_eq!(pelton["environment"].get("AWS_ENDPOINT_URL_LAMBDA"), None, "it would pass requests on to itself");
}

on_localstack!(scripts_seed_both_by_one_lambda_endpoint);

on_ministack!(scripts_seed_both_and_the_seeded_function_is_invoked);
