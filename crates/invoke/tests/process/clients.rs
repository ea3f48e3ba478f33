//! Other runtime clients: a Rust function on the `lambda_runtime` crate, and one that misbehaves.
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::support::{Code, error, eventually, invoke, json as parse, result, until};

/// `pelton-test-function`, built into the folder where this test was built.
async fn rust_function() -> String {
    let build = || -> PathBuf {
        let profile_folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let binary = profile_folder.join("pelton-test-function");
        // Also if it is there: it may be an old one.
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "pelton-test-function", "--target-dir"])
            .arg(profile_folder.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success());
        binary
    };
    tokio::task::spawn_blocking(build).await.unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_rust_function_runs_unchanged() {
    let code = Code::command(&[&rust_function().await]);
    let function = code.start().await;
    let response = invoke(&function, r#"{"Records":[1]}"#).await;
    let answer = parse(&response);
    assert_eq!(answer["event"], json!({"Records": [1]}));
    assert_eq!(answer["request_id"], response.request_id.as_str());
    assert_eq!(answer["function_arn"], "arn:aws:lambda:us-east-1:000000000000:function:work");
    assert_eq!(answer["function_name"], "work");
    assert!(answer["deadline"].as_i64().unwrap() > jiff::Timestamp::now().as_millisecond());

    let problem = error(&function, r#"{"fail":"no stock"}"#).await;
    assert_eq!(problem["errorMessage"], "no stock");
    assert_eq!(result(&function, "{}").await["event"], json!({}));
    assert_eq!(function.status().restarts, 0);
}

/// Speaks the Runtime API by hand, and tries what a good client never would.
const MISCHIEF: &str = r#"
import http.client, json, os

API = "/2018-06-01/runtime"

def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, path, body)
    response = connection.getresponse()
    return response, response.read()

seen = []

def attempt(name, method, path, body=None):
    response, text = call(method, path, body)
    seen.append([name, response.status, json.loads(text).get("errorType")])

previous = None
while True:
    attempt("before next", "POST", API + "/invocation/no-such-id/response", b"{}")
    response, event = call("GET", API + "/invocation/next")
    request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
    mode = json.loads(event)
    attempt("next while busy", "GET", API + "/invocation/next")
    attempt("init error while busy", "POST", API + "/init/error", b"{}")
    attempt("unknown id", "POST", API + "/invocation/no-such-id/response", b"{}")
    attempt("strange id", "POST", API + "/invocation/%ff%00..%2f/error", b"{}")
    attempt("unknown path", "GET", API + "/elsewhere")
    attempt("wrong method", "GET", API + "/invocation/" + request_id + "/response")
    if previous:
        attempt("past id", "POST", API + "/invocation/" + previous + "/response", b"{}")
    if mode == "broken error":
        call("POST", API + "/invocation/" + request_id + "/error", b"{no json")
    elif mode == "garbage":
        call("POST", API + "/invocation/" + request_id + "/response", b"<html>\xff")
    else:
        call("POST", API + "/invocation/" + request_id + "/response", json.dumps(seen).encode())
        attempt("second answer", "POST", API + "/invocation/" + request_id + "/response", b"{}")
    previous = request_id
"#;

#[tokio::test]
async fn bad_calls_are_refused_and_do_no_harm() {
    let code = Code::command(&["python3", "client.py"]);
    code.write("client.py", MISCHIEF);
    let function = code.start().await;
    assert_eq!(&invoke(&function, "\"garbage\"").await.payload[..], b"<html>\xff", "an answer is handed on as it is");
    let problem = error(&function, "\"broken error\"").await;
    assert_eq!(problem, json!({"errorType": "Runtime.Unknown", "errorMessage": "{no json"}));
    result(&function, "\"\"").await;
    let seen = result(&function, "\"\"").await;
    for expected in [
        json!(["before next", 400, "InvalidRequestID"]),
        json!(["next while busy", 403, "InvalidStateTransition"]),
        json!(["init error while busy", 403, "InvalidStateTransition"]),
        json!(["unknown id", 400, "InvalidRequestID"]),
        json!(["strange id", 400, "InvalidRequestID"]),
        json!(["unknown path", 404, "NotFound"]),
        json!(["wrong method", 405, "MethodNotAllowed"]),
        json!(["past id", 400, "InvalidRequestID"]),
        json!(["second answer", 400, "InvalidRequestID"]),
    ] {
        assert!(seen.as_array().unwrap().contains(&expected), "{expected} in {seen}");
    }
    assert_eq!(function.status().restarts, 0);
}

#[tokio::test]
async fn a_client_that_answers_and_leaves_is_started_for_each_invocation() {
    let code = Code::command(&["python3", "client.py"]);
    code.write(
        "client.py",
        r#"
import http.client, os
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
connection.request("GET", "/2018-06-01/runtime/invocation/next")
response = connection.getresponse()
event = response.read()
request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
connection.request("POST", "/2018-06-01/runtime/invocation/" + request_id + "/response", event)
connection.getresponse().read()
os._exit(0)
"#,
    );
    let function = code.start().await;
    for event in ["1", "2", "3"] {
        assert_eq!(result(&function, event).await.to_string(), event, "it counts although the process ends");
    }
    until(&function, "each invocation had a process of its own", |status| status.restarts >= 3).await;
}

#[tokio::test]
async fn a_client_that_polls_anew_gets_the_invocation() {
    let code = Code::command(&["python3", "client.py"]);
    code.write(
        "client.py",
        r#"
import http.client, os, time
API = "/2018-06-01/runtime/invocation/"
def poll():
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request("GET", API + "next")
    return connection
given_up = poll()
time.sleep(0.3)
given_up.close()
second = poll()
time.sleep(0.3)
third = poll()
time.sleep(0.3)
open("polled", "w").close()
response = third.getresponse()
response.read()
third.request("POST", API + response.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", b'"third"')
time.sleep(600)
"#,
    );
    let folder = code.folder.clone();
    let function = code.start().await;
    eventually("the client has polled three times", || folder.path().join("polled").exists()).await;
    assert_eq!(result(&function, "{}").await, "third");
    assert_eq!(function.status().restarts, 0);
}
