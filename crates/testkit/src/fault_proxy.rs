//! A reverse proxy between Pelton and a real backend that goes wrong by rule and seed.
//!
//! Which call fails and how depends on the seed, the operation and the how-manieth call of it this is, so that a seed
//! gives the same faults however calls of different operations interleave.
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The backend gets the call a little later.
    Delay,
    /// The connection is closed, and the backend never sees the call.
    Reset,
    /// Status 500 in the backend's place.
    InternalError,
    /// Status 503 in the backend's place.
    Unavailable,
    /// The service's own error for too many calls, in the backend's place.
    Throttle,
    /// The backend acts, and the connection is closed instead of its answer.
    DropResponse,
    /// The backend acts, and its answer is cut in half, or one of its bytes is made one that no text has.
    Garble,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Delay,
        Self::Reset,
        Self::InternalError,
        Self::Unavailable,
        Self::Throttle,
        Self::DropResponse,
        Self::Garble,
    ];
}

/// Which calls go wrong, and how. The first rule that names an operation counts for it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Such as `ReceiveMessage`, `DeleteMessageBatch`, `Invoke`; none means every operation.
    pub operations: &'static [&'static str],
    /// 0 to 100: the share of calls that go wrong.
    pub percent: u64,
    /// What can go wrong, each as likely as the others. Not empty.
    pub kinds: &'static [Kind],
}

impl Rule {
    /// Everything can go wrong, in this share of all calls.
    pub fn everything(percent: u64) -> Self {
        Self { operations: &[], percent, kinds: Kind::ALL }
    }

    fn is_about(&self, operation: &str) -> bool {
        self.operations.is_empty() || self.operations.contains(&operation)
    }
}

/// The longest [`Kind::Delay`], in milliseconds.
const LONGEST_DELAY: u64 = 300;

/// Forwards to a backend, more or less. Ends with its value.
#[derive(Debug)]
pub struct FaultProxy {
    /// What to use instead of the backend's endpoint.
    pub endpoint: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    seed: u64,
    rules: Vec<Rule>,
    hangs: AtomicBool,
    calls: Mutex<BTreeMap<String, Calls>>,
}

impl Calls {
    /// How many went wrong.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }
}

/// What became of the calls of one operation.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// All of them.
    pub count: u64,
    /// Those that something went wrong with.
    pub faults: BTreeMap<Kind, u64>,
}

/// Ends the connection: hyper closes it when a service gives an error.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

impl FaultProxy {
    /// In front of an endpoint such as `http://127.0.0.1:4566`.
    pub async fn start(endpoint: &str, seed: u64, rules: Vec<Rule>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let shared = Arc::new(Shared {
            target: endpoint.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            seed,
            rules,
            hangs: AtomicBool::new(false),
            calls: Mutex::default(),
        });
        let endpoint = format!("http://{}", listener.local_addr()?);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone()));
        Ok(Self { endpoint, shared, _tasks: tasks })
    }

    /// While it hangs, connections are accepted and calls never answered, not even after it is over.
    pub fn hang(&self, hangs: bool) {
        self.shared.hangs.store(hangs, Ordering::Relaxed);
    }

    /// What became of the calls so far, by operation.
    pub fn calls(&self) -> BTreeMap<String, Calls> {
        self.shared.calls().clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let shared = shared.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| shared.answer(request));
                    // An error is a connection that was closed, by either side.
                    let _closed = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, Calls>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let operation = operation(&head.method, &head.headers, head.uri.path(), &body);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<Infallible>().await;
        }
        let (fault, mut random) = self.draw(&operation);
        match fault {
            Some(Kind::Delay) => tokio::time::sleep(Duration::from_millis(random.u64(1..=LONGEST_DELAY))).await,
            Some(Kind::Reset) => return Err(Closed),
            Some(Kind::InternalError) => return Ok(status(StatusCode::INTERNAL_SERVER_ERROR, "<html>oops</html>")),
            Some(Kind::Unavailable) => return Ok(status(StatusCode::SERVICE_UNAVAILABLE, "")),
            Some(Kind::Throttle) => return Ok(throttle(&operation, target(&head.headers))),
            Some(Kind::DropResponse | Kind::Garble) | None => {}
        }
        let uri: Uri = format!("{}{}", self.target, head.uri).parse().map_err(|_| Closed)?;
        let mut forwarded = Request::builder().method(head.method).uri(uri);
        for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host" && *name != "connection") {
            forwarded = forwarded.header(name, value);
        }
        let forwarded = forwarded.body(Full::new(body)).map_err(|_| Closed)?;
        let answer = self.client.request(forwarded).await.map_err(|_| Closed)?;
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        if fault == Some(Kind::DropResponse) {
            return Err(Closed);
        }
        let body = if fault == Some(Kind::Garble) { garble(&body, &mut random) } else { body };
        head.headers.remove("transfer-encoding");
        head.headers.insert("content-length", body.len().into());
        Ok(Response::from_parts(head, Full::new(body)))
    }

    /// What is to go wrong with the next call of an operation.
    fn draw(&self, operation: &str) -> (Option<Kind>, fastrand::Rng) {
        let mut calls = self.calls();
        let calls = calls.entry(operation.to_owned()).or_default();
        calls.count += 1;
        let name = operation.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let mut random = fastrand::Rng::with_seed(self.seed ^ name.rotate_left(32) ^ calls.count);
        let rule = self.rules.iter().find(|rule| rule.is_about(operation));
        let rule = rule.filter(|rule| random.u64(0..100) < rule.percent);
        let fault = rule.map(|rule| rule.kinds[random.usize(..rule.kinds.len())]);
        if let Some(kind) = fault {
            *calls.faults.entry(kind).or_default() += 1;
        }
        (fault, random)
    }
}

/// `DynamoDB_20120810.UpdateItem` and the like, which the services that take JSON are sent.
fn target(headers: &hyper::HeaderMap) -> &str {
    headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default()
}

/// `ReceiveMessage`, `GetRecords`, `Invoke`, `PutObject`, `Publish`: what AWS calls it.
fn operation(method: &Method, headers: &hyper::HeaderMap, path: &str, body: &[u8]) -> String {
    if let Some((_, operation)) = target(headers).rsplit_once('.') {
        return operation.to_owned();
    }
    if path.starts_with("/2015-03-31/functions/") {
        return "Invoke".into();
    }
    // S3 names its operations by method and path; of those on objects only this one is in use here.
    if *method == Method::PUT {
        return "PutObject".into();
    }
    let body = String::from_utf8_lossy(body);
    let action = body.split('&').find_map(|field| field.strip_prefix("Action="));
    action.unwrap_or("other").to_owned()
}

fn garble(body: &Bytes, random: &mut fastrand::Rng) -> Bytes {
    if body.is_empty() || random.bool() {
        return body.slice(..body.len() / 2);
    }
    let mut garbled = body.to_vec();
    garbled[random.usize(..body.len())] = 0xff;
    garbled.into()
}

fn status(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response
}

/// As the service of an operation says that there are too many calls.
fn throttle(operation: &str, target: &str) -> Response<Full<Bytes>> {
    let service = target.split('_').next().unwrap_or_default();
    let (code, name, body) = match (operation, service) {
        ("Invoke", _) => (
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequestsException",
            r#"{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
        ),
        ("PutObject", _) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "SlowDown",
            "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
        ),
        (_, "Kinesis" | "DynamoDB") => (
            StatusCode::BAD_REQUEST,
            "ProvisionedThroughputExceededException",
            r#"{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}"#,
        ),
        (_, "DynamoDBStreams") => (
            StatusCode::BAD_REQUEST,
            "LimitExceededException",
            r#"{"__type":"LimitExceededException","message":"Rate exceeded"}"#,
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            "RequestThrottled",
            r#"{"__type":"com.amazonaws.sqs#RequestThrottled","message":"Request is throttled."}"#,
        ),
    };
    let mut response = status(code, body);
    response.headers_mut().insert("x-amzn-errortype", hyper::header::HeaderValue::from_static(name));
    response
}
