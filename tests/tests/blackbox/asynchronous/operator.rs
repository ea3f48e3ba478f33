//! What an operator sees of asynchronous events, and does with them.
use std::process::Output;

use pelton_tests::{Backend, Function, Pelton, binary, on_ministack};
use serde_json::{Value, json};
use tokio::process::Command;

use super::start;

/// `pelton` with arguments, in the folder of the one that runs.
pub async fn command(pelton: &Pelton, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(pelton.folder()).env_clear();
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    command.env("PATH", std::env::var_os("PATH").unwrap()).output().await.unwrap()
}

fn text(output: &Output) -> (Option<i32>, String, String) {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8(text.clone()).unwrap());
    (output.status.code(), stdout, stderr)
}

async fn functions(pelton: &Pelton) -> Value {
    serde_json::from_str(&pelton.get("/status/functions").1).unwrap()
}

async fn events_are_listed_shown_and_cancelled(backend: Backend) {
    let (function, idle) = (Function::new(), Function::named("idle"));
    // With Lambda's own delays: a minute is long enough for all that is looked at here.
    let pelton = Pelton::run(backend.configuration(&[&function, &idle], Vec::new())).await;
    let (_, nothing, _) = text(&command(&pelton, &["events", "list"]).await);
    assert_eq!(nothing, "no events wait\n");
    // One runs for a while, and one waits for its retry.
    let running = pelton.invoke_later("work", &json!({ "do": "sleep", "seconds": 15 })).await;
    let waiting = pelton.invoke_later("idle", &json!({ "do": "fail" })).await;
    idle.is_done(1).await;
    let list = || async {
        let (status, listed, error) = text(&command(&pelton, &["events", "list", "--json"]).await);
        assert_eq!((status, error.as_str()), (Some(0), ""));
        serde_json::from_str::<Vec<Value>>(&listed).unwrap()
    };
    pelton_tests::eventually("it waits", || async {
        list().await.iter().any(|event| event["RequestId"] == waiting.as_str() && event["Attempts"] == 1)
    })
    .await;
    let listed = list().await;
    let ids: Vec<&str> = listed.iter().map(|event| event["RequestId"].as_str().unwrap()).collect();
    assert_eq!(ids, [running.as_str(), waiting.as_str()]);
    assert_eq!((&listed[0]["IsRunning"], &listed[1]["IsRunning"]), (&json!(true), &json!(false)));
    let (_, table, _) = text(&command(&pelton, &["events", "list", "--function", "idle"]).await);
    assert!(table.contains(&waiting) && !table.contains(&running), "{table}");
    let (status, shown, _) = text(&command(&pelton, &["events", "show", &waiting]).await);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((status, &shown["Payload"], &shown["Attempts"]), (Some(0), &json!({ "do": "fail" }), &json!(1)));

    let cancelled = text(&command(&pelton, &["events", "cancel", &waiting]).await);
    assert_eq!(cancelled, (Some(0), format!("{waiting} is cancelled\n"), String::new()));
    let (status, _, error) = text(&command(&pelton, &["events", "cancel", &running]).await);
    assert_eq!(status, Some(1));
    assert!(error.contains("is gone, or is being worked on"), "{error}");
    let (status, _, error) = text(&command(&pelton, &["events", "show", &waiting]).await);
    assert_eq!(status, Some(1), "{error}");
    function.is_done(1).await;
    pelton_tests::eventually("none is left", || async { list().await.is_empty() }).await;
    assert_eq!(idle.seen().len(), 1, "a cancelled event is not executed again");
}

async fn status_and_metrics_tell_how_it_goes(backend: Backend) {
    let (function, failed, dead) = (Function::new(), backend.queue(30).await, backend.queue(30).await);
    let config = json!({
        "DeadLetterConfig": { "TargetArn": dead.arn },
        "EventInvokeConfig": {
            "MaximumRetryAttempts": 1, "DestinationConfig": { "OnFailure": { "Destination": failed.arn } },
        },
    });
    let pelton = start(&backend, &[(&function, config)]).await;
    pelton.invoke_later("work", &json!({ "id": 1 })).await;
    pelton.invoke_later("work", &json!({ "do": "fail" })).await;
    dead.take(1).await;
    pelton_tests::eventually("both have ended", || async { functions(&pelton).await[0]["Waiting"] == 0 }).await;
    let status = functions(&pelton).await;
    let [work] = &status.as_array().unwrap()[..] else { panic!("{status}") };
    let shown = ["FunctionArn", "Received", "Invocations", "Errors", "Retries", "Dropped", "DeadLettered"];
    let shown: Vec<&Value> = shown.iter().map(|key| &work[key]).collect();
    assert_eq!(json!(shown), json!([super::WORK, 2, 3, 2, 1, 1, 1]), "{work}");
    let metrics = pelton.get("/metrics").1;
    for (name, value) in
        [("AsyncEventsReceived_total", 2), ("AsyncEventsDropped_total", 1), ("AsyncEventAge_seconds_count", 3)]
    {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")))
            .unwrap_or_else(|| panic!("no {name} in {metrics}"));
        assert!(line.contains("work") && line.ends_with(&format!(" {value}")), "{line}");
    }
    let (status, table, _) = text(&command(&pelton, &["status", &pelton.url]).await);
    assert_eq!(status, Some(0));
    assert!(table.contains("work:$LATEST"), "{table}");
}

async fn pelton_invoke_calls_functions_both_ways(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &[(&function, json!({}))]).await;
    let url = ["--url", pelton.url.as_str()];
    let good = ["invoke", "work", "--payload", r#"{"id": 7}"#];
    assert_eq!(
        text(&command(&pelton, &[&good[..], &url].concat()).await),
        (Some(0), "{\"did\": {\"id\": 7}}\n".into(), String::new())
    );
    let (status, id, _) = text(&command(&pelton, &[&good[..], &["--async"], &url].concat()).await);
    assert_eq!(status, Some(0));
    assert_eq!(function.is_done(2).await[1].id, id.trim());
    let bad = ["invoke", "work", "--payload", r#"{"do": "fail"}"#, "--log"];
    let (status, payload, log) = text(&command(&pelton, &[&bad[..], &url].concat()).await);
    assert_eq!(status, Some(1));
    assert!(payload.contains("told to fail"), "{payload}");
    assert!(log.contains("START RequestId: ") && log.contains("the function failed: Unhandled"), "{log}");
    let (status, _, error) = text(&command(&pelton, &[&["invoke", "missing"], &url[..]].concat()).await);
    assert_eq!(status, Some(2));
    assert!(error.contains("ResourceNotFoundException: Function not found: "), "{error}");
    let (status, _, error) = text(&command(&pelton, &["invoke", "work", "--url", "127.0.0.1:1"]).await);
    assert_eq!(status, Some(2));
    assert!(error.contains("is `pelton run` running there"), "{error}");
}

on_ministack!(
    events_are_listed_shown_and_cancelled,
    status_and_metrics_tell_how_it_goes,
    pelton_invoke_calls_functions_both_ways,
);
