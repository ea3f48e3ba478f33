//! Records a second of preloaded streams: Pelton, bare loops, and MiniStack's own mapper.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, EventSourcePosition, FunctionCode, Runtime};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Extent;
use crate::backend::Backend;
use crate::pelton::{NOTED_NO_OPERATION, Setup};
use crate::row::{Goal, Row};
use crate::statistics::median;
use crate::stream::Stream;
use crate::throughput::zipped;

/// Processes of the no-operation function that Pelton runs.
const CONCURRENCY: usize = 4;
const BATCH: usize = 500;
const STEP: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(180);

/// Writes down how many records it was given.
const COUNTING: &str = "import os

seen = os.open(os.environ['STARTED'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handler(event, context):
    os.write(seen, b'%d\\n' % len(event['Records']))
    return None
";

/// Kinesis with one shard and with four.
pub async fn kinesis(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for shards in [1, 4] {
        let (mut of_pelton, mut of_loop) = (Vec::new(), Vec::new());
        for _ in 0..extent.repetitions {
            let stream = backend.kinesis_stream(shards, extent.records).await?;
            of_loop.push(backend.bare_reads(&stream, extent.records, false).await?);
            of_pelton.push(of_pelton_on(backend, &stream, extent.records).await?);
            backend.remove_stream(&stream).await?;
        }
        let what = format!("Kinesis on {}, {shards} shard(s)", backend.name);
        rows.push(row(what, &of_pelton, "bare GetRecords loop", &of_loop, Goal::RatioAtLeast(0.9))?);
    }
    Ok(rows)
}

/// One DynamoDB stream.
pub async fn dynamodb(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let (mut of_pelton, mut paced, mut unlimited) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.repetitions {
        let stream = backend.table_stream(extent.records).await?;
        paced.push(backend.bare_reads(&stream, extent.records, true).await?);
        unlimited.push(backend.bare_reads(&stream, extent.records, false).await?);
        of_pelton.push(of_pelton_on(backend, &stream, extent.records).await?);
        backend.remove_stream(&stream).await?;
    }
    let what = || "DynamoDB Streams on DynamoDB Local, 1 shard".to_owned();
    Ok(vec![
        row(what(), &of_pelton, "bare loop at five reads a second", &paced, Goal::RatioAtLeast(0.9))?,
        row(what(), &of_pelton, "bare loop without a limit", &unlimited, Goal::None)?,
    ])
}

/// Pelton and MiniStack's own mapper, in turns.
pub async fn beside_ministack(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let (mut of_pelton, mut of_mapper) = (Vec::new(), Vec::new());
    for _ in 0..extent.repetitions {
        let stream = backend.kinesis_stream(1, extent.records).await?;
        of_mapper.push(of_ministack_mapper(backend, &stream, extent.records).await?);
        of_pelton.push(of_pelton_on(backend, &stream, extent.records).await?);
        backend.remove_stream(&stream).await?;
    }
    let what = "Kinesis on MiniStack, 1 shard".to_owned();
    Ok(vec![row(what, &of_pelton, "MiniStack's own mapper", &of_mapper, Goal::RatioAtLeast(1.7))?])
}

fn row(what: String, of_pelton: &[f64], name: &str, others: &[f64], goal: Goal) -> anyhow::Result<Row> {
    println!("    {what}: {name} {others:.0?}, Pelton {of_pelton:.0?} records/s");
    let measured = median(of_pelton).context("no run")?;
    let compared = Some((name.to_owned(), median(others).context("no run")?));
    Ok(Row { what: format!("{what}, batches of {BATCH}"), measured, unit: "records/s", compared, goal })
}

/// From the moment its mapping is in force until every record is settled. The function's processes are up before.
async fn of_pelton_on(backend: &Backend, stream: &Stream, records: usize) -> anyhow::Result<f64> {
    let mapping = json!({
        "EventSourceArn": stream.arn, "FunctionName": "work", "BatchSize": BATCH, "StartingPosition": "TRIM_HORIZON",
    });
    let mut setup = Setup::with_mappings(backend, vec![mapping], NOTED_NO_OPERATION, CONCURRENCY)?;
    setup.enable(false)?;
    let mut pelton = setup.start()?;
    let limit = Instant::now() + LIMIT;
    while std::fs::read_to_string(setup.started_file()).unwrap_or_default().lines().count() < CONCURRENCY {
        ensure!(Instant::now() < limit, "the function's processes don't start");
        tokio::time::sleep(STEP).await;
    }
    setup.enable(true)?;
    // In the log the moment stands exactly.
    let is_settled = |mapping: &serde_json::Value| {
        let shards = mapping["Shards"].as_array().map(Vec::as_slice).unwrap_or_default();
        mapping["Polled"] == records && shards.iter().all(|shard| shard["Unsettled"] == 0)
    };
    while !pelton.mappings().await?.iter().any(is_settled) {
        ensure!(Instant::now() < limit, "Pelton takes too long");
        tokio::time::sleep(STEP).await;
    }
    let ended = jiff::Timestamp::now();
    let began = pelton.logged("the changed configuration is in force")?;
    pelton.stop().await?;
    Ok(records as f64 / ended.duration_since(began).as_secs_f64())
}

/// From the creation of its mapping until the function has been given every record.
async fn of_ministack_mapper(backend: &Backend, stream: &Stream, records: usize) -> anyhow::Result<f64> {
    let lambda = aws_sdk_lambda::Client::new(&backend.config);
    let name = format!("bench-{}", Uuid::new_v4().simple());
    let folder = tempfile::tempdir()?;
    let seen = folder.path().join("seen.txt");
    let code = FunctionCode::builder().zip_file(Blob::new(zipped(COUNTING).await?)).build();
    let variables = Environment::builder().variables("STARTED", seen.to_string_lossy()).build();
    let function = lambda.create_function().function_name(&name).code(code).runtime(Runtime::Python311);
    let function = function.handler("function.handler").role("arn:aws:iam::000000000000:role/bench").timeout(30);
    function.environment(variables).send().await.context("creating the function")?;
    // Its process is started, so that the start isn't measured.
    lambda.invoke().function_name(&name).payload(Blob::new("{\"Records\":[]}")).send().await?;
    let started = Instant::now();
    let mapping = lambda.create_event_source_mapping().function_name(&name).event_source_arn(&stream.arn);
    let mapping = mapping.starting_position(EventSourcePosition::TrimHorizon).batch_size(i32::try_from(BATCH)?);
    let mapping = mapping.send().await.context("creating a mapping")?;
    let count = || {
        let text = std::fs::read_to_string(&seen).unwrap_or_default();
        text.lines().filter_map(|line| line.parse::<usize>().ok()).sum::<usize>()
    };
    while count() < records {
        ensure!(started.elapsed() < LIMIT, "{} of {records} after {} s", count(), LIMIT.as_secs());
        tokio::time::sleep(STEP).await;
    }
    let took = started.elapsed();
    lambda.delete_event_source_mapping().set_uuid(mapping.uuid).send().await?;
    lambda.delete_function().function_name(&name).send().await?;
    Ok(records as f64 / took.as_secs_f64())
}
