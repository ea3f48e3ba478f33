//! A function on the `lambda_runtime` crate, as anybody would write one. The process tests run it unchanged.
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handle)).await
}

/// Fails if the event says so, else answers with the event and what the runtime knows about the invocation.
async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (event, context) = event.into_parts();
    if let Some(message) = event["fail"].as_str() {
        return Err(message.to_owned().into());
    }
    Ok(json!({
        "event": event,
        "request_id": context.request_id,
        "function_arn": context.invoked_function_arn,
        "function_name": context.env_config.function_name,
        "deadline": context.deadline,
    }))
}
