//! AWS's own Python runtime client, unchanged from PyPI.
use pelton_testkit::backend;
use serde_json::json;

use crate::support::{Code, error, invoke, json as parse, result};

async fn code(text: &str) -> Code {
    let python = backend::awslambdaric(&|_| {}).await.unwrap();
    let code = Code::command(&[python.to_str().unwrap(), "-m", "awslambdaric", "app.handler"]);
    code.write("app.py", text);
    code
}

#[tokio::test]
async fn answers_and_fails_as_in_lambda() {
    let code = code(
        r#"
import time

def handler(event, context):
    if event.get("fail"):
        raise ValueError("no stock")
    if "size" in event:
        return "x" * event["size"]
    if "sleep" in event:
        time.sleep(event["sleep"])
    return {
        "event": event,
        "request_id": context.aws_request_id,
        "function_arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "remaining": context.get_remaining_time_in_millis(),
    }
"#,
    )
    .await;
    let function = code.start().await;
    let response = invoke(&function, r#"{"Records":[]}"#).await;
    let answer = parse(&response);
    assert_eq!(answer["event"], json!({"Records": []}));
    assert_eq!(answer["request_id"], response.request_id.as_str());
    assert_eq!(answer["function_arn"], "arn:aws:lambda:us-east-1:000000000000:function:work");
    assert_eq!(answer["memory"], "256");
    assert!((1..=30_000).contains(&answer["remaining"].as_i64().unwrap()));

    let problem = error(&function, r#"{"fail":true}"#).await;
    assert_eq!((&problem["errorType"], &problem["errorMessage"]), (&json!("ValueError"), &json!("no stock")));
    assert!(problem["stackTrace"][0].as_str().unwrap().contains("app.py"));

    assert_eq!(result(&function, r#"{"size":5000000}"#).await.as_str().unwrap().len(), 5_000_000);
    assert_eq!(error(&function, r#"{"size":7000000}"#).await["errorType"], "Function.ResponseSizeTooLarge");
    assert_eq!(result(&function, "{}").await["event"], json!({}), "it goes on");
}

#[tokio::test]
async fn reports_what_it_can_not_import() {
    let code = code("import no_such_module\n").await;
    let problem = error(&code.start().await, "{}").await;
    assert_eq!(problem["errorType"], "Runtime.ImportModuleError");
    assert_eq!(problem["errorMessage"], "Unable to import module 'app': No module named 'no_such_module'");
}
