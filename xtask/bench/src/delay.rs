//! How soon a single message on an idle queue reaches the function.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::Extent;
use crate::backend::{Backend, Queue};
use crate::pelton::Setup;
use crate::row::{Goal, Row};
use crate::statistics::percentile;

/// Queues under a bare long poll, and as many under Pelton, at the same time.
const QUEUES: usize = 10;
const IDLE: Duration = Duration::from_secs(3);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);

/// Writes down when it starts, before anything else.
const FUNCTION: &str = r#"
import os
import time

started = os.open(os.environ["STARTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handler(event, context):
    now = time.time_ns()
    for record in event["Records"]:
        os.write(started, f"{record['body']} {now}\n".encode())
"#;

/// When messages were seen first, by body.
type Seen = Arc<Mutex<HashMap<String, Timestamp>>>;

/// Bare long polls and Pelton, side by side.
pub async fn delay(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let (bare, under_pelton) = (backend.queues(QUEUES).await?, backend.queues(QUEUES).await?);
    let setup = Setup::new(&backend.endpoint, &under_pelton, FUNCTION, QUEUES)?;
    let mut pelton = setup.start()?;
    pelton.wait_until_enabled(QUEUES).await?;
    let seen = Seen::default();
    let mut polls = JoinSet::new();
    for queue in &bare {
        polls.spawn(long_poll(backend.sqs.clone(), queue.url.clone(), seen.clone()));
    }
    let all: Vec<&Queue> = bare.iter().chain(&under_pelton).collect();
    let step = IDLE / u32::try_from(all.len())?;
    let senders = all.iter().enumerate().map(|(i, queue)| send(backend, queue, i, step, extent.rounds));
    let sent: Vec<(String, Timestamp)> = try_join_all(senders).await?.into_iter().flatten().collect();

    let expected = QUEUES * extent.rounds;
    let arrived = async {
        loop {
            let started = starts(&std::fs::read_to_string(setup.started_file()).unwrap_or_default());
            if started.len() >= expected && locked(&seen).len() >= expected {
                return started;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let started = tokio::time::timeout(ARRIVAL_LIMIT, arrived).await.context("messages didn't arrive")?;
    pelton.stop().await?;
    polls.shutdown().await;
    backend.remove(&bare).await?;
    backend.remove(&under_pelton).await?;

    let (of_bare, of_pelton) = (delays(&sent, &locked(&seen)), delays(&sent, &started));
    ensure!(of_bare.len() == expected && of_pelton.len() == expected, "messages were lost");
    let row = |name: &str, percent, most| {
        let of = |delays: &[f64]| percentile(delays, percent).context("no sample");
        anyhow::Ok(Row {
            what: format!("delay on {}, {name} of {expected} after 3 s idle", backend.name),
            measured: of(&of_pelton)?,
            unit: "ms",
            compared: Some(("bare long poll".into(), of(&of_bare)?)),
            goal: Goal::AtMostAbove(most),
        })
    };
    Ok(vec![row("p50", 50, 5.0)?, row("p99", 99, 30.0)?])
}

/// Sends a message, waits, again. Gives back when SendMessage had returned.
async fn send(
    backend: &Backend,
    queue: &Queue,
    number: usize,
    step: Duration,
    rounds: usize,
) -> anyhow::Result<Vec<(String, Timestamp)>> {
    // Spread out, so that no two messages are under way together.
    tokio::time::sleep(IDLE + step * u32::try_from(number)?).await;
    let mut sent = Vec::new();
    for round in 0..rounds {
        let body = format!("{number}-{round}");
        backend.sqs.send_message().queue_url(&queue.url).message_body(&body).send().await.context("sending")?;
        sent.push((body, Timestamp::now()));
        tokio::time::sleep(IDLE).await;
    }
    Ok(sent)
}

async fn long_poll(sqs: aws_sdk_sqs::Client, url: String, seen: Seen) -> anyhow::Result<()> {
    loop {
        let receive = sqs.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(20);
        let messages = receive.send().await?.messages.unwrap_or_default();
        let now = Timestamp::now();
        for message in messages {
            locked(&seen).entry(message.body.unwrap_or_default()).or_insert(now);
            sqs.delete_message().queue_url(&url).set_receipt_handle(message.receipt_handle).send().await?;
        }
    }
}

fn locked(seen: &Seen) -> std::sync::MutexGuard<'_, HashMap<String, Timestamp>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines of `BODY NANOSECONDS`.
fn starts(text: &str) -> HashMap<String, Timestamp> {
    let start = |line: &str| {
        let (body, at) = line.split_once(' ')?;
        Some((body.to_owned(), Timestamp::from_nanosecond(at.parse().ok()?).ok()?))
    };
    // Of a message that came twice, the first: an incomplete last line is not there yet.
    text.lines().rev().filter_map(start).collect()
}

/// Milliseconds. Below zero if the message was there before SendMessage's answer.
fn delays(sent: &[(String, Timestamp)], seen: &HashMap<String, Timestamp>) -> Vec<f64> {
    sent.iter().filter_map(|(body, at)| Some(seen.get(body)?.duration_since(*at).as_secs_f64() * 1_000.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_of_first_starts() {
        let sent = [("1-0".to_owned(), Timestamp::from_millisecond(1_000).unwrap())];
        let started = starts("1-0 1004000000\n1-0 1009000000\n2-0 1001000000\n");
        assert_eq!(delays(&sent, &started), [4.0]);
        assert_eq!(delays(&sent, &starts("1-0 999000000\nnonsense")), [-1.0]);
    }
}
