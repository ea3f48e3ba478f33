//! Functions of the Lambda behind Pelton: it runs them, Pelton queues and retries.
use aws_sdk_lambda::types::DeadLetterConfig;
use pelton_tests::{Backend, Pelton, body, on_ministack};
use serde_json::json;

use super::SCALE;

const CODE: &str = "\
def handler(event, context):
    if event.get('fail'):
        raise ValueError('told to fail')
    return {'did': event}
";

async fn pelton(backend: &Backend) -> Pelton {
    Pelton::run(json!({ "Endpoint": backend.endpoint, "AsyncInvocation": { "DelayScale": SCALE } })).await
}

async fn configs_of_latest_and_of_a_version_stand_apart(backend: Backend) {
    let name = Backend::name("function");
    backend.create_function(&name, CODE).await;
    backend.lambda.publish_version().function_name(&name).send().await.unwrap();
    let (latest, version) = (backend.queue(30).await, backend.queue(30).await);
    let pelton = pelton(&backend).await;
    for (qualifier, queue, retries) in [("$LATEST", &latest, 1), ("1", &version, 0)] {
        let path = format!("/2019-09-25/functions/{name}/event-invoke-config?Qualifier={qualifier}");
        let config = json!({
            "MaximumRetryAttempts": retries, "DestinationConfig": { "OnFailure": { "Destination": queue.arn } },
        });
        let put = pelton.request("PUT", &path.replace('$', "%24"), &[], config.to_string()).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    let arn = Backend::arn("lambda", &format!("function:{name}"));
    for (function, qualifier, queue, count) in
        [(name.clone(), "$LATEST", &latest, 2), (format!("{name}:1"), "1", &version, 1)]
    {
        let id = pelton.invoke_later(&function, &json!({ "fail": true })).await;
        let record = body(&queue.take(1).await[0]);
        let context = json!({
            "requestId": id, "functionArn": format!("{arn}:{qualifier}"), "condition": "RetriesExhausted",
            "approximateInvokeCount": count,
        });
        assert_eq!(record["requestContext"], context);
        assert_eq!(record["responsePayload"]["errorMessage"], "told to fail");
    }
}

async fn its_own_dead_letter_queue_is_found(backend: Backend) {
    let (name, dead) = (Backend::name("function"), backend.queue(30).await);
    backend.create_function(&name, CODE).await;
    let config = DeadLetterConfig::builder().target_arn(&dead.arn).build();
    let update = backend.lambda.update_function_configuration().function_name(&name).dead_letter_config(config);
    update.send().await.unwrap();
    let pelton = pelton(&backend).await;
    let id = pelton.invoke_later(&name, &json!({ "fail": true })).await;
    let letter = dead.take(1).await.remove(0);
    assert_eq!(letter.body().unwrap(), r#"{"fail":true}"#);
    let attributes = letter.message_attributes().unwrap();
    assert_eq!(attributes["RequestID"].string_value(), Some(id.as_str()));
    assert_eq!(attributes["ErrorMessage"].string_value(), Some("told to fail"));
}

/// Spec 9: a function that was deleted and made again at once is invoked.
async fn a_function_that_was_made_again_is_invoked(backend: Backend) {
    let (name, done) = (Backend::name("function"), backend.queue(30).await);
    let pelton = pelton(&backend).await;
    let path = format!("/2015-03-31/functions/{name}");
    for round in ["first", "second"] {
        let code = format!("def handler(event, context):\n    return '{round}'\n");
        backend.create_function(&name, &code).await;
        let config = json!({ "DestinationConfig": { "OnSuccess": { "Destination": done.arn } } });
        let configs = format!("/2019-09-25/functions/{name}/event-invoke-config");
        assert_eq!(pelton.request("PUT", &configs, &[], config.to_string()).await.status, 200);
        pelton.invoke_later(&name, &json!({})).await;
        assert_eq!(body(&done.take(1).await[0])["responsePayload"], round);
        assert_eq!(pelton.request("DELETE", &path, &[], "").await.status, 204, "passed on");
    }
}

async fn what_does_not_exist_is_not_accepted(backend: Backend) {
    let pelton = pelton(&backend).await;
    let name = Backend::name("missing");
    let refused = pelton.invoke(&name, &[("X-Amz-Invocation-Type", "Event")], &json!({})).await;
    let message = format!("Function not found: {}", Backend::arn("lambda", &format!("function:{name}:$LATEST")));
    let body = json!({ "Type": "User", "Message": message });
    assert_eq!(refused.refusal(), (404, "ResourceNotFoundException", body));
}

async fn a_synchronous_call_is_passed_on(backend: Backend) {
    let name = Backend::name("function");
    backend.create_function(&name, CODE).await;
    let pelton = pelton(&backend).await;
    let answer = pelton.invoke(&name, &[], &json!({ "id": 7 })).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "did": { "id": 7 } })));
    assert!(!answer.request_id().is_empty());
}

on_ministack!(
    configs_of_latest_and_of_a_version_stand_apart,
    its_own_dead_letter_queue_is_found,
    a_function_that_was_made_again_is_invoked,
    what_does_not_exist_is_not_accepted,
    a_synchronous_call_is_passed_on,
);
