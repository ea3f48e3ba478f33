//! What a person sees: the status table, health, metrics, and `check` against a backend.
use std::process::Output;

use pelton_tests::{Backend, Function, Pelton, binary, eventually, mapping, on_both_backends};
use serde_json::{Value, json};

fn pelton(arguments: &[&str], folder: &std::path::Path) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(binary());
    command.args(arguments).current_dir(folder).env_clear();
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

fn check(backend: &Backend, mapping: Value) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let configuration = json!({ "Endpoint": backend.endpoint, "EventSourceMappings": [mapping] });
    std::fs::write(folder.path().join("pelton.yaml"), configuration.to_string()).unwrap();
    pelton(&["check"], folder.path())
}

/// `metric{…queue…} value` → value.
fn metric(text: &str, name: &str, queue: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(queue))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn status_health_and_metrics_tell_what_happened(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new());
    queue.send_all([json!({ "do": "fail", "times": 1 }).to_string(), "good".into()]).await;
    let pelton_run =
        Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({ "BatchSize": 1 }))]).await;
    queue.is_drained().await;
    eventually("both are deleted", || async { pelton_run.status(&queue)["Deleted"] == 2 }).await;

    assert_eq!(pelton_run.get("/healthz").0, 200);
    assert_eq!(pelton_run.get("/readyz").0, 200);
    assert_eq!(pelton_run.get("/nonsense").0, 404);
    let status = pelton_run.status(&queue);
    assert_eq!((&status["State"], &status["LastProcessingResult"]), (&json!("Enabled"), &json!("OK")));
    assert_eq!(status["FunctionArn"], Backend::arn("lambda", "function:work"));
    assert_eq!((&status["Polled"], &status["Invoked"], &status["Failed"]), (&json!(3), &json!(3), &json!(1)));
    assert!(status["LastError"]["Message"].as_str().unwrap().contains("ValueError: told to fail"));

    let metrics = pelton_run.get("/metrics").1;
    for (name, value) in [
        ("PolledEventCount_total", 3.0),
        ("InvokedEventCount_total", 3.0),
        ("FailedInvokeEventCount_total", 1.0),
        ("DeletedEventCount_total", 2.0),
        ("Invocations_total", 3.0),
        ("Errors_total", 1.0),
        ("Throttles_total", 0.0),
        ("DroppedEventCount_total", 0.0),
        ("OnFailureDestinationDeliveredEventCount_total", 0.0),
        ("DestinationDeliveryFailures_total", 0.0),
        ("pelton_problem", 0.0),
        ("pelton_invocation_seconds_count", 3.0),
    ] {
        assert_eq!(metric(&metrics, name, &queue.name), Some(value), "{name} in\n{metrics}");
    }
    assert!(metrics.contains(&format!("EventSourceMappingUUID=\"{}\"", status["UUID"].as_str().unwrap())));

    let (code, table) = pelton(&["status", &pelton_run.url], std::path::Path::new("/"));
    assert_eq!(code, Some(0), "{table}");
    for word in [queue.name.as_str(), "work", "Enabled"] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
    drop(pelton_run);
    let (code, printed) = pelton(&["status", "http://127.0.0.1:1"], std::path::Path::new("/"));
    assert_eq!(code, Some(1), "{printed}");
}

async fn check_says_what_is_missing(backend: Backend) {
    let name = Backend::name("missing");
    let (code, printed) =
        check(&backend, json!({ "EventSourceArn": Backend::arn("sqs", &name), "FunctionName": name }));
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("The specified queue does not exist"), "{printed}");
    assert!(printed.contains("Function does not exist"), "{printed}");

    let queue = backend.queue(30).await;
    let function = backend.create_function(&Backend::name("function"), "def handler(event, context): pass").await;
    let complete = json!({ "EventSourceArn": queue.arn, "FunctionName": function });
    let (code, printed) = check(&backend, complete.clone());
    assert_eq!(code, Some(0), "{printed}");
    let mut mapping = complete;
    mapping["DestinationConfig"] = json!({ "OnSuccess": { "Destination": Backend::arn("sns", &name) } });
    let (code, printed) = check(&backend, mapping);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("the topic does not exist"), "{printed}");
}

async fn check_can_not_tell_without_the_backend(backend: Backend) {
    let nowhere = Backend { endpoint: "http://127.0.0.1:1".into(), ..backend };
    let mapping = json!({ "EventSourceArn": Backend::arn("sqs", "q"), "FunctionName": "f" });
    let (code, printed) = check(&nowhere, mapping);
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("could not check"), "{printed}");
}

on_both_backends!(
    status_health_and_metrics_tell_what_happened,
    check_says_what_is_missing,
    check_can_not_tell_without_the_backend,
);
