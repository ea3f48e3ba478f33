//! Stops and changes while events wait and run.
use pelton_tests::{Backend, Function, Pelton, on_ministack};
use serde_json::{Value, json};

use super::start;

const CODE: &str = "\
import json, os, time
def handler(event, context):
    time.sleep(event.get('seconds', 0))
    with open(os.path.join(os.environ['NOTES'], 'notes'), 'a') as notes:
        notes.write(json.dumps([event['n'], os.environ['VARIANT']]) + '\\n')
";

async fn what_runs_ends_at_a_stop_and_what_waits_is_executed_after_the_start(backend: Backend) {
    let function = Function::new();
    let mut pelton = start(&backend, &[(&function, json!({}))]).await;
    for n in 0..4 {
        pelton.invoke_later("work", &json!({ "do": "sleep", "seconds": 1.5, "n": n })).await;
    }
    function.is_invoked(1).await;
    pelton.stop().await;
    let seen = function.seen();
    assert!(seen.len() < 4 && seen.iter().all(|seen| seen.end.is_some()), "what runs ends, and no other begins");
    pelton.start_again().await;
    let seen = function.is_done(4).await;
    let mut executed: Vec<u64> = seen.iter().map(|seen| seen.event["n"].as_u64().unwrap()).collect();
    executed.sort_unstable();
    assert_eq!(executed, [0, 1, 2, 3], "each once");
}

/// Spec 9: what has begun ends on the old configuration, what waits runs on the new one.
async fn a_changed_function_gets_what_waits(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.py"), CODE).unwrap();
    let configuration = |variant: &str| {
        let variables = json!({ "VARIANT": variant, "NOTES": folder.path() });
        let entry = json!({
            "FunctionName": "work", "Runtime": "python3.x", "Handler": "app.handler", "CodeUri": folder.path(),
            "Timeout": 20, "Environment": { "Variables": variables },
        });
        json!({ "Endpoint": backend.endpoint, "Functions": [entry] })
    };
    let pelton = Pelton::run(configuration("old")).await;
    let notes = || {
        let text = std::fs::read_to_string(folder.path().join("notes")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    pelton.invoke_later("work", &json!({ "n": 0, "seconds": 6 })).await;
    let running = || async { pelton.get("/status/functions").1.contains("\"InFlight\":1") };
    pelton_tests::eventually("it runs", running).await;
    for n in 1..15 {
        pelton.invoke_later("work", &json!({ "n": n })).await;
    }
    pelton.replace_configuration(configuration("new"));
    pelton_tests::eventually("all are executed", || async { notes().len() == 15 }).await;
    let mut found = notes();
    found.sort_by_key(|note| note[0].as_u64());
    let expected: Vec<Value> = (0..15).map(|n| json!([n, if n == 0 { "old" } else { "new" }])).collect();
    assert_eq!(found, expected);
}

/// A store that takes no more answers 5xx, keeps what it has accepted, and the process lives.
async fn a_full_disk_is_no_false_acceptance(backend: Backend) {
    let (function, state) = (Function::new(), tempfile::tempdir().unwrap());
    let configuration = json!({
        "Endpoint": backend.endpoint, "Functions": [function.entry()], "State": pelton_tests::state_in(state.path()),
    });
    let mut pelton = Pelton::run_with_small_files(configuration.clone(), 2 * 1024 * 1024).await;
    // The first keeps the function busy, so that the others wait.
    pelton.invoke_later("work", &json!({ "do": "sleep", "seconds": 6, "n": 0 })).await;
    let event = [("X-Amz-Invocation-Type", "Event")];
    let filler = "x".repeat(100_000);
    let mut accepted = vec![0];
    let refused = loop {
        let n = accepted.len() as u64;
        let answer = pelton.invoke("work", &event, &json!({ "n": n, "filler": filler })).await;
        match answer.status {
            202 => accepted.push(n),
            _ => break answer,
        }
        assert!(n < 100, "the disk never gets full");
    };
    assert_eq!((refused.status, refused.header("x-amzn-errortype")), (503, "ServiceException"));
    assert!(!refused.body.contains(state.path().to_str().unwrap()), "no paths: {refused:?}");
    assert!(accepted.len() > 3 && pelton.is_alive());
    pelton.kill();
    // There is room again.
    let _pelton = Pelton::run(configuration).await;
    pelton_tests::eventually("all that was accepted is executed", || async {
        let seen = function.seen();
        let done = |n: &u64| seen.iter().any(|seen| seen.event["n"] == *n && seen.end.is_some());
        accepted.iter().all(done)
    })
    .await;
    assert!(function.seen().iter().all(|seen| accepted.contains(&seen.event["n"].as_u64().unwrap())));
}

on_ministack!(
    what_runs_ends_at_a_stop_and_what_waits_is_executed_after_the_start,
    a_changed_function_gets_what_waits,
    a_full_disk_is_no_false_acceptance,
);
