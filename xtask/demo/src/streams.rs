//! The demo's second part: a Kinesis and a DynamoDB stream, a poison record in each that is halved out of its batch, and
//! both replayed with a fixed function.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::Instant;

use crate::inbox;
use crate::pelton::{Pelton, configuration};
use crate::resources::Account;
use crate::{text, variable};

const READINGS: usize = 60;
const DEVICES: usize = 40;
/// The comma in it is the poison.
const POISON: &str = "21,5";
const PROCESSING_LIMIT: Duration = Duration::from_secs(45);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);

pub async fn play(account: &mut Account, slot: &mut Option<Pelton>) -> anyhow::Result<()> {
    println!(
        "\n==> a Kinesis stream with {READINGS} readings, a DynamoDB table with {DEVICES} devices: one poison record each"
    );
    let number = |id: usize, poison: usize| if id == poison { POISON.to_owned() } else { format!("{}.5", id % 30) };
    let readings: Vec<(String, Value)> =
        (1..=READINGS).map(|id| (format!("sensor-{}", id % 9), json!({"id": id, "celsius": number(id, 17)}))).collect();
    let devices: Vec<(String, String)> = (1..=DEVICES).map(|id| (format!("device-{id}"), number(id, 23))).collect();
    let failed = account.queue("failed-records", &[]).await?;
    account.stream("readings", &readings).await?;
    let table_stream = account.table("devices", &devices).await?;
    let state = account.state().to_string_lossy().into_owned();
    let account_id = failed.arn.split(':').nth(4).context("the queue's ARN has no account")?.to_owned();
    let variables =
        [("DEMO_ACCOUNT", account_id.as_str()), ("DEMO_TABLE_STREAM", &table_stream), ("DEMO_STATE", &state)];
    run(account, slot, &variables, &failed.arn, &failed.url).await
}

async fn run(
    account: &Account,
    slot: &mut Option<Pelton>,
    variables: &[(&str, &str)],
    queue: &str,
    url: &str,
) -> anyhow::Result<()> {
    println!("\n==> starting pelton");
    let started = Instant::now();
    let pelton = slot.insert(Pelton::start(account, "streams", variables).await?);
    let mappings = loop {
        let mappings = pelton.mappings().await?;
        if mappings.len() == 2 && mappings.iter().all(is_through) {
            break mappings;
        }
        ensure!(started.elapsed() < PROCESSING_LIMIT, "not done after {} s: {mappings:?}", PROCESSING_LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!("    all read and settled after {:.1} s", started.elapsed().as_secs_f32());
    for mapping in &mappings {
        let count = |key: &str| mapping[key].as_u64().unwrap_or_default();
        let source = text(mapping, "EventSourceArn").rsplit(':').find(|part| part.contains('/')).unwrap_or_default();
        println!(
            "      {:<58} {:>2} records, {} times halved, {} given up",
            source.split("/stream/").next().unwrap_or(source),
            count("Polled"),
            count("Bisects"),
            count("Dropped"),
        );
    }

    println!("\n==> one failure record each: the shard and the range, nothing else");
    let records = peek(account, url).await?;
    for record in &records {
        println!("      {record}");
    }
    ensure!(records.len() == 2, "{} failure records, expected 2", records.len());

    println!("\n==> pelton replay --from-queue …-failed-records --function ingest-fixed --delete");
    let replayed = Command::new(variable("PELTON_DEMO_BINARY")?)
        .args(["replay", "-c"])
        .arg(configuration("streams")?)
        .args(["--from-queue", queue, "--function", "ingest-fixed", "--delete"])
        .env("AWS_REGION", &account.region)
        .env("DEMO_PREFIX", &account.prefix)
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .context("can't start pelton replay")?;
    let shown = [replayed.stdout, replayed.stderr].map(|output| String::from_utf8_lossy(&output).into_owned()).concat();
    shown.lines().filter(|line| !line.starts_with('{')).for_each(|line| println!("      {line}"));
    ensure!(replayed.status.success(), "pelton replay ended with {}:\n{shown}", replayed.status);
    let left = inbox::read(&account.sqs, url, 0, ARRIVAL_LIMIT).await?;
    ensure!(left.is_empty(), "{} failure records are left: {left:?}", left.len());
    println!("\n    every record is processed: {} by the function, 2 by the fixed one", READINGS + DEVICES - 2);
    Ok(())
}

/// Everything that was put is read, one record is given up, and nothing is open.
fn is_through(mapping: &Value) -> bool {
    let put = if text(mapping, "EventSourceArn").contains(":kinesis:") { READINGS } else { DEVICES };
    let shards = mapping["Shards"].as_array().map(Vec::as_slice).unwrap_or_default();
    mapping["Polled"] == put
        && mapping["Dropped"] == 1
        && shards.iter().all(|shard| shard["Unsettled"] == 0 && shard["InFlight"] == 0)
}

/// The failure records, which stay in their queue.
async fn peek(account: &Account, url: &str) -> anyhow::Result<Vec<Value>> {
    let mut found = std::collections::BTreeMap::new();
    let started = Instant::now();
    while found.len() < 2 && started.elapsed() < ARRIVAL_LIMIT {
        let receive = account.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let received = receive.visibility_timeout(0).wait_time_seconds(1).send().await.context("reading failures")?;
        for message in received.messages() {
            let record = serde_json::from_str(message.body().unwrap_or_default())?;
            found.insert(message.message_id().unwrap_or_default().to_owned(), record);
        }
    }
    Ok(found.into_values().collect())
}
