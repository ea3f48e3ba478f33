//! What `cargo xtask demo` runs: messages through real queues, a real function and real destinations, by the real
//! `pelton` binary. Ends with a non-zero status if the numbers don't add up.
#![allow(clippy::print_stdout, reason = "a command line program prints")]

mod events;
mod inbox;
mod pelton;
mod resources;
mod streams;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::pelton::{Pelton, Status};
use crate::resources::{Account, Resources};
use crate::table::{Records, Totals};

const ORDERS: usize = 70;
const PAYMENTS: usize = 30;
const SENT: usize = ORDERS + PAYMENTS;
/// Trouble starts here; the batches before it succeed as a whole.
const FIRST_TROUBLE: usize = 36;
/// From then on every 7th order fails for good.
const BROKEN: usize = 5;
/// And every 7th other one fails the first time it is seen.
const FLAKY: usize = 5;
/// Every 10th payment is over the limit, and fails for good.
const OVER_LIMIT: usize = 3;
const PROCESSING_LIMIT: Duration = Duration::from_secs(45);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    match demonstrate().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate() -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut account = Account::new().await;
    let mut pelton = None;
    let played = tokio::select! {
        result = play_all(&mut account, &mut pelton) => Some(result),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    // Whatever came before: nothing is left behind, but the log if something went wrong.
    let mut stopped = Ok(());
    if let Some(mut pelton) = pelton {
        stopped = pelton.stop().await;
        match (&played, &stopped) {
            (Some(Err(_)), _) | (_, Err(_)) => pelton.show_log(),
            _ => pelton.remove_log(),
        }
    }
    account.clean_up().await;
    played.unwrap_or_else(|| Err(anyhow::anyhow!("interrupted"))).and(stopped)?;
    println!(
        "\nWhat to try next
  deploy/examples/quickstart/   the configuration and the function of this demo's first part
  deploy/examples/streams/      the same of its second part: Kinesis and DynamoDB Streams
  deploy/examples/asynchronous/ the same of its third part: asynchronous invocation
  cargo run -- check -c deploy/examples/quickstart/pelton.yaml --offline
                                break that file first: check names every mistake with its line
  README.md                     your own queue, in twenty lines of YAML
  docker compose up             LocalStack and Pelton side by side, where there is a Docker engine"
    );
    Ok(())
}

/// Queues first, then streams, then asynchronous invocation.
async fn play_all(account: &mut Account, slot: &mut Option<Pelton>) -> anyhow::Result<()> {
    play(account, slot).await?;
    stop(slot).await?;
    streams::play(account, slot).await?;
    stop(slot).await?;
    events::play(account, slot).await
}

async fn stop(slot: &mut Option<Pelton>) -> anyhow::Result<()> {
    if let Some(mut pelton) = slot.take() {
        pelton.stop().await?;
        pelton.remove_log();
    }
    Ok(())
}

async fn play(account: &mut Account, slot: &mut Option<Pelton>) -> anyhow::Result<()> {
    let resources = account.create().await?;
    let state = account.state().to_string_lossy().into_owned();
    let account = &*account;
    println!("\n==> starting pelton");
    let variables = [("DEMO_ACCOUNT", resources.account()), ("DEMO_STATE", &state)];
    let pelton = slot.insert(Pelton::start(account, "quickstart", &variables).await?);
    println!("\n==> sending {SENT} messages: {ORDERS} orders in batches, {PAYMENTS} payments one by one");
    let started = Instant::now();
    send(account, &resources).await?;
    let [orders, payments] = watch(account, &resources, pelton, started).await?;
    println!("    all done after {:.1} s", started.elapsed().as_secs_f32());

    println!("\n==> reading the destinations");
    let destinations = [
        ("orders, OnSuccess: SQS queue", &resources.done, usize::try_from(orders.reported_successes)?),
        ("orders, OnFailure: SNS topic", &resources.failed_inbox, BROKEN),
        ("payments, OnSuccess: EventBridge bus", &resources.bus_inbox, PAYMENTS - OVER_LIMIT),
        ("payments, OnFailure: SQS queue", &resources.given_up, OVER_LIMIT),
    ];
    let mut records = Vec::new();
    for (name, queue, expected) in destinations {
        let found = inbox::read(&account.sqs, &queue.url, expected, ARRIVAL_LIMIT).await?;
        if let Some(record) = found.first() {
            println!("\n    {name}, one of {} execution records", found.len());
            println!("{}", inbox::shown(record));
        }
        records.push(Records { name, found: found.len(), expected });
    }
    let dead = account.count(&resources.dead).await?;
    let totals = Totals::new(&orders, &payments, dead)?;
    table::print(&totals, &records);
    table::check(&totals, &records)
}

async fn send(account: &Account, resources: &Resources) -> anyhow::Result<()> {
    let orders = (1..=ORDERS).map(|id| {
        let troubled = id >= FIRST_TROUBLE;
        json!({"kind": "order", "id": id, "broken": troubled && id % 7 == 0, "flaky": troubled && id % 7 == 3})
    });
    let payments = (1..=PAYMENTS).map(|id| {
        let amount = if id % (PAYMENTS / OVER_LIMIT) == 0 { 5000 } else { 10 * id };
        json!({"kind": "payment", "id": id, "amount": amount})
    });
    account.send(&resources.orders, orders.collect()).await?;
    account.send(&resources.payments, payments.collect()).await
}

/// Shows a live count until every message is processed, given up, or in the dead-letter queue.
async fn watch(
    account: &Account,
    resources: &Resources,
    pelton: &Pelton,
    started: Instant,
) -> anyhow::Result<[Status; 2]> {
    let live = std::io::stdout().is_terminal();
    let (mut shown, mut processed) = (started, 0);
    loop {
        let statuses = pelton.status().await?;
        let [orders, payments] = &statuses;
        let totals = Totals::new(orders, payments, account.count(&resources.dead).await?)?;
        // A message that is given up is counted a moment before it is deleted; the count shown never falls.
        processed = totals.processed.max(processed);
        let line = format!(
            "    {:4.1} s  processed {processed:3}  in flight {:2}  failed {:2}  given up {}  dead-letter queue {}",
            started.elapsed().as_secs_f32(),
            orders.in_flight + payments.in_flight,
            orders.failed + payments.failed,
            totals.given_up,
            totals.dead,
        );
        let done = totals.is_complete();
        if live {
            print!("\r{line} {}", if done { "\n" } else { "" });
            std::io::stdout().flush()?;
        } else if done || shown.elapsed() >= Duration::from_secs(1) {
            println!("{line}");
            shown = Instant::now();
        }
        if done {
            return Ok(statuses);
        }
        ensure!(started.elapsed() < PROCESSING_LIMIT, "not done after {} s", PROCESSING_LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// An environment variable that `cargo xtask demo` sets.
fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run `cargo xtask demo`"))
}

/// The text of a JSON member.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
