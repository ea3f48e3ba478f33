//! A Lambda Invoke API whose one function notes what it is given. It outlives the Pelton that calls it.
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long the function takes for each batch.
const WORK: Duration = Duration::from_millis(30);
/// How long it takes for a message that says `slow`.
const SLOW: Duration = Duration::from_secs(3);

/// Answers `{"batchItemFailures":[…]}`. Ends with its value.
///
/// A body is `{"n":3,"group":"a","do":"…"}`: `fail` always fails, `fail once` fails the first time, `slow` takes 3 s.
/// In an event of a FIFO queue it stops at the first failure and gives back everything from there on.
#[derive(Debug)]
pub struct LambdaServer {
    /// Its URL.
    pub endpoint: String,
    notes: Arc<Mutex<Notes>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Notes {
    /// The numbers of the messages that it was ever given.
    offered: BTreeSet<u64>,
    processed: Vec<u64>,
}

impl LambdaServer {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let notes = Arc::<Mutex<Notes>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, notes.clone()));
        Self { endpoint, notes, _tasks: tasks }
    }

    /// The numbers of the messages in the order in which they were processed, again for each time.
    pub fn processed(&self) -> Vec<u64> {
        self.notes.lock().unwrap().processed.clone()
    }
}

async fn accept(listener: TcpListener, notes: Arc<Mutex<Notes>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let notes = notes.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &notes));
            // An error is a connection that the other side has cut.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, notes: &Mutex<Notes>) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::default()) };
    let event: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    let mut failures = Vec::new();
    tokio::time::sleep(WORK).await;
    for record in event["Records"].as_array().unwrap() {
        let message: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        let number = message["n"].as_u64().unwrap();
        let is_fifo = !record["attributes"]["MessageGroupId"].is_null();
        if is_fifo && !failures.is_empty() {
            failures.push(json!({ "itemIdentifier": record["messageId"] }));
            continue;
        }
        let what = message["do"].as_str().unwrap_or_default();
        let is_first = notes.lock().unwrap().offered.insert(number);
        if what == "slow" {
            tokio::time::sleep(SLOW).await;
        }
        if what == "fail" || (what == "fail once" && is_first) {
            failures.push(json!({ "itemIdentifier": record["messageId"] }));
        } else {
            notes.lock().unwrap().processed.push(number);
        }
    }
    Ok(Response::new(Full::new(json!({ "batchItemFailures": failures }).to_string().into())))
}
