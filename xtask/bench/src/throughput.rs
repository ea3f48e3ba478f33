//! Messages a second of preloaded queues: Pelton, bare loops, and other mappers.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{EventSourcePosition, FunctionCode, Runtime};
use tokio::process::Command;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Extent;
use crate::backend::{Backend, Queue};
use crate::pelton::{NO_OPERATION, NOTED_NO_OPERATION, Setup};
use crate::row::{Goal, Row};
use crate::statistics::median;

/// Processes of the no-operation function that Pelton runs.
const CONCURRENCY: usize = 4;
/// What the bare loop is tried with.
const AT_ONCE: [usize; 4] = [1, 4, 8, 16];
const STEP: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(180);
/// Measured once with LocalStack 4.14.0, whose functions were replaced by one that does nothing, on a machine with
/// two cores: its mapper as it comes, and with its poll interval set to 1 ms.
const LOCALSTACK_MAPPER: [(&str, f64); 2] = [("as it comes", 10.0), ("tuned", 214.0)];

/// Pelton and the bare loop, in turns.
pub async fn beside_a_bare_loop(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let (best, _) = best_loop(backend, extent).await?;
    let (mut of_pelton, mut of_loop) = (Vec::new(), Vec::new());
    for _ in 0..extent.repetitions {
        of_loop.push(of_bare_loop(backend, extent.messages, best).await?);
        of_pelton.push(of_pelton_on(backend, extent.messages).await?);
    }
    println!("    bare loop, {best} at once: {of_loop:.0?} msg/s; Pelton: {of_pelton:.0?} msg/s");
    let measured = median(&of_pelton).context("no run")?;
    let mut rows = vec![Row {
        what: format!("throughput on {}, function with Concurrency {CONCURRENCY}", backend.name),
        measured,
        unit: "msg/s",
        compared: Some((format!("bare loop, {best} at once"), median(&of_loop).context("no run")?)),
        goal: Goal::RatioAtLeast(0.9),
    }];
    rows.extend(LOCALSTACK_MAPPER.map(|(how, figure)| Row {
        what: "the same".into(),
        measured,
        unit: "msg/s",
        compared: Some((format!("LocalStack's own mapper, {how} (earlier figure)"), figure)),
        goal: Goal::None,
    }));
    Ok(rows)
}

/// Pelton and MiniStack's own mapper, in turns.
pub async fn beside_ministack(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let (mut of_pelton, mut of_mapper, mut of_loop) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.repetitions {
        of_mapper.push(of_ministack_mapper(backend, extent.messages).await?);
        of_pelton.push(of_pelton_on(backend, extent.messages).await?);
        of_loop.push(of_bare_loop(backend, extent.messages, CONCURRENCY).await?);
    }
    println!("    MiniStack's mapper: {of_mapper:.0?} msg/s; Pelton: {of_pelton:.0?} msg/s; bare loop: {of_loop:.0?}");
    let measured = median(&of_pelton).context("no run")?;
    let row = |name: String, figure: &[f64], goal| {
        let compared = Some((name, median(figure).context("no run")?));
        let what = format!("throughput on {}, function with Concurrency {CONCURRENCY}", backend.name);
        anyhow::Ok(Row { what, measured, unit: "msg/s", compared, goal })
    };
    Ok(vec![
        row("MiniStack's own mapper".into(), &of_mapper, Goal::RatioAtLeast(1.7))?,
        row(format!("bare loop, {CONCURRENCY} at once"), &of_loop, Goal::None)?,
    ])
}

async fn best_loop(backend: &Backend, extent: &Extent) -> anyhow::Result<(usize, f64)> {
    let mut best = (1, 0.0);
    for at_once in AT_ONCE {
        let rate = of_bare_loop(backend, extent.messages, at_once).await?;
        println!("    bare loop on {}, {at_once} at once: {rate:.0} msg/s", backend.name);
        if rate > best.1 {
            best = (at_once, rate);
        }
    }
    Ok(best)
}

async fn of_bare_loop(backend: &Backend, messages: usize, at_once: usize) -> anyhow::Result<f64> {
    let queue = backend.preloaded(messages).await?;
    let rate = backend.bare_loop(&queue, messages, at_once).await?;
    backend.remove(&[queue]).await?;
    Ok(rate)
}

/// From the first message received to the last one deleted. As with the others, the function's processes are up before.
async fn of_pelton_on(backend: &Backend, messages: usize) -> anyhow::Result<f64> {
    let queue = backend.preloaded(messages).await?;
    let mut setup = Setup::new(&backend.endpoint, std::slice::from_ref(&queue), NOTED_NO_OPERATION, CONCURRENCY)?;
    setup.enable(false)?;
    let mut pelton = setup.start()?;
    let limit = Instant::now() + LIMIT;
    while std::fs::read_to_string(setup.started_file()).unwrap_or_default().lines().count() < CONCURRENCY {
        ensure!(Instant::now() < limit, "the function's processes don't start");
        tokio::time::sleep(STEP).await;
    }
    setup.enable(true)?;
    while pelton.count("Polled").await? == 0 {
        ensure!(Instant::now() < limit, "Pelton receives nothing");
        tokio::time::sleep(STEP / 10).await;
    }
    let started = Instant::now();
    while pelton.count("Deleted").await? < messages {
        ensure!(Instant::now() < limit, "Pelton takes too long");
        tokio::time::sleep(STEP).await;
    }
    let took = started.elapsed();
    pelton.stop().await?;
    backend.remove(&[queue]).await?;
    Ok(messages as f64 / took.as_secs_f64())
}

/// From the first message that has left the queue to the last one deleted.
async fn of_ministack_mapper(backend: &Backend, messages: usize) -> anyhow::Result<f64> {
    let queue = backend.preloaded(messages).await?;
    let lambda = aws_sdk_lambda::Client::new(&backend.config);
    let name = format!("bench-{}", Uuid::new_v4().simple());
    let code = FunctionCode::builder().zip_file(Blob::new(zipped(NO_OPERATION).await?)).build();
    let function = lambda.create_function().function_name(&name).code(code).runtime(Runtime::Python311);
    let function = function.handler("function.handler").role("arn:aws:iam::000000000000:role/bench").timeout(30);
    function.send().await.context("creating the function")?;
    // Its process is started, so that the start isn't measured.
    lambda.invoke().function_name(&name).payload(Blob::new("{}")).send().await.context("invoking the function")?;
    let rate = watch_mapper(backend, &lambda, &name, &queue, messages).await;
    lambda.delete_function().function_name(&name).send().await?;
    backend.remove(&[queue]).await?;
    rate
}

async fn watch_mapper(
    backend: &Backend,
    lambda: &aws_sdk_lambda::Client,
    name: &str,
    queue: &Queue,
    messages: usize,
) -> anyhow::Result<f64> {
    let mapping = lambda.create_event_source_mapping().function_name(name).event_source_arn(&queue.arn).batch_size(10);
    let mapping =
        mapping.set_starting_position(None::<EventSourcePosition>).send().await.context("creating a mapping")?;
    let limit = Instant::now() + LIMIT;
    let mut started = None;
    let took = loop {
        let waiting = backend.waiting(queue).await?;
        if waiting == 0 {
            break started.unwrap_or_else(Instant::now).elapsed();
        }
        if waiting < messages {
            started.get_or_insert_with(Instant::now);
        }
        ensure!(Instant::now() < limit, "{} messages are left after {} s", waiting, LIMIT.as_secs());
        tokio::time::sleep(STEP).await;
    };
    lambda.delete_event_source_mapping().set_uuid(mapping.uuid).send().await?;
    Ok(messages as f64 / took.as_secs_f64())
}

/// A package of one file, as CreateFunction takes it.
pub async fn zipped(function: &str) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("function.py"), function)?;
    let mut zip = Command::new("python3");
    zip.args(["-m", "zipfile", "-c", "function.zip", "function.py"]).current_dir(folder.path());
    ensure!(zip.status().await?.success(), "python3 can't make a zip file");
    Ok(std::fs::read(folder.path().join("function.zip"))?)
}
