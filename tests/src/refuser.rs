//! A proxy that refuses chosen calls in a service's own words.
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// In front of a service that speaks JSON: Kinesis, DynamoDB, DynamoDB Streams. Ends with its value.
#[derive(Debug)]
pub struct Refuser {
    /// What to use instead of the backend's endpoint.
    pub endpoint: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Operation → error code, and how many calls still get it.
    refusals: Mutex<BTreeMap<String, (String, usize)>>,
}

impl Refuser {
    /// In front of an endpoint such as `http://127.0.0.1:4566`. Refuses nothing yet.
    pub async fn start(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            target: endpoint.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            refusals: Mutex::default(),
        });
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone()));
        Self { endpoint, shared, _tasks: tasks }
    }

    /// The next calls of an operation are answered with an error of this code.
    pub fn refuse(&self, operation: &str, code: &str, calls: usize) {
        self.shared.refusals.lock().unwrap().insert(operation.to_owned(), (code.to_owned(), calls));
    }

    /// Calls of an operation that are still to be refused.
    pub fn left(&self, operation: &str) -> usize {
        self.shared.refusals.lock().unwrap().get(operation).map_or(0, |(_, calls)| *calls)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(|request| shared.answer(request));
            // An error is a connection that the other side has cut.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        if let Some(code) = self.refusal(target.rsplit('.').next().unwrap_or_default()) {
            let body = json!({ "__type": code, "message": "told to refuse" }).to_string();
            let answer = Response::builder().status(StatusCode::BAD_REQUEST).header("x-amzn-errortype", code);
            return Ok(answer.body(body.into()).unwrap());
        }
        let Ok(body) = body.collect().await else { return Ok(Response::default()) };
        let uri: Uri = format!("{}{}", self.target, head.uri).parse().unwrap();
        let mut forwarded = Request::builder().method(head.method).uri(uri);
        for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host" && *name != "connection") {
            forwarded = forwarded.header(name, value);
        }
        let answer = self.client.request(forwarded.body(Full::new(body.to_bytes())).unwrap()).await.unwrap();
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        head.headers.remove("transfer-encoding");
        Ok(Response::from_parts(head, Full::new(body)))
    }

    fn refusal(&self, operation: &str) -> Option<String> {
        let mut refusals = self.refusals.lock().unwrap();
        let (code, calls) = refusals.get_mut(operation).filter(|(_, calls)| *calls > 0)?;
        *calls -= 1;
        Some(code.clone())
    }
}
