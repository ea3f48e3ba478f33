//! How soon after its start Pelton polls.
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Extent;
use crate::backend::Queue;
use crate::pelton::{NO_OPERATION, Setup};
use crate::row::{Goal, Row};
use crate::statistics::median;

const LIMIT: Duration = Duration::from_secs(20);
/// A poll that finds nothing waits, as SQS's does.
const EMPTY_POLL: Duration = Duration::from_secs(1);

/// From the start of the process to the first ReceiveMessage, with one mapping and one local Python function.
pub async fn first_receive(extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let (tell, mut received) = mpsc::channel(100);
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, Router::new().fallback(answer).with_state(tell)).await });
    let queue = Queue { url: String::new(), arn: "arn:aws:sqs:us-east-1:000000000000:bench".into() };
    let mut samples = Vec::new();
    for _ in 0..extent.starts {
        let setup = Setup::new(&endpoint, std::slice::from_ref(&queue), NO_OPERATION, 1)?;
        while received.try_recv().is_ok() {}
        let started = Instant::now();
        let pelton = setup.start()?;
        let at = tokio::time::timeout(LIMIT, received.recv()).await.context("no ReceiveMessage")?;
        let at: Instant = at.context("the server has ended")?;
        samples.push((at - started).as_secs_f64() * 1_000.0);
        pelton.stop().await?;
    }
    Ok(vec![Row {
        what: format!("start to first receive, median of {}", samples.len()),
        measured: median(&samples).context("no start")?,
        unit: "ms",
        compared: None,
        goal: Goal::AtMost(150.0),
    }])
}

/// As much of SQS as a poller needs.
async fn answer(State(tell): State<mpsc::Sender<Instant>>, headers: HeaderMap) -> String {
    let now = Instant::now();
    let call = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    match call {
        "AmazonSQS.GetQueueUrl" => r#"{"QueueUrl":"http://localhost/000000000000/bench"}"#.to_owned(),
        "AmazonSQS.GetQueueAttributes" => r#"{"Attributes":{"VisibilityTimeout":"30"}}"#.to_owned(),
        "AmazonSQS.ReceiveMessage" => {
            // Only the first counts; when the channel is full, nobody waits for more.
            let _ = tell.try_send(now);
            tokio::time::sleep(EMPTY_POLL).await;
            "{}".to_owned()
        }
        _ => "{}".to_owned(),
    }
}
