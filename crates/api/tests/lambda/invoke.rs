//! Synchronous invocations of local functions, and what their path and headers may be (spec 12.4).
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{Call, ErrorKind, FunctionName, InvokeError, Invoker, Response};
use pelton_testkit::{FakeInvoker, Reply, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Answer, Api, LIMIT};

pub const FUNCTIONS: &str = "/2015-03-31/functions";
const ARN: &str = "arn:aws:lambda:us-east-1:111111111111:function:work";

/// A function that keeps its calls, and answers as it is told to.
#[derive(Default)]
struct Told {
    calls: Mutex<Vec<(FunctionName, Call)>>,
    function_error: Option<String>,
    log_tail: Option<Bytes>,
}

#[async_trait]
impl Invoker for Told {
    async fn call(&self, function: &FunctionName, call: Call) -> Result<Response, InvokeError> {
        self.calls.lock().unwrap().push((function.clone(), call.clone()));
        Ok(Response {
            request_id: call.request_id.unwrap().to_string(),
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: self.function_error.clone(),
            payload: Bytes::from_static(b"{\"done\": true}"),
            log_tail: self.log_tail.clone(),
        })
    }
}

impl Told {
    fn last(&self) -> (FunctionName, Call) {
        self.calls.lock().unwrap().last().cloned().expect("a call")
    }
}

async fn with_work(invoker: Arc<dyn Invoker>) -> Api {
    let api = Api::start().await;
    api.world.add_local("work", &["live"], invoker);
    api
}

async fn invoke(api: &Api, name: &str, headers: &str, body: &[u8]) -> Answer {
    api.raw("POST", &format!("{FUNCTIONS}/{name}"), headers, body).await
}

pub fn refused(status: u16, kind: &str, body: Value) -> (u16, String, Value) {
    (status, kind.to_lowercase(), body)
}

pub fn constraint(rest: &str) -> (u16, String, Value) {
    refused(400, "ValidationException", json!({ "message": format!("1 validation error detected: {rest}") }))
}

fn not_found(arn: &str) -> (u16, String, Value) {
    let message = format!("Function not found: {arn}");
    refused(404, "ResourceNotFoundException", json!({ "Type": "User", "Message": message }))
}

fn content(message: &str) -> (u16, String, Value) {
    refused(400, "InvalidRequestContentException", json!({ "Type": "User", "message": message }))
}

#[tokio::test]
async fn what_the_function_returns_is_answered_with_its_request_id() {
    let function = Arc::new(Told::default());
    let api = with_work(function.clone()).await;
    let answer = invoke(&api, "work/invocations", "", b"{\"a\" :  1}").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"done\": true}"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-amz-executed-version"), Some("$latest"));
    assert_eq!((answer.header("x-amz-function-error"), answer.header("x-amz-log-result")), (None, None));
    let (name, call) = function.last();
    assert_eq!((name.as_str(), call.payload.as_ref()), (ARN, &b"{\"a\" :  1}"[..]));
    assert_eq!(answer.header("x-amzn-requestid"), Some(call.request_id.unwrap().to_string().as_str()));
    assert_eq!((call.client_context, call.wants_log), (None, false));
}

#[tokio::test]
async fn every_form_of_the_name_and_a_slash_at_the_end_will_do() {
    let function = Arc::new(Told::default());
    let api = with_work(function.clone()).await;
    let encoded = ARN.replace(':', "%3A");
    for (path, told) in [
        ("work/invocations/".to_owned(), ARN.to_owned()),
        ("work/invocations?Qualifier=live".to_owned(), format!("{ARN}:live")),
        ("work:live/invocations?Qualifier=live".to_owned(), format!("{ARN}:live")),
        ("work%3A%24LATEST/invocations".to_owned(), format!("{ARN}:$LATEST")),
        ("111111111111:function:work/invocations".to_owned(), ARN.to_owned()),
        ("function:work/invocations".to_owned(), ARN.to_owned()),
        (format!("{ARN}/invocations"), ARN.to_owned()),
        (format!("{encoded}%3alive/invocations"), format!("{ARN}:live")),
        // Its bare name makes a function local, whatever the account.
        ("222222222222:function:work/invocations".to_owned(), ARN.to_owned()),
    ] {
        let answer = invoke(&api, &path, "", b"").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let (name, call) = function.last();
        assert_eq!((name.as_str(), call.payload.as_ref()), (told.as_str(), &b"{}"[..]), "{path}");
    }
}

#[tokio::test]
async fn what_comes_with_a_call_reaches_the_function_and_what_it_logged_comes_back() {
    let log = Bytes::from_static(b"START\nEND\n");
    let function = Arc::new(Told { log_tail: Some(log), function_error: Some("Unhandled".into()), ..Told::default() });
    let api = with_work(function.clone()).await;
    let context = "eyJjdXN0b20iOnsiYSI6IjEifX0=";
    let headers = format!(
        "x-amz-invocation-type: RequestResponse\r\nx-amz-log-type: Tail\r\nx-amz-client-context: {context}\r\n\
         x-amzn-trace-id: Root=1-67a-9c;Sampled=1;Lineage=1:a:3\r\n"
    );
    let answer = invoke(&api, "work/invocations", &headers, b"null").await;
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, Some("unhandled")));
    assert_eq!(answer.header("x-amz-log-result"), Some("U1RBUlQKRU5ECg==".to_lowercase().as_str()));
    let (_, call) = function.last();
    assert_eq!((call.client_context.as_deref(), call.wants_log), (Some(context), true));
    assert_eq!(call.trace_header.as_deref(), Some("Root=1-67a-9c;Sampled=1;Lineage=1:a:4"));
    let answer = invoke(&api, "work/invocations", "x-amz-log-type: None\r\n", b"null").await;
    assert_eq!((answer.status, answer.header("x-amz-log-result")), (200, None));
}

#[tokio::test]
async fn a_dry_run_looks_and_runs_nothing() {
    let function = Arc::new(Told::default());
    let api = with_work(function.clone()).await;
    let dry = "x-amz-invocation-type: DryRun\r\n";
    let answer = invoke(&api, "work:live/invocations", dry, b"{}").await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert!(answer.header("x-amzn-requestid").is_some());
    assert_eq!(invoke(&api, "work:other/invocations", dry, b"{}").await.error(), not_found(&format!("{ARN}:other")));
    assert!(function.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_function_is_refused_in_awss_words() {
    let api = with_work(Arc::new(Told::default())).await;
    let pattern = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
    for (path, name) in [
        ("a%20b", "a b"),
        ("..%2F..%2Fetc", "../../etc"),
        ("work:1:2", "work:1:2"),
        ("%ff", "%ff"),
        ("arn:aws:sqs:us-east-1:111111111111:work", "arn:aws:sqs:us-east-1:111111111111:work"),
    ] {
        let answer = invoke(&api, &format!("{path}/invocations"), "", b"{}").await.error();
        let rest = format!(
            "Value '{name}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: {pattern}"
        );
        assert_eq!(answer, constraint(&rest), "{path}");
    }
    let long = "f".repeat(257);
    let answer = invoke(&api, &format!("{long}/invocations"), "", b"{}").await.error();
    let rest = format!(
        "Value '{}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 256",
        "f".repeat(256)
    );
    assert_eq!(answer, constraint(&rest));
    for (path, arn) in
        [("work:2/invocations", format!("{ARN}:2")), ("work/invocations?Qualifier=other", format!("{ARN}:other"))]
    {
        assert_eq!(invoke(&api, path, "", b"{}").await.error(), not_found(&arn));
    }
    let mismatch = "The derived qualifier from the function name does not match the specified qualifier.";
    for path in ["work:live/invocations?Qualifier=%24LATEST", "work:live/invocations?Qualifier=2"] {
        let expected = refused(400, "InvalidParameterValueException", json!({ "Type": "User", "message": mismatch }));
        assert_eq!(invoke(&api, path, "", b"{}").await.error(), expected, "{path}");
    }
    let elsewhere = format!("{}/invocations?Qualifier=live", ARN.replace("us-east-1", "eu-west-1"));
    let message = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')";
    let expected = refused(404, "ResourceNotFoundException", json!({ "Type": "User", "Message": message }));
    assert_eq!(invoke(&api, &elsewhere, "", b"{}").await.error(), expected);
}

#[tokio::test]
async fn headers_with_other_values_are_refused() {
    let function = Arc::new(Told::default());
    let api = with_work(function.clone()).await;
    let kinds = "Value 'event' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: \
                 [Event, RequestResponse, DryRun]";
    let logs =
        "Value 'tail' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]";
    let answer = invoke(&api, "work/invocations", "x-amz-invocation-type: event\r\n", b"{}").await.error();
    assert_eq!(answer, constraint(kinds));
    let answer = invoke(&api, "work/invocations", "x-amz-log-type: tail\r\n", b"{}").await.error();
    assert_eq!(answer, constraint(logs));
    let both = "x-amz-invocation-type: event\r\nx-amz-log-type: tail\r\n";
    let message = format!("2 validation errors detected: {kinds}; {logs}");
    let expected = refused(400, "ValidationException", json!({ "message": message }));
    assert_eq!(invoke(&api, "work/invocations", both, b"{}").await.error(), expected);
    for context in ["e30", "bm8=", "W10=", "!", "é"] {
        let headers = format!("x-amz-client-context: {context}\r\n");
        let answer = invoke(&api, "work/invocations", &headers, b"{}").await.error();
        assert_eq!(answer, content("Client context must be a valid Base64-encoded JSON object."), "{context}");
    }
    let headers = format!("x-amz-client-context: {}\r\n", "A".repeat(3_584));
    let answer = invoke(&api, "work/invocations", &headers, b"{}").await.error();
    assert_eq!(answer, content("Client context must be at most 3583 bytes long, and has 3584."));
    assert!(function.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn payloads_that_are_no_json_are_refused_with_their_place() {
    let function = Arc::new(Told::default());
    let api = with_work(function.clone()).await;
    let values = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
    for (body, said, column) in [
        (&b"n\x87r"[..], "Invalid UTF-8 start byte 0x87".to_owned(), 3),
        (b"\x99", format!("Unexpected character ((CTRL-CHAR, code 153)): expected a valid value {values}"), 1),
        (b"hello", format!("Unrecognized token 'hello': was expecting {values}"), 6),
    ] {
        for kind in ["RequestResponse", "Event"] {
            let headers = format!("x-amz-invocation-type: {kind}\r\n");
            let message = format!(
                "Could not parse request body into json: Could not parse payload into json: {said}\n at [Source: REDACTED \
                 (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: {column}]"
            );
            assert_eq!(invoke(&api, "work/invocations", &headers, body).await.error(), content(&message));
        }
    }
    assert!(function.calls.lock().unwrap().is_empty() && api.queue.is_empty());
}

#[tokio::test]
async fn payloads_have_their_limit() {
    let function = Arc::new(Told::default());
    let api = with_work(function.clone()).await;
    let limit = 6 * 1_024 * 1_024;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2)).into_bytes();
    assert_eq!(invoke(&api, "work/invocations", "", &text(limit)).await.status, 200);
    assert_eq!(function.last().1.payload.len(), limit);
    let message = "Request must be smaller than 6291456 bytes for the InvokeFunction operation";
    let expected = refused(413, "RequestEntityTooLargeException", json!({ "Message": message }));
    assert_eq!(invoke(&api, "work/invocations", "", &text(limit + 1)).await.error(), expected);
    assert_eq!(function.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn functions_that_cannot_run_are_told_apart() {
    let throttled = Reply::Refuses(ErrorKind::Throttled { retry_after: None });
    let api = with_work(Arc::new(FakeInvoker::scripted([throttled, Reply::Refuses(ErrorKind::Refused)]))).await;
    let body = json!({
        "Type": "User", "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "message": "Rate Exceeded.",
    });
    let answer = invoke(&api, "work/invocations", "", b"{}").await.error();
    assert_eq!(answer, refused(429, "TooManyRequestsException", body));
    let body = json!({ "Type": "Service", "Message": "The function could not be invoked: refused" });
    assert_eq!(invoke(&api, "work/invocations", "", b"{}").await.error(), refused(500, "ServiceException", body));
    assert_eq!(invoke(&api, "work/invocations", "", b"{}").await.status, 200);
}

#[tokio::test]
async fn a_circle_of_functions_ends() {
    let function = Arc::new(Told::default());
    let api = with_work(function.clone()).await;
    let after = async |hops: u32| {
        let headers = format!("x-amzn-trace-id: Root=1-67a-9c;Lineage=1:a:{hops}\r\n");
        invoke(&api, "work/invocations", &headers, b"{}").await
    };
    assert_eq!(after(16).await.status, 200);
    let (status, kind, body) = after(17).await.error();
    assert_eq!((status, kind.as_str(), &body["Type"]), (400, "recursiveinvocationexception", &json!("User")));
    assert!(body["Message"].as_str().unwrap().contains("More than 16 functions"), "{body}");
    assert_eq!(function.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn functions_of_the_upstream_are_invoked_there_as_they_came() {
    let api = with_work(Arc::new(Told::default())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    *api.world.upstream.lock().unwrap() = Some(format!("http://{}", listener.local_addr().unwrap()));
    for (path, kind) in [
        ("other/invocations?Qualifier=%24LATEST", "RequestResponse"),
        ("arn%3Aaws:lambda:eu-west-1:222222222222:function:other:1/invocations/", "DryRun"),
    ] {
        let serving = async {
            let mut stream = tokio::time::timeout(LIMIT, listener.accept()).await.expect("a request").unwrap().0;
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\nno json") {
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                bytes.push(byte[0]);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nx-amzn-requestid: theirs\r\ncontent-length: 4\r\n\r\nbody")
                .await
                .unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let headers = format!("x-amz-invocation-type: {kind}\r\nx-amz-client-context: whatever\r\n");
        let (request, answer) = tokio::join!(serving, invoke(&api, path, &headers, b"no json"));
        assert!(request.starts_with(&format!("POST {FUNCTIONS}/{path} HTTP/1.1\r\n")), "{request}");
        assert_eq!((answer.header("x-amzn-requestid"), answer.text().as_str()), (Some("theirs"), "body"));
    }
    assert!(api.world.asked.lock().unwrap().is_empty());
}

/// A function may run for 15 minutes, and the client can only wait.
#[tokio::test]
async fn a_client_that_waits_for_a_function_is_not_cut_off() {
    let function = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(900)));
    let api = with_work(function.clone()).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    let head = format!("POST {FUNCTIONS}/work/invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    client.write_all(format!("{head}content-length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
    eventually("an invocation", LIMIT, async || !function.seen().is_empty()).await;
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(899), "{:?}", start.elapsed());
    assert_eq!((Answer::read(&bytes).status, Answer::read(&bytes).text().as_str()), (200, "null"));
}

/// Never answers, and tells when it was dropped.
#[derive(Default)]
struct Endless {
    begun: AtomicBool,
    dropped: Arc<AtomicBool>,
}

#[async_trait]
impl Invoker for Endless {
    async fn call(&self, _: &FunctionName, _: Call) -> Result<Response, InvokeError> {
        struct Told(Arc<AtomicBool>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _told = Told(self.dropped.clone());
        self.begun.store(true, Ordering::Relaxed);
        std::future::pending().await
    }
}

#[tokio::test]
async fn nobody_works_for_a_client_that_is_gone() {
    let function = Arc::new(Endless::default());
    let api = with_work(function.clone()).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    let head = format!("POST {FUNCTIONS}/work/invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}");
    client.write_all(head.as_bytes()).await.unwrap();
    eventually("an invocation", LIMIT, async || function.begun.load(Ordering::Relaxed)).await;
    assert!(!function.dropped.load(Ordering::Relaxed));
    assert_eq!(api.under_way.len(), 1);
    drop(client);
    eventually("the end of it", LIMIT, async || function.dropped.load(Ordering::Relaxed)).await;
    eventually("nothing under way", LIMIT, async || api.under_way.is_empty()).await;
}
