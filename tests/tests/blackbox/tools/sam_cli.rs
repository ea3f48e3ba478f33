//! `sam local start-lambda` as the Lambda behind Pelton: it serves `Invoke`, and nothing else of Lambda's API.
use pelton_tests::{Backend, Pelton, SamEndpoint, body, eventually, on_both_backends};
use serde_json::json;

use super::{lambda, waits};

async fn start(backend: &Backend, sam: &SamEndpoint, more: serde_json::Value) -> Pelton {
    let mut configuration = json!({
        "Endpoint": backend.endpoint, "Endpoints": { "Lambda": sam.endpoint }, "AsyncInvocation": { "DelayScale": 0.01 },
    });
    configuration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Pelton::run(configuration).await
}

async fn mappings_of_the_file_and_of_the_api_invoke_its_functions(backend: Backend) {
    let (sam, queue, other) = (SamEndpoint::start().await, backend.queue(30).await, backend.queue(30).await);
    let mapping = json!({ "EventSourceArn": queue.arn, "FunctionName": "Hello" });
    let pelton = start(&backend, &sam, json!({ "EventSourceMappings": [mapping] })).await;
    queue.send("one").await;
    queue.is_drained().await;
    let client = lambda(&backend, &pelton);
    let create = client.create_event_source_mapping().event_source_arn(&other.arn).function_name("Hello");
    let created = create.send().await.unwrap();
    waits(&client, created.uuid().unwrap(), &["Creating"], &["Enabled"]).await;
    other.send("two").await;
    other.is_drained().await;
    let bodies: Vec<_> = sam.events().iter().map(|event| event["Records"][0]["body"].clone()).collect();
    assert_eq!(bodies, ["one", "two"]);
}

async fn invocations_are_passed_on_and_events_are_retried_and_reported(backend: Backend) {
    let (sam, failed) = (SamEndpoint::start().await, backend.queue(30).await);
    let destination = json!({ "OnFailure": { "Destination": failed.arn } });
    let settings = json!({ "MaximumRetryAttempts": 1, "DestinationConfig": destination });
    let functions = json!([{ "FunctionName": "Hello", "EventInvokeConfig": settings }]);
    let pelton = start(&backend, &sam, json!({ "Functions": functions })).await;
    let answer = pelton.invoke("Hello", &[], &json!({ "id": 1 })).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "id": 1 })));
    pelton.invoke_later("Hello", &json!({ "id": 2 })).await;
    eventually("it is invoked", || async { sam.events().len() == 2 }).await;
    let id = pelton.invoke_later("Hello", &json!({ "do": "fail" })).await;
    let record = body(&failed.take(1).await[0]);
    let context = &record["requestContext"];
    assert_eq!((&context["requestId"], &context["approximateInvokeCount"]), (&json!(id), &json!(2)));
    assert_eq!(context["condition"], "RetriesExhausted");
    assert_eq!(sam.events().len(), 4);
    // What SAM's endpoint doesn't take is said by it.
    for (method, path, headers, code) in [
        ("GET", "Hello", &[][..], "PathNotFoundLocally"),
        ("POST", "Hello/invocations", &[("X-Amz-Log-Type", "Tail")], "NotImplemented"),
        ("POST", "Hello/invocations?Qualifier=live", &[], "InvalidRequestContent"),
    ] {
        let refused = pelton.request(method, &format!("/2015-03-31/functions/{path}"), headers, "{}").await;
        assert_eq!(refused.refusal().1, code, "{method} {path}");
    }
}

on_both_backends!(
    mappings_of_the_file_and_of_the_api_invoke_its_functions,
    invocations_are_passed_on_and_events_are_retried_and_reported,
);
