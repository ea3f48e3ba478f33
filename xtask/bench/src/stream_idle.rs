//! Streams on which little happens: how soon a record reaches the function, and what many shards cost.
use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_kinesis::primitives::Blob;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use crate::Extent;
use crate::backend::Backend;
use crate::idle::{processor_seconds, resident_mebibytes};
use crate::pelton::{NO_OPERATION, Setup};
use crate::row::{Goal, Row};
use crate::statistics::percentile;

/// What Pelton's poll interval is on emulators.
const POLL_INTERVAL: f64 = 200.0;
const PAUSE: Duration = Duration::from_millis(730);
const LIMIT: Duration = Duration::from_secs(60);
/// The longest that a mapping may ask for: hardly any reads remain.
const LONGEST_INTERVAL: u32 = 60_000;

/// Writes down when it starts, before anything else.
const FUNCTION: &str = r#"
import base64
import os
import time

started = os.open(os.environ["STARTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handler(event, context):
    now = time.time_ns()
    for record in event["Records"]:
        os.write(started, b"%s %d\n" % (base64.b64decode(record["kinesis"]["data"]), now))
"#;

/// From the answer of PutRecord to the first line of the function.
pub async fn delay(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let stream = backend.kinesis_stream(1, 0).await?;
    let mapping = json!({"EventSourceArn": stream.arn, "FunctionName": "work", "StartingPosition": "LATEST"});
    let setup = Setup::with_mappings(backend, vec![mapping], FUNCTION, 1)?;
    let mut pelton = setup.start()?;
    pelton.wait_until_enabled(1).await?;
    let count = extent.rounds * 5;
    let mut sent = Vec::new();
    for number in 0..count {
        // Pauses that are no multiple of the poll interval, so that records meet it at every phase.
        tokio::time::sleep(PAUSE + Duration::from_millis(number as u64 * 37 % 200)).await;
        let put = backend.kinesis.put_record().stream_name(&stream.name).partition_key("key");
        put.data(Blob::new(number.to_string())).send().await.context("putting a record")?;
        sent.push(Timestamp::now());
    }
    let started = Instant::now();
    let starts: HashMap<usize, Timestamp> = loop {
        let text = std::fs::read_to_string(setup.started_file()).unwrap_or_default();
        let starts: HashMap<usize, Timestamp> = text.lines().filter_map(start).collect();
        if starts.len() >= count {
            break starts;
        }
        ensure!(started.elapsed() < LIMIT, "{} of {count} records arrived", starts.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    pelton.stop().await?;
    backend.remove_stream(&stream).await?;
    let delay = |number: usize| Some(starts.get(&number)?.duration_since(sent[number]).as_secs_f64() * 1_000.0);
    let delays: Vec<f64> = (0..count).filter_map(delay).collect();
    let row = |name: &str, percent, goal| {
        let what =
            format!("put to function start, Kinesis on {}, poll interval 200 ms, {name} of {count}", backend.name);
        let measured = percentile(&delays, percent).context("no sample")?;
        anyhow::Ok(Row { what, measured, unit: "ms", compared: None, goal })
    };
    Ok(vec![row("p50", 50, Goal::AtMost(POLL_INTERVAL / 2.0 + 10.0))?, row("p99", 99, Goal::None)?])
}

fn start(line: &str) -> Option<(usize, Timestamp)> {
    let (number, at) = line.split_once(' ')?;
    Some((number.parse().ok()?, Timestamp::from_nanosecond(at.parse().ok()?).ok()?))
}

/// Memory and processor time of one Pelton with many idle shards.
pub async fn idle(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let shards = i32::try_from(extent.shards)?;
    let stream = backend.kinesis_stream(shards, 0).await?;
    let mut rows = Vec::new();
    for interval in [LONGEST_INTERVAL, 1_000] {
        let mapping = json!({
            "EventSourceArn": stream.arn, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON",
            "PollIntervalMilliseconds": interval,
        });
        let setup = Setup::with_mappings(backend, vec![mapping], NO_OPERATION, 1)?;
        let mut pelton = setup.start()?;
        pelton.wait_until_enabled(1).await?;
        tokio::time::sleep(extent.settle).await;
        let process = pelton.id()?;
        let before = processor_seconds(process)?;
        tokio::time::sleep(extent.watch).await;
        let busy = 100.0 * (processor_seconds(process)? - before) / extent.watch.as_secs_f64();
        let memory = resident_mebibytes(process)?;
        pelton.stop().await?;
        let reads = f64::from(shards) * 1_000.0 / f64::from(interval);
        let what = |what: &str| format!("{what} with {shards} idle shards on {}, {reads:.0} reads/s", backend.name);
        let (memory_goal, time_goal) = if interval == LONGEST_INTERVAL {
            (Goal::AtMost(150.0), Goal::AtMost(5.0))
        } else {
            (Goal::None, Goal::None)
        };
        let row = |what, measured, unit, goal| Row { what, measured, unit, compared: None, goal };
        rows.push(row(what("resident memory"), memory, "MiB", memory_goal));
        rows.push(row(what("processor time"), busy, "% of one core", time_goal));
    }
    backend.remove_stream(&stream).await?;
    Ok(rows)
}
