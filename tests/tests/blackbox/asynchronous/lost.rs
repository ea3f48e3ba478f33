//! Nothing that was accepted is lost, and nothing is executed without need.
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use pelton_tests::{Backend, Function, Pelton, on_ministack};
use serde_json::{Value, json};

use super::start;

const PARALLEL: usize = 800;
const EVENTS: usize = 2_000;
const KILLS: usize = 8;

/// How often each number was executed.
fn executions(function: &Function) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for seen in function.seen() {
        *counts.entry(seen.event["n"].as_u64().unwrap()).or_default() += 1;
    }
    counts
}

async fn as_many_executions_as_parallel_invocations(backend: Backend) {
    let function = Function::new().with_concurrency(4);
    let pelton = start(&backend, &[(&function, json!({}))]).await;
    let accepted = stream::iter(0..PARALLEL)
        .map(|n| {
            let pelton = &pelton;
            async move { pelton.invoke_later("work", &json!({ "n": n })).await }
        })
        .buffer_unordered(PARALLEL);
    let mut ids: Vec<String> = accepted.collect().await;
    let mut seen: Vec<String> = function.is_done(PARALLEL).await.into_iter().map(|seen| seen.id).collect();
    ids.sort();
    seen.sort();
    assert_eq!(ids, seen);
    ids.dedup();
    assert_eq!(ids.len(), PARALLEL);
    pelton_tests::eventually("none waits", || async { waiting(&pelton) == 0 }).await;
    assert_eq!(function.seen().len(), PARALLEL);
}

/// What `/status` says of waiting events.
fn waiting(pelton: &Pelton) -> u64 {
    let functions: Value = serde_json::from_str(&pelton.get("/status/functions").1).unwrap();
    functions.as_array().unwrap().iter().map(|function| function["Waiting"].as_u64().unwrap()).sum()
}

async fn killed_while_2_000_events_are_accepted_and_executed(backend: Backend) {
    let function = Function::new().with_concurrency(4);
    let mut pelton = start(&backend, &[(&function, json!({}))]).await;
    let mut accepted = std::collections::BTreeSet::new();
    for round in 0..KILLS {
        let numbers = (round * EVENTS / KILLS..(round + 1) * EVENTS / KILLS).collect::<Vec<_>>();
        let sent = stream::iter(numbers)
            .map(|n| {
                let pelton = &pelton;
                async move {
                    let event = [("X-Amz-Invocation-Type", "Event")];
                    let answer = pelton.invoke("work", &event, &json!({ "n": n })).await;
                    assert_eq!(answer.status, 202, "{answer:?}");
                    n as u64
                }
            })
            .buffer_unordered(50);
        accepted.extend(sent.collect::<Vec<_>>().await);
        // Some of them were executed by now, some run, some wait.
        pelton.kill();
        pelton.start_again().await;
    }
    assert_eq!(accepted.len(), EVENTS);
    let limit = Duration::from_secs(120);
    pelton_testkit::eventually("every event is executed", limit, || async { executions(&function).len() == EVENTS })
        .await;
    pelton_testkit::eventually("none waits", limit, || async { waiting(&pelton) == 0 }).await;
    let executions = executions(&function);
    assert!(executions.keys().eq(accepted.iter()), "all that were accepted, and no other");
    // Only what ran, or had just ended, at one of the kills runs again.
    let repeated: usize = executions.values().map(|count| count - 1).sum();
    eprintln!("{repeated} of {EVENTS} events were executed again after {KILLS} kills");
    assert!(repeated < EVENTS / 4, "{repeated} were executed again");
}

async fn a_locked_store_refuses_and_accepts_again_later(backend: Backend) {
    let (function, folder) = (Function::new(), tempfile::tempdir().unwrap());
    let mut configuration = backend.configuration(&[&function], Vec::new());
    configuration["State"] = pelton_tests::state_in(folder.path());
    let pelton = Pelton::run(configuration).await;
    pelton.invoke_later("work", &json!({ "n": 1 })).await;
    let lock = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()";
    let mut locking = tokio::process::Command::new("python3")
        .args(["-c", lock])
        .arg(folder.path().join("pelton.db"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = [0; 7];
    use tokio::io::AsyncReadExt as _;
    locking.stdout.as_mut().unwrap().read_exact(&mut line).await.unwrap();
    let refused = pelton.invoke("work", &[("X-Amz-Invocation-Type", "Event")], &json!({ "n": 2 })).await;
    assert!(refused.status >= 500, "{refused:?}");
    assert_eq!(refused.header("x-amzn-errortype"), "ServiceException");
    assert!(!refused.body.contains(folder.path().to_str().unwrap()), "no paths: {refused:?}");
    locking.kill().await.unwrap();
    pelton.invoke_later("work", &json!({ "n": 3 })).await;
    function.is_done(2).await;
    let executed: Vec<u64> = executions(&function).into_keys().collect();
    assert_eq!(executed, [1, 3]);
}

on_ministack!(
    as_many_executions_as_parallel_invocations,
    killed_while_2_000_events_are_accepted_and_executed,
    a_locked_store_refuses_and_accepts_again_later,
);
