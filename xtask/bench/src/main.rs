//! What `cargo xtask bench` runs: the release build of Pelton beside bare loops and other mappers, on the same backends
//! in the same run. Prints one table.
#![allow(clippy::print_stdout, reason = "a command line program prints")]

mod accept;
mod backend;
mod delay;
mod engine;
mod first_receive;
mod idle;
mod machine;
mod pelton;
mod row;
mod statistics;
mod stream;
mod stream_engine;
mod stream_idle;
mod stream_throughput;
mod throughput;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::Timestamp;

use crate::backend::Backend;
use crate::row::Row;

/// Measures Pelton beside bare loops and other mappers, and prints one table
#[derive(Debug, Parser)]
#[command(name = "pelton-bench")]
struct Arguments {
    /// What to measure; everything without a name
    names: Vec<Name>,
    /// Fewer messages, samples and seconds: shows that it works, not how fast
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Pattern matching on one core
    Pattern,
    /// The engine in memory on one core
    Engine,
    /// Start of the process to the first receive
    Start,
    /// Preloaded messages on LocalStack, beside a bare loop
    Loop,
    /// Preloaded messages on MiniStack, beside MiniStack's own mapper
    Ministack,
    /// A single message on an idle queue, beside a bare long poll
    Delay,
    /// Memory and processor time of 500 idle mappings
    Idle,
    /// Asynchronous invocations over HTTP, beside requests that keep nothing
    Accept,
    /// Preloaded Kinesis streams on LocalStack, beside a bare loop
    Kinesis,
    /// The same on MiniStack, beside MiniStack's own mapper
    KinesisMinistack,
    /// A preloaded DynamoDB stream on DynamoDB Local, beside a bare loop
    Dynamodb,
    /// A single record on an idle Kinesis stream
    StreamDelay,
    /// Memory and processor time of 1,000 idle shards
    StreamIdle,
}

/// How much is done.
struct Extent {
    messages: usize,
    repetitions: usize,
    engine_messages: usize,
    records: usize,
    shards: usize,
    rounds: usize,
    starts: usize,
    mappings: usize,
    settle: Duration,
    watch: Duration,
}

const FULL: Extent = Extent {
    messages: 5_000,
    repetitions: 3,
    engine_messages: 1_000_000,
    records: 20_000,
    shards: 1_000,
    rounds: 20,
    starts: 15,
    mappings: 500,
    settle: Duration::from_secs(20),
    watch: Duration::from_secs(30),
};

const QUICK: Extent = Extent {
    messages: 1_000,
    repetitions: 1,
    engine_messages: 100_000,
    records: 2_000,
    shards: 100,
    rounds: 2,
    starts: 3,
    mappings: 50,
    settle: Duration::from_secs(2),
    watch: Duration::from_secs(5),
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let extent = if arguments.quick { &QUICK } else { &FULL };
    let machine = machine::describe().await;
    let mut rows = Vec::new();
    let mut versions = Vec::new();
    for name in Name::value_variants() {
        if arguments.names.is_empty() || arguments.names.contains(name) {
            println!("==> {}", name.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()));
            let measured = measure(*name, extent, &mut versions).await?;
            measured.iter().for_each(|row| println!("    {row}"));
            rows.extend(measured);
        }
    }
    let kind = if arguments.quick { "a quick run: the figures mean little" } else { "a full run" };
    println!("\n{}, Pelton {}, {kind}  ", Timestamp::now().strftime("%Y-%m-%d"), env!("CARGO_PKG_VERSION"));
    println!(
        "{machine}{}\n\n{}",
        versions.iter().map(|version| format!(", {version}")).collect::<String>(),
        row::table(&rows)
    );
    let missed = rows.iter().filter(|row| row.is_met() == Some(false)).count();
    println!("\n{missed} of {} goals missed", rows.iter().filter(|row| row.is_met().is_some()).count());
    Ok(())
}

async fn measure(name: Name, extent: &Extent, versions: &mut Vec<String>) -> anyhow::Result<Vec<Row>> {
    let backend = match name {
        Name::Pattern => return engine::pattern().await,
        Name::Engine => {
            let mut rows = engine::engine(extent).await?;
            rows.extend(stream_engine::engine(extent).await?);
            return Ok(rows);
        }
        Name::Accept => return accept::accept(extent).await,
        Name::Start => return first_receive::first_receive(extent).await,
        Name::Ministack | Name::KinesisMinistack | Name::StreamDelay => Backend::ministack().await?,
        Name::Loop | Name::Delay | Name::Idle | Name::Kinesis | Name::Dynamodb | Name::StreamIdle => {
            Backend::localstack().await?
        }
    };
    let version = backend.version().await;
    if !versions.contains(&version) {
        versions.push(version);
    }
    match name {
        Name::Ministack => throughput::beside_ministack(&backend, extent).await,
        Name::Delay => delay::delay(&backend, extent).await,
        Name::Idle => idle::idle(&backend, extent).await,
        Name::Kinesis => stream_throughput::kinesis(&backend, extent).await,
        Name::KinesisMinistack => stream_throughput::beside_ministack(&backend, extent).await,
        Name::Dynamodb => stream_throughput::dynamodb(&backend, extent).await,
        Name::StreamDelay => stream_idle::delay(&backend, extent).await,
        Name::StreamIdle => stream_idle::idle(&backend, extent).await,
        _ => throughput::beside_a_bare_loop(&backend, extent).await,
    }
}
