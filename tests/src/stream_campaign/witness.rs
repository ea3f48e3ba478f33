//! A function behind the Lambda API that notes all it is asked. It has as many doors as wanted, each with an endpoint of
//! its own, so that it is known which process has asked.
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The door it came through.
    pub door: usize,
    /// The shard of its records; DynamoDB's events don't tell it.
    pub shard: String,
    /// When it began.
    pub start: Instant,
    /// When it was answered; `None` while it runs, or if the caller has gone away meanwhile.
    pub end: Option<Instant>,
    /// Its records, each with its number and its sequence number.
    pub records: Vec<(u64, String)>,
    /// So many of them, from the first on, were processed.
    pub processed: usize,
}

#[derive(Debug, Default)]
struct Notes {
    invocations: Vec<Invocation>,
    /// In the order in which they were processed, again for each time.
    processed: Vec<u64>,
    /// The same, each number once.
    done: BTreeSet<u64>,
    /// That were ever given to the function.
    offered: BTreeSet<u64>,
}

/// The function. Ends with its value.
///
/// A record is `{"n":3,"do":"…"}`: `fail` always fails; `fail once` does so the first time, `raise once` fails its whole
/// batch the first time. It processes records one after the other, stops at the first that fails, and returns that one as
/// `batchItemFailures`. It takes 20 to 60 ms.
#[derive(Debug, Default)]
pub struct Witness {
    notes: Arc<Mutex<Notes>>,
    doors: Mutex<JoinSet<()>>,
}

impl Witness {
    /// Opens another door, and gives its URL. The first one has the number 0.
    pub async fn door(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut doors = self.doors.lock().unwrap();
        let number = doors.len();
        doors.spawn(accept(listener, self.notes.clone(), number));
        endpoint
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    /// All invocations, in the order of their starts.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.notes().invocations.clone()
    }

    /// Those that began at a time or later.
    pub fn invocations_since(&self, at: Instant) -> Vec<Invocation> {
        let notes = self.notes();
        let first = notes.invocations.partition_point(|invocation| invocation.start < at);
        notes.invocations[first..].to_vec()
    }

    /// The numbers of the records in the order in which they were processed, again for each time.
    pub fn processed(&self) -> Vec<u64> {
        self.notes().processed.clone()
    }

    /// How many different records were processed.
    pub fn done(&self) -> usize {
        self.notes().done.len()
    }
}

async fn accept(listener: TcpListener, notes: Arc<Mutex<Notes>>, door: usize) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let notes = notes.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &notes, door));
            // An error is a connection that the other side has cut.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

struct Order {
    number: u64,
    id: String,
    what: String,
}

async fn answer(
    request: Request<Incoming>,
    notes: &Mutex<Notes>,
    door: usize,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        // GetFunctionConfiguration: Kinesis events name the function's role.
        let configuration = json!({ "FunctionName": "work", "Role": "arn:aws:iam::000000000000:role/work" });
        return Ok(Response::new(Full::new(configuration.to_string().into())));
    }
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::default()) };
    let event: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    let records = event["Records"].as_array().unwrap();
    let orders: Vec<Order> = records.iter().map(order).collect();
    let shard = records[0]["eventID"].as_str().unwrap().split_once(':').map_or("", |(shard, _)| shard).to_owned();
    let first = orders[0].number;
    let records = orders.iter().map(|order| (order.number, order.id.clone())).collect();
    let index = {
        let mut notes = notes.lock().unwrap();
        let start = Instant::now();
        notes.invocations.push(Invocation { door, shard, start, end: None, records, processed: 0 });
        notes.invocations.len() - 1
    };
    tokio::time::sleep(Duration::from_millis(20 + first % 41)).await;
    Ok(notes.lock().unwrap().work(index, &orders))
}

impl Notes {
    fn work(&mut self, index: usize, orders: &[Order]) -> Response<Full<Bytes>> {
        let first_time: Vec<bool> = orders.iter().map(|order| self.offered.insert(order.number)).collect();
        let says = |what: &str, at: usize| orders[at].what == what;
        let raises = (0..orders.len()).any(|at| says("raise once", at) && first_time[at]);
        let fails = |at: &usize| says("fail", *at) || (says("fail once", *at) && first_time[*at]);
        let failed = if raises { Some(0) } else { (0..orders.len()).find(fails) };
        let processed = failed.unwrap_or(orders.len());
        self.processed.extend(orders[..processed].iter().map(|order| order.number));
        self.done.extend(orders[..processed].iter().map(|order| order.number));
        let invocation = &mut self.invocations[index];
        invocation.end = Some(Instant::now());
        invocation.processed = processed;
        if raises {
            let error = json!({ "errorMessage": "told to", "errorType": "RuntimeError" });
            let response = Response::builder().header("X-Amz-Function-Error", "Unhandled");
            return response.body(Full::new(error.to_string().into())).unwrap();
        }
        let failures: Vec<Value> = failed.iter().map(|at| json!({ "itemIdentifier": orders[*at].id })).collect();
        Response::new(Full::new(json!({ "batchItemFailures": failures }).to_string().into()))
    }
}

fn order(record: &Value) -> Order {
    let (text, id) = match record["kinesis"]["data"].as_str() {
        Some(data) => {
            (String::from_utf8(BASE64_STANDARD.decode(data).unwrap()).unwrap(), &record["kinesis"]["sequenceNumber"])
        }
        None => {
            let body = record["dynamodb"]["NewImage"]["body"]["S"].as_str().unwrap();
            (body.to_owned(), &record["dynamodb"]["SequenceNumber"])
        }
    };
    let text: Value = serde_json::from_str(&text).unwrap();
    Order {
        number: text["n"].as_u64().unwrap(),
        id: id.as_str().unwrap().to_owned(),
        what: text["do"].as_str().unwrap_or_default().to_owned(),
    }
}
