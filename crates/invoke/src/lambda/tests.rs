//! Against a server that answers what real ones answer on a bad day.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::{Client, Config};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response as HttpResponse};
use bytes::Bytes;
use pelton_core::{Call, ErrorKind, FunctionName, InvokeError, Invoker as _, Response};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::LambdaInvoker;

fn client(port: u16) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .build();
    Client::from_conf(config)
}

async fn invoke(client: Client, function: &str) -> Result<Response, InvokeError> {
    let function: FunctionName = function.parse().unwrap();
    LambdaInvoker::new(client).invoke(&function, Bytes::from_static(b"{}")).await
}

/// Serves one kind of answer, counting the requests.
struct Server {
    port: u16,
    requests: tokio::sync::mpsc::Receiver<String>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(answer: impl Fn() -> HttpResponse<Body> + Clone + Send + Sync + 'static) -> Self {
        Self::start_with(answer, |_| {}).await
    }

    /// Shows the headers of each request.
    async fn start_with(
        answer: impl Fn() -> HttpResponse<Body> + Clone + Send + Sync + 'static,
        show: impl Fn(&HeaderMap) + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = tokio::sync::mpsc::channel(64);
        let router = Router::new().fallback(move |request: Request| {
            let (sender, answer) = (sender.clone(), answer.clone());
            show(request.headers());
            async move {
                let invocation_type = request.headers()["x-amz-invocation-type"].to_str().unwrap();
                sender.send(format!("{} {} {invocation_type}", request.method(), request.uri())).await.unwrap();
                answer()
            }
        });
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, requests, _task: task }
    }

    /// An answer in Lambda's form.
    async fn refusing(status: u16, code: &'static str) -> Self {
        Self::start(move || {
            HttpResponse::builder()
                .status(status)
                .header("x-amzn-errortype", code)
                .header("retry-after", "7")
                .body(Body::from(r#"{"Type":"User","Message":"as it happens"}"#))
                .unwrap()
        })
        .await
    }
}

#[tokio::test]
async fn sends_the_name_as_written_and_reads_the_answer() {
    let mut server = Server::start(|| {
        HttpResponse::builder()
            .header("x-amzn-requestid", "r-1")
            .header("x-amz-executed-version", "7")
            .header("x-amz-function-error", "Unhandled")
            .body(Body::from(r#"{"errorMessage":"no stock"}"#))
            .unwrap()
    })
    .await;
    for (name, path) in [
        ("work", "work"),
        ("work:live", "work%3Alive"),
        (
            "arn:aws:lambda:us-east-1:000000000000:function:work:7",
            "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Awork%3A7",
        ),
    ] {
        let response = invoke(client(server.port), name).await.unwrap();
        assert_eq!(
            response,
            Response {
                request_id: "r-1".into(),
                status_code: 200,
                executed_version: "7".into(),
                function_error: Some("Unhandled".into()),
                payload: Bytes::from_static(br#"{"errorMessage":"no stock"}"#),
                log_tail: None,
            }
        );
        let request = server.requests.recv().await.unwrap();
        assert_eq!(request, format!("POST /2015-03-31/functions/{path}/invocations RequestResponse"));
    }
}

/// Sets the header that the SDK sets from Pelton's own environment, at the same moment.
#[derive(Debug)]
struct OwnTrace;

#[dyn_dispatch_hint]
impl Intercept for OwnTrace {
    fn name(&self) -> &'static str {
        "OwnTrace"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert("x-amzn-trace-id", "Root=1-of-pelton");
        Ok(())
    }
}

#[tokio::test]
async fn sends_what_belongs_to_the_call_and_reads_the_log() {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let (server, seen) = {
        let headers = Arc::clone(&seen);
        let answer = || HttpResponse::builder().header("x-amz-log-result", "U1RBUlQK").body(Body::from("1")).unwrap();
        (Server::start_with(answer, move |request| headers.lock().unwrap().push(request.clone())).await, seen)
    };
    let function: FunctionName = "work".parse().unwrap();
    let config = client(server.port).config().to_builder().interceptor(OwnTrace).build();
    for client in [client(server.port), Client::from_conf(config)] {
        let call = Call {
            payload: Bytes::from_static(b"{}"),
            request_id: Some(uuid::Uuid::new_v4()),
            trace_header: Some("Root=1-5f-9c;Lineage=1:pelton:3".into()),
            client_context: Some("eyJhIjoxfQ==".into()),
            wants_log: true,
        };
        let response = LambdaInvoker::new(client).call(&function, call).await.unwrap();
        assert_eq!(response.log_tail.as_deref(), Some(&b"START\n"[..]));
        let headers = seen.lock().unwrap().pop().unwrap();
        assert_eq!(headers.get_all("x-amzn-trace-id").iter().collect::<Vec<_>>(), ["Root=1-5f-9c;Lineage=1:pelton:3"]);
        assert_eq!(headers["x-amz-client-context"], "eyJhIjoxfQ==");
        assert_eq!(headers["x-amz-log-type"], "Tail");
    }

    let response = invoke(client(server.port), "work").await.unwrap();
    assert_eq!(response.log_tail.as_deref(), Some(&b"START\n"[..]), "what comes unasked does no harm");
    let headers = seen.lock().unwrap().pop().unwrap();
    for name in ["x-amzn-trace-id", "x-amz-client-context", "x-amz-log-type"] {
        assert_eq!(headers.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_log_that_is_no_base64_is_none() {
    let answer = || HttpResponse::builder().header("x-amz-log-result", "no Base64!").body(Body::from("1")).unwrap();
    let server = Server::start(answer).await;
    assert_eq!(invoke(client(server.port), "work").await.unwrap().log_tail, None);
}

#[tokio::test]
async fn each_refusal_asks_for_the_right_thing_and_is_asked_once() {
    let throttled = ErrorKind::Throttled { retry_after: Some(Duration::from_secs(7)) };
    for (status, code, expected) in [
        (429, "TooManyRequestsException", throttled),
        (500, "ServiceException", ErrorKind::Transient),
        (502, "EFSIOException", ErrorKind::Transient),
        (503, "ServiceUnavailableException", ErrorKind::Transient),
        (504, "GatewayTimeout", ErrorKind::Transient),
        (409, "ResourceConflictException", ErrorKind::Transient),
        (409, "SnapStartNotReadyException", ErrorKind::Transient),
        (404, "ResourceNotFoundException", ErrorKind::Refused),
        (403, "AccessDeniedException", ErrorKind::Refused),
        (413, "RequestTooLargeException", ErrorKind::Payload),
        (400, "InvalidRequestContentException", ErrorKind::Payload),
    ] {
        let mut server = Server::refusing(status, code).await;
        let error = invoke(client(server.port), "work").await.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        assert_eq!(error.to_string(), format!("work: {code}: as it happens"));
        server.requests.recv().await.unwrap();
        assert!(server.requests.try_recv().is_err(), "{code} is not retried here");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_lambdas_is_transient() {
    for status in [404, 429, 502, 503, 504] {
        let server = Server::start(move || {
            HttpResponse::builder().status(status).body(Body::from("<html>Bad Gateway</html>")).unwrap()
        })
        .await;
        let error = invoke(client(server.port), "work").await.unwrap_err();
        let expected = if status == 429 { ErrorKind::Throttled { retry_after: None } } else { ErrorKind::Transient };
        assert_eq!(error.kind, expected, "{error}");
        assert!(error.message.contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn no_server_is_transient() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = invoke(client(port), "work").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
}

#[tokio::test]
async fn silence_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(200)).build();
    let invoker = LambdaInvoker::with_timeouts(client(listener.local_addr().unwrap().port()), timeouts);
    let error = invoker.invoke(&"work".parse().unwrap(), Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
}

#[test]
fn waits_longer_than_the_longest_function() {
    let invoker = LambdaInvoker::new(client(1));
    let timeouts = invoker.client.config().timeout_config().unwrap();
    for timeout in [timeouts.read_timeout(), timeouts.operation_attempt_timeout(), timeouts.operation_timeout()] {
        assert!(timeout.unwrap() > Duration::from_secs(15 * 60));
    }
    assert!(timeouts.connect_timeout().unwrap() <= Duration::from_secs(10));
    assert_eq!(invoker.client.config().retry_config().unwrap().max_attempts(), 1);
}

/// Sends raw bytes as the answer to one request.
async fn invoke_raw(answer: Vec<u8>) -> Result<Response, InvokeError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(connection.read(&mut request).await.unwrap() > 0);
        // The client may hang up on garbage before it has all of it.
        let _sent = connection.write_all(&answer).await;
        let _closed = connection.shutdown().await;
    };
    tokio::join!(invoke(client(port), "work"), serve).0
}

#[tokio::test]
async fn a_truncated_answer_is_transient() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"ha",
        b"HTTP/1.1 2",
        b"",
        b"no HTTP at all\r\n\r\n",
    ] {
        let error = invoke_raw(answer.to_vec()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_is_an_answer_or_an_error(
        status in 200u16..600,
        code in "[A-Za-z#:]{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut answer = format!(
            "HTTP/1.1 {status} X\r\nx-amzn-errortype: {code}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(invoke_raw(answer)) {
            Ok(response) => prop_assert!((200..400).contains(&response.status_code)),
            Err(error) => prop_assert!(!error.message.is_empty()),
        }
    }
}
