//! What `cargo xtask demo` runs: messages through real queues, a real function and real destinations, by the real
//! `pelton` binary. Ends with a non-zero status if the numbers don't add up.
#![allow(clippy::print_stdout, reason = "a command line program prints")]

mod inbox;
mod pelton;
mod resources;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::pelton::{Pelton, Status};
use crate::resources::Resources;

const ORDERS: usize = 70;
const PAYMENTS: usize = 30;
/// Every 14th order fails for good, every 7th other one fails the first time it is seen.
const BROKEN: usize = 5;
/// Every 10th payment is over the limit.
const OVER_LIMIT: usize = 3;
const PROCESSING_LIMIT: Duration = Duration::from_secs(45);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let resources = Resources::create().await?;
    let mut pelton = None;
    let result = tokio::select! {
        result = play(&resources, &mut pelton) => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let stopped = match pelton {
        Some(pelton) => pelton.stop().await,
        None => Ok(()),
    };
    resources.delete().await;
    result.and(stopped)?;
    println!(
        "\nWhat to try next
  deploy/examples/quickstart/   the configuration and the function of this demo
  cargo run -p pelton-cli -- check -c deploy/examples/quickstart/pelton.yaml --offline
  README.md                     your own queue: twenty lines of YAML
  docs/settings.md              every setting"
    );
    Ok(())
}

async fn play(resources: &Resources, slot: &mut Option<Pelton>) -> anyhow::Result<()> {
    println!("\n==> starting pelton");
    let pelton = slot.insert(Pelton::start(resources).await?);
    println!("\n==> sending {} messages", ORDERS + PAYMENTS);
    send(resources).await?;
    let started = Instant::now();
    let [orders, payments] = watch(resources, pelton, started).await?;
    println!("    all done after {:.1?}\n", started.elapsed());

    println!("==> reading the destinations");
    let expected = [
        ("OnSuccess of orders: SQS queue", &resources.done, orders.reported_successes as usize),
        ("OnFailure of orders: SNS topic", &resources.failed_inbox, BROKEN),
        ("OnSuccess of payments: EventBridge bus", &resources.bus_inbox, PAYMENTS - OVER_LIMIT),
        ("OnFailure of payments: SQS queue", &resources.given_up, OVER_LIMIT),
    ];
    let mut found = Vec::new();
    for (name, queue, expected) in expected {
        let records = inbox::read(&resources.sqs, &queue.url, expected, ARRIVAL_LIMIT).await?;
        if let Some(record) = records.first() {
            println!("\n    {name}, one of {}:", records.len());
            println!("{}", inbox::shown(record));
        }
        found.push((name, records.len(), expected));
    }
    let dead = resources.count(&resources.dead).await?;
    table(&orders, &payments, dead, &found);
    for (name, found, expected) in &found {
        ensure!(found == expected, "{name}: {found} records, expected {expected}");
    }
    Ok(())
}

async fn send(resources: &Resources) -> anyhow::Result<()> {
    let orders = (1..=ORDERS).map(|id| {
        let broken = id % (ORDERS / BROKEN) == 0;
        json!({"kind": "order", "id": id, "broken": broken, "flaky": !broken && id % 7 == 0})
    });
    let payments = (1..=PAYMENTS).map(|id| {
        let amount = if id % (PAYMENTS / OVER_LIMIT) == 0 { 5000 } else { 10 * id };
        json!({"kind": "payment", "id": id, "amount": amount})
    });
    resources.send(&resources.orders, orders.collect()).await?;
    resources.send(&resources.payments, payments.collect()).await
}

/// Shows a live count until every message is processed, given up, or in the dead-letter queue.
async fn watch(resources: &Resources, pelton: &Pelton, started: Instant) -> anyhow::Result<[Status; 2]> {
    let live = std::io::stdout().is_terminal();
    let mut shown = Instant::now();
    loop {
        let [orders, payments] = pelton.status().await?;
        let dead = resources.count(&resources.dead).await?;
        let deleted = orders.deleted + payments.deleted;
        let line = format!(
            "    {:4.1} s   processed {:3}   in flight {:2}   failed so far {:2}   given up {}   in the dead-letter queue {}",
            started.elapsed().as_secs_f32(),
            deleted - orders.dropped - payments.dropped,
            orders.in_flight + payments.in_flight,
            orders.failed + payments.failed,
            payments.dropped,
            dead,
        );
        let done = deleted as usize + dead == ORDERS + PAYMENTS;
        if live {
            print!("\r{line}  ");
            std::io::stdout().flush()?;
        }
        if (!live && shown.elapsed() >= Duration::from_secs(1)) || done {
            println!("{}", if live { "" } else { &line });
            shown = Instant::now();
        }
        if done {
            return Ok([orders, payments]);
        }
        ensure!(
            started.elapsed() < PROCESSING_LIMIT,
            "not done after {PROCESSING_LIMIT:?}; pelton's log:\n{}",
            pelton.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn table(orders: &Status, payments: &Status, dead: usize, found: &[(&str, usize, usize)]) {
    let sent = ORDERS + PAYMENTS;
    let rows = [
        ("sent", sent),
        ("processed", (orders.deleted + payments.deleted - orders.dropped - payments.dropped) as usize),
        ("redelivered", (orders.polled + payments.polled) as usize - sent),
        ("in the dead-letter queue", dead),
        ("given up after MaximumRetryAttempts", payments.dropped as usize),
    ];
    println!("\n    messages");
    for (name, count) in rows {
        println!("      {name:<40} {count:>4}");
    }
    println!("    execution records");
    for (name, count, _) in found {
        println!("      {name:<40} {count:>4}");
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
