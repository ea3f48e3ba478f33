//! The listener over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pelton_api::serve;
use pelton_core::{
    Arn, Cursor, Disposition, ErrorKind, FunctionName, Listing, Mapping, MappingId, PartitionId, Polled, Receipt,
    Redelivery, Source, SourceError, SystemClock, Unsettled,
};
use pelton_engine::{MappingStatus, Plan, Supervisor};
use pelton_testkit::{FakeInvoker, FakeQueue, Reply, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(10);

/// Pelton's listener, and the mappings that it shows.
struct Running {
    address: SocketAddr,
    supervisor: Supervisor,
    stop: CancellationToken,
    serving: JoinSet<Result<(), pelton_api::Error>>,
}

impl Running {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (supervisor, stop) = (Supervisor::new(Arc::new(SystemClock)), CancellationToken::new());
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, supervisor.status(), None, stop.clone()));
        Self { address, supervisor, stop, serving }
    }

    fn map(&mut self, queue: &str, source: Arc<dyn Source>, invoker: FakeInvoker) {
        let event_source = Arn::new("aws", "sqs", "us-east-1", "000000000000", queue).unwrap();
        let function: FunctionName = "work".parse().unwrap();
        let mapping = Mapping {
            id: MappingId::of(queue, "work"),
            function_arn: function.arn(&event_source).unwrap(),
            event_source,
            function,
            enabled: true,
            batch_size: 10,
            batching_window: Duration::ZERO,
            filters: Default::default(),
            report_batch_item_failures: false,
            maximum_concurrency: None,
            on_success: None,
            on_failure: None,
            overflow_bucket: None,
            maximum_retry_attempts: None,
            visibility_heartbeat: true,
            tags: Default::default(),
            stream: None,
        };
        self.supervisor.start(Plan {
            mapping,
            source,
            invoker: Arc::new(invoker),
            on_success: None,
            on_failure: None,
            store: None,
        });
    }

    async fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        tokio::time::timeout(LIMIT, stream.read_to_string(&mut text)).await.expect("an answer").unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: pelton\r\nconnection: close\r\n\r\n")).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    async fn stopped(&mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(LIMIT, self.serving.join_next()).await.expect("the listener stops");
        ended.unwrap().unwrap().unwrap();
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// A source that can't be read until it is told what becomes of it.
struct Waiting(watch::Receiver<Option<bool>>);

#[async_trait]
impl Source for Waiting {
    fn redelivery(&self) -> Redelivery {
        Redelivery::BySource
    }

    async fn partitions(&self) -> Result<Listing, SourceError> {
        let exists = *self.0.clone().wait_for(Option::is_some).await.unwrap();
        match exists {
            Some(true) => Ok(Listing::single()),
            _ => Err(SourceError { message: "there is no such queue".into(), kind: ErrorKind::Refused }),
        }
    }

    async fn poll(&self, _: &PartitionId, _: &mut Cursor, _: usize, wait: Duration) -> Result<Polled, SourceError> {
        tokio::time::sleep(wait).await;
        Ok(Polled::default())
    }

    async fn settle(&self, _: &PartitionId, _: &[(Receipt, Disposition)]) -> Result<Vec<Unsettled>, SourceError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn lives_from_the_start() {
    let running = Running::start().await;
    assert_eq!(running.get("/healthz").await.status, 200);
    assert_eq!(running.get("/readyz").await.status, 200, "nothing to wait for");
    assert_eq!(running.get("/status").await.body, "[]");
}

#[tokio::test]
async fn is_ready_when_every_mapping_polls_or_says_why_not() {
    let mut running = Running::start().await;
    let (decide_first, first) = watch::channel(None);
    let (decide_second, second) = watch::channel(None);
    running.map("first", Arc::new(Waiting(first)), FakeInvoker::scripted([]));
    running.map("second", Arc::new(Waiting(second)), FakeInvoker::scripted([]));
    let answer = running.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("us-east-1:000000000000:first"), "{answer:?}");
    assert_eq!(running.get("/healthz").await.status, 200, "alive all the same");

    decide_first.send_replace(Some(true));
    eventually("only the second one is waited for", LIMIT, async || {
        !running.get("/readyz").await.body.contains(":first")
    })
    .await;
    assert_eq!(running.get("/readyz").await.status, 503);
    decide_second.send_replace(Some(false));
    eventually("ready", LIMIT, async || running.get("/readyz").await.status == 200).await;
}

#[tokio::test]
async fn shows_what_the_mappings_do() {
    let mut running = Running::start().await;
    let queue = Arc::new(FakeQueue::new(Duration::from_secs(30)));
    queue.send("one");
    running.map("orders", queue.clone(), FakeInvoker::deciding(|_| Reply::Returns(serde_json::Value::Null)));
    eventually("the message is deleted", LIMIT, async || running.get("/status").await.body.contains("\"Deleted\":1"))
        .await;

    let answer = running.get("/status").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
    let mappings: Vec<MappingStatus> = serde_json::from_str(&answer.body).expect("the client's own type reads it");
    assert_eq!(mappings.len(), 1);
    assert_eq!(mappings[0].event_source_arn, "arn:aws:sqs:us-east-1:000000000000:orders");
    assert_eq!((mappings[0].polled, mappings[0].invoked, mappings[0].failed), (1, 1, 0));

    let answer = running.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer:?}");
    let line = answer.body.lines().find(|line| line.starts_with("DeletedEventCount_total{")).expect("the counter");
    assert!(line.ends_with(" 1") && line.contains("FunctionName=\"work\""), "{line}");
    assert!(answer.body.ends_with("# EOF\n"), "{answer:?}");
}

#[tokio::test]
async fn says_what_it_does_not_serve() {
    let running = Running::start().await;
    let answer = running.get("/nonsense?secret=1").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body,
        "{\"Message\":\"nothing is at /nonsense: there are /healthz, /readyz, /metrics, /status, /status/functions, and Lambda's API, whose paths begin \
         with a date\"}"
    );
    for method in ["POST", "DELETE", "PUT"] {
        let answer = running.ask(method, "/status").await;
        assert_eq!(answer.status, 405);
        assert!(answer.head.contains("allow: get,head"), "{answer:?}");
        assert_eq!(answer.body, format!("{{\"Message\":\"{method} is not allowed on /status: use GET\"}}"));
    }
    let answer = running.ask("HEAD", "/healthz").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}

#[tokio::test]
async fn nonsense_is_refused_and_harms_nobody() {
    let running = Running::start().await;
    assert_eq!(running.send("nonsense\r\n\r\n").await.status, 400);
    let endless = format!("GET /status HTTP/1.1\r\nhost: pelton\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // The answer may come, and the connection be closed, before everything is written.
    let _ = stream.write_all(endless.as_bytes()).await;
    drop(stream);
    assert_eq!(running.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn silent_clients_are_limited_in_number_and_time() {
    let running = Running::start().await;
    let mut silent = Vec::new();
    for _ in 0..410 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    // Only now, as connecting needs the real clock to be left alone.
    let started = tokio::time::Instant::now();
    tokio::time::pause();
    assert_eq!(running.get_patiently("/healthz").await, 200);
    assert!(started.elapsed() >= Duration::from_secs(25), "it had to wait for a place: {:?}", started.elapsed());
}

#[tokio::test]
async fn stops_though_a_client_has_sent_half_a_request() {
    let mut running = Running::start().await;
    let mut half = TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"GET /status HT").await.unwrap();
    assert_eq!(running.get("/healthz").await.status, 200);
    running.stopped().await;
    TcpStream::connect(running.address).await.unwrap_err();
}

impl Running {
    /// Without a limit of the test's own: in paused time it would be over at once.
    async fn get_patiently(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: pelton\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.split(' ').nth(1).unwrap().parse().unwrap()
    }
}
