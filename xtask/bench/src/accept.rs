//! How many asynchronous invocations Pelton accepts, durably, over HTTP, and how soon.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Extent;
use crate::pelton::Setup;
use crate::row::{Goal, Row};
use crate::statistics::percentile;

/// What callers keep open.
const CONNECTIONS: usize = 64;
/// Half of the rate that is the goal.
const RATE: f64 = 1_500.0;
const PAYLOAD: usize = 220;
/// Events wait while it is busy with the first.
const BUSY: &str = "import time\n\ndef handler(event, context):\n    time.sleep(600)\n";
/// Nothing is asked for there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A connection that is used again and again.
struct Caller(TcpStream);

impl Caller {
    async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a request whose answer has the status, and reads it whole.
    async fn ask(&mut self, request: &[u8], status: &str) -> anyhow::Result<()> {
        self.0.write_all(request).await?;
        let mut answer = Vec::new();
        loop {
            let mut bytes = [0; 1_024];
            let count = self.0.read(&mut bytes).await?;
            ensure!(count > 0, "the connection was closed: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            ensure!(head.starts_with(&format!("HTTP/1.1 {status} ")), "another answer: {text}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(Ok(0), str::parse)? {
                return Ok(());
            }
        }
    }
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{line} HTTP/1.1\r\nhost: pelton\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// All of it, beside requests that keep nothing.
pub async fn accept(extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let setup = Setup::new(NOWHERE, &[], BUSY, 1)?;
    let mut pelton = setup.start()?;
    pelton.wait_until_it_listens().await?;
    let address = pelton.address().to_owned();
    let body = format!("\"{}\"", "x".repeat(PAYLOAD - 2));
    let event = request("POST /2015-03-31/functions/work/invocations", "x-amz-invocation-type: Event\r\n", &body);
    let health = request("GET /healthz", "", "");
    let length = extent.watch / 3;
    let (mut accepted, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..extent.repetitions {
        bare.push(rate(&address, &health, "200", length).await?);
        accepted.push(rate(&address, &event, "202", length).await?);
    }
    println!("    accepted: {accepted:.0?}/s; /healthz: {bare:.0?}/s");
    let delays = delays(&address, &event, length).await?;
    pelton.kill().await?;
    let of = |figures: &[f64]| crate::statistics::median(figures).context("no run");
    let delay = |percent| percentile(&delays, percent).context("no sample");
    let row = |what: String, measured, unit, goal| Row { what, measured, unit, compared: None, goal };
    Ok(vec![
        Row {
            compared: Some(("GET /healthz".into(), of(&bare)?)),
            ..row(
                format!("asynchronous invocations accepted over HTTP, durable, {CONNECTIONS} connections"),
                of(&accepted)?,
                "/s",
                Goal::AtLeast(3_000.0),
            )
        },
        row(format!("time until one is accepted, {RATE}/s, p50"), delay(50)?, "ms", Goal::None),
        row(format!("time until one is accepted, {RATE}/s, p99"), delay(99)?, "ms", Goal::AtMost(20.0)),
    ])
}

/// Requests a second, each sent when the one before on its connection is answered.
async fn rate(address: &str, request: &[u8], status: &str, length: Duration) -> anyhow::Result<f64> {
    let started = Instant::now();
    let counts = try_join_all((0..CONNECTIONS).map(|_| async move {
        let mut caller = Caller::connect(address).await?;
        let mut count = 0_u32;
        while started.elapsed() < length {
            caller.ask(request, status).await?;
            count += 1;
        }
        anyhow::Ok(count)
    }));
    let count: u32 = counts.await?.into_iter().sum();
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

/// Milliseconds from when each was due to be sent until it was answered, at [`RATE`].
async fn delays(address: &str, request: &[u8], length: Duration) -> anyhow::Result<Vec<f64>> {
    let step = Duration::from_secs_f64(1.0 / RATE);
    let started = Instant::now() + Duration::from_millis(200);
    let of_callers = try_join_all((0..CONNECTIONS).map(|first| async move {
        let mut caller = Caller::connect(address).await?;
        let mut delays = Vec::new();
        let mut due = started + step * u32::try_from(first)?;
        while due < started + length {
            tokio::time::sleep_until(due).await;
            caller.ask(request, "202").await?;
            delays.push(due.elapsed().as_secs_f64() * 1_000.0);
            due += step * u32::try_from(CONNECTIONS)?;
        }
        anyhow::Ok(delays)
    }));
    Ok(of_callers.await?.concat())
}
