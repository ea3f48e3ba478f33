//! boto3, AWS's SDK for Python, with its paginators and waiters.
use pelton_tests::{Backend, Function, body, eventually, on_ministack};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{prints, reported, start, tool};

const CODE: &str = "\
def handler(event, context):
    return {'batchItemFailures': []}
";

async fn script(pelton: &pelton_tests::Pelton, text: &str, arguments: &[&str]) -> Command {
    let mut python = tool(pelton, "python").await;
    python.args(["-c", text]).args(arguments);
    python
}

async fn boto3_makes_a_function_through_pelton_and_maps_two_queues_to_it(backend: Backend) {
    let (queue, other, function) = (backend.queue(30).await, backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let arguments = [&queue.arn, &other.arn, &Backend::name("function"), CODE];
    let ids = prints(script(&pelton, include_str!("mappings.py"), &arguments).await).await;
    queue.send_all(["yes", "no", "yes"].map(str::to_owned)).await;
    other.send("yes").await;
    eventually("all are gone", || async { pelton.status(&queue)["Deleted"] == 3 }).await;
    let status = pelton.status(&queue);
    assert_eq!((&status["Invoked"], &status["Filtered"], &status["UUID"]), (&json!(2), &json!(1), &ids[0]));
    queue.is_drained().await;
    assert_eq!(other.counts().await, (1, 0), "the other one is disabled");
}

async fn boto3_invokes_in_all_types_and_sets_event_invoke_configs(backend: Backend) {
    let (function, reports) = (Function::new(), backend.queue(30).await);
    let pelton = start(&backend, &function).await;
    let ids = prints(script(&pelton, include_str!("invocations.py"), &[&reports.arn]).await).await;
    let mut records: Vec<Value> = reports.take(2).await.iter().map(body).collect();
    reported(&mut records, &[ids[0].as_str().unwrap(), ids[1].as_str().unwrap()]);
    assert_eq!(reports.counts().await, (0, 0));
    // Three that were waited for, one that went well, and one with its retry: the dry run ran nothing.
    assert_eq!(function.is_done(6).await.len(), 6);
}

on_ministack!(
    boto3_makes_a_function_through_pelton_and_maps_two_queues_to_it,
    boto3_invokes_in_all_types_and_sets_event_invoke_configs,
);
