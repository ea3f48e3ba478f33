//! The Python runtime that Pelton carries.
use pelton_core::Invoker as _;
use serde_json::{Value, json};

use crate::support::{Code, error, invoke, json as parse, result};

#[tokio::test]
async fn answers_with_what_the_handler_returns() {
    let function = Code::python("def handler(event, context):\n    return {'got': event, 'text': 'größe'}\n");
    let function = function.start().await;
    assert_eq!(result(&function, r#"{"Records":[]}"#).await, json!({"got": {"Records": []}, "text": "größe"}));
    assert_eq!(result(&function, "[1,2]").await["got"], json!([1, 2]), "one process serves many invocations");
    assert_eq!(function.status().restarts, 0);
}

#[tokio::test]
async fn nothing_returned_is_null() {
    let code = Code::python("def handler(event, context):\n    pass\n");
    assert_eq!(&invoke(&code.start().await, "{}").await.payload[..], b"null");
}

#[tokio::test]
async fn knows_what_a_lambda_function_knows() {
    let code = Code::python(
        r#"
import os

def handler(event, context):
    return {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "context": {name: getattr(context, name) for name in event},
        "remaining": context.get_remaining_time_in_millis(),
    }
"#,
    )
    .with(|settings| {
        settings.environment.insert("TABLE".into(), "orders".into());
        settings.environment.insert("AWS_REGION".into(), "eu-west-1".into());
    });
    let function = code.start().await;
    let names = [
        "aws_request_id",
        "invoked_function_arn",
        "function_name",
        "function_version",
        "memory_limit_in_mb",
        "log_group_name",
        "log_stream_name",
        "client_context",
    ];
    let name = "arn:aws:lambda:us-east-1:123456789012:function:work:live".parse().unwrap();
    let response = function.invoke(&name, serde_json::to_vec(&names).unwrap().into()).await.unwrap();
    let answer = parse(&response);

    let context = &answer["context"];
    assert_eq!(context["aws_request_id"], json!(response.request_id));
    assert_eq!(context["invoked_function_arn"], "arn:aws:lambda:us-east-1:123456789012:function:work:live");
    assert_eq!(context["function_name"], "work");
    assert_eq!(context["function_version"], "$LATEST");
    assert_eq!(context["memory_limit_in_mb"], "256");
    assert_eq!(context["log_group_name"], "/aws/lambda/work");
    assert_eq!(context["client_context"], Value::Null);
    let remaining = answer["remaining"].as_u64().unwrap();
    assert!((1..=30_000).contains(&remaining), "{remaining} ms");

    let folder = code.path().canonicalize().unwrap();
    let environment = &answer["environment"];
    for (key, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "work"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/work"),
        ("_HANDLER", "app.handler"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python3"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("TZ", ":UTC"),
        ("TABLE", "orders"),
        ("AWS_REGION", "eu-west-1"),
        ("LAMBDA_TASK_ROOT", folder.to_str().unwrap()),
    ] {
        assert_eq!(environment[key], value, "{key}");
    }
    // An interpreter's launcher may put a folder in front.
    assert!(environment["PATH"].as_str().unwrap().ends_with(&std::env::var("PATH").unwrap()));
    assert!(environment["AWS_LAMBDA_RUNTIME_API"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(environment["_X_AMZN_TRACE_ID"].as_str().unwrap().starts_with("Root=1-"));
    assert_eq!(answer["directory"], folder.to_str().unwrap());
}

#[tokio::test]
async fn an_exception_is_a_function_error() {
    let code = Code::python("def handler(event, context):\n    raise ValueError('no ' + event['name'])\n");
    let function = code.start().await;
    let response = invoke(&function, r#"{"name":"stock"}"#).await;
    assert_eq!(response.function_error.as_deref(), Some("Unhandled"));
    let error = parse(&response);
    assert_eq!(error["errorType"], "ValueError");
    assert_eq!(error["errorMessage"], "no stock");
    assert_eq!(error["requestId"], json!(response.request_id));
    let trace = error["stackTrace"].as_array().unwrap();
    assert_eq!(trace.len(), 1, "the trace begins in the function: {trace:?}");
    assert!(trace[0].as_str().unwrap().contains("app.py\", line 2, in handler"), "{trace:?}");
    assert_eq!(function.status().restarts, 0, "the process stays");
}

#[tokio::test]
async fn what_is_not_json_can_not_be_returned() {
    let code = Code::python("def handler(event, context):\n    return {1, 2}\n");
    let function = code.start().await;
    let error = error(&function, "{}").await;
    assert_eq!(error["errorType"], "Runtime.MarshalError");
    assert_eq!(error["errorMessage"], "Unable to marshal response: Object of type set is not JSON serializable");
}

#[tokio::test]
async fn an_event_that_is_not_json_is_the_functions_error() {
    let function = Code::python("def handler(event, context):\n    pass\n");
    let error = error(&function.start().await, "{no json").await;
    assert_eq!(error["errorType"], "Runtime.UnmarshalError");
}

#[tokio::test]
async fn decimals_are_numbers() {
    let code = Code::python(
        "from decimal import Decimal\ndef handler(event, context):\n    return [Decimal('1.5'), Decimal(3)]\n",
    );
    assert_eq!(&invoke(&code.start().await, "{}").await.payload[..], b"[1.5, 3]");
}

#[tokio::test]
async fn finds_handlers_in_packages() {
    for handler in ["shop.orders.handler", "shop/orders.handler"] {
        let code = Code::new(
            "python3",
            "shop/orders.py",
            "from shop.common import NAME\nhandler = lambda e, c: NAME\n",
            handler,
        );
        code.write("shop/common.py", "NAME = 'orders'\n");
        assert_eq!(result(&code.start().await, "{}").await, "orders", "{handler}");
    }
}

#[tokio::test]
async fn an_initialisation_error_is_the_invocations_error() {
    for (text, handler, error_type, message) in [
        (
            "def handler(:\n",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax",
        ),
        ("x = 1\n", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        (
            "x = 1\n",
            "other.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'other': No module named 'other'",
        ),
        ("x = 1\n", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
        ("raise KeyError('TABLE')\n", "app.handler", "KeyError", "'TABLE'"),
    ] {
        let code = Code::new("python3", "app.py", text, handler);
        let function = code.start().await;
        let error = error(&function, "{}").await;
        assert_eq!(error["errorType"], error_type, "{error}");
        assert!(error["errorMessage"].as_str().unwrap().starts_with(message), "{error}");
        assert!(function.status().last_error.unwrap().contains(error_type));
    }
}

#[tokio::test]
async fn the_exit_of_a_module_is_an_initialisation_error() {
    let code = Code::python("import sys\nsys.exit(3)\n");
    let response = invoke(&code.start().await, "{}").await;
    assert_eq!(
        parse(&response),
        json!({
            "errorType": "Runtime.ExitError",
            "errorMessage": format!("RequestId: {} Error: Runtime exited with error: exit status 3", response.request_id),
        })
    );
}

#[tokio::test]
async fn a_large_answer_arrives_whole_and_one_that_is_too_large_is_an_error() {
    let code = Code::python("def handler(event, context):\n    return 'x' * event\n");
    let function = code.start().await;
    let large = invoke(&function, (5 * 1024 * 1024).to_string()).await;
    assert_eq!((large.function_error, large.payload.len()), (None, 5 * 1024 * 1024 + 2));
    let largest = invoke(&function, (6_291_556 - 2).to_string()).await;
    assert_eq!((largest.function_error, largest.payload.len()), (None, 6_291_556));
    for size in [6_291_556 - 1, 7 * 1024 * 1024, 40 * 1024 * 1024] {
        assert_eq!(
            error(&function, size.to_string()).await,
            json!({
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            })
        );
    }
    assert_eq!(result(&function, "1").await, "x", "the process goes on");
    assert_eq!(function.status().restarts, 0);
}

#[tokio::test]
async fn a_large_event_arrives_whole_and_one_that_is_too_large_is_refused() {
    let code = Code::python("def handler(event, context):\n    return len(event)\n");
    let function = code.start().await;
    let event = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(result(&function, event(6_291_556)).await, 6_291_554);
    let refused = crate::support::try_invoke(&function, event(6_291_557)).await.unwrap_err();
    assert_eq!(refused.kind, pelton_core::ErrorKind::Payload);
}

#[tokio::test]
async fn bytes_are_handed_on_as_they_are() {
    let code = Code::python("def handler(event, context):\n    return b'\\xffno json'\n");
    let response = invoke(&code.start().await, "{}").await;
    assert_eq!((response.function_error, &response.payload[..]), (None, &b"\xffno json"[..]));
}
