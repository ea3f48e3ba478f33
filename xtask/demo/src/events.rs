//! The demo's third part: a function that is invoked asynchronously, once well and once not.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use crate::inbox;
use crate::pelton::Pelton;
use crate::resources::{Account, Queue};
use crate::{text, variable};

const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);
const GOOD: &str = r#"{"name": "Ada"}"#;
const BAD: &str = r#"{"nobody": true}"#;

pub async fn play(account: &mut Account, slot: &mut Option<Pelton>) -> anyhow::Result<()> {
    println!("\n==> a function that is invoked asynchronously, with destinations and a dead-letter queue");
    let greeted = account.queue("greeted", &[]).await?;
    let not_greeted = account.queue("not-greeted", &[]).await?;
    let dead = account.queue("dead-letters", &[]).await?;
    let account_id = greeted.arn.split(':').nth(4).context("the queue's ARN has no account")?.to_owned();
    let state = account.events_state().to_string_lossy().into_owned();
    let account = &*account;
    println!("\n==> starting pelton");
    let variables = [("DEMO_ACCOUNT", account_id.as_str()), ("DEMO_STATE", &state)];
    let pelton = slot.insert(Pelton::start(account, "asynchronous", &variables).await?);

    for payload in [GOOD, BAD] {
        println!("\n==> pelton invoke greet --async --payload '{payload}'");
        println!("      {}", invoke(pelton, payload).await?);
    }
    println!("\n==> the execution records");
    for (name, queue, condition) in
        [("OnSuccess", &greeted, "Success"), ("OnFailure, after two retries", &not_greeted, "RetriesExhausted")]
    {
        let record = one(account, queue).await?;
        println!("    {name}\n{}", indented(&record)?);
        let found = text(&record["requestContext"], "condition");
        ensure!(found == condition, "the record's condition is {found:?}, expected {condition}");
    }
    let letter = one(account, &dead).await?;
    println!("    the dead-letter queue has the event itself: {letter}");
    let expected: Value = serde_json::from_str(BAD)?;
    ensure!(letter == expected, "the dead-letter queue has {letter}, expected {BAD}");
    Ok(())
}

async fn invoke(pelton: &Pelton, payload: &str) -> anyhow::Result<String> {
    let invoked = Command::new(variable("PELTON_DEMO_BINARY")?)
        .args(["invoke", "greet", "--async", "--payload", payload, "--url", pelton.url()])
        .kill_on_drop(true)
        .output()
        .await
        .context("can't start pelton invoke")?;
    let [shown, errors] = [invoked.stdout, invoked.stderr].map(|output| String::from_utf8_lossy(&output).into_owned());
    ensure!(invoked.status.success(), "pelton invoke ended with {}: {errors}", invoked.status);
    Ok(shown.trim().to_owned())
}

/// The only message of a queue.
async fn one(account: &Account, queue: &Queue) -> anyhow::Result<Value> {
    let started = Instant::now();
    let mut found = inbox::read(&account.sqs, &queue.url, 1, ARRIVAL_LIMIT).await?;
    ensure!(found.len() == 1, "{} messages in {} after {:?}, expected 1", found.len(), queue.arn, started.elapsed());
    found.pop().context("no message")
}

fn indented(record: &Value) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(record)?;
    Ok(text.lines().map(|line| format!("      {line}\n")).collect())
}
