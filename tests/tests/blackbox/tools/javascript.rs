//! The AWS SDK for JavaScript, version 3, in Node.js.
use pelton_tests::{Backend, Function, Pelton, body, javascript, on_ministack};
use serde_json::json;
use tokio::process::Command;

use super::{prints, reported, start, with_endpoint};

/// A script of `tests/javascript`, beside the packages that it imports.
async fn script(pelton: &Pelton, text: &str, arguments: &[&str]) -> Command {
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", text]).args(arguments);
    let mut node = with_endpoint(node, pelton);
    // A text that is no file finds packages from here.
    node.current_dir(javascript().await);
    node
}

async fn mappings_are_made_changed_and_deleted(backend: Backend) {
    let (queue, other, function) = (backend.queue(30).await, backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let text = include_str!("../../../javascript/mappings.js");
    let kept = prints(script(&pelton, text, &[&queue.arn, &other.arn]).await).await;
    assert_eq!(kept, pelton.status(&queue)["UUID"]);
    queue.send("of the one that was kept").await;
    other.send("nobody reads this").await;
    function.is_done(1).await;
    queue.is_drained().await;
    assert_eq!(other.counts().await, (1, 0));
}

async fn functions_are_invoked_in_all_types_and_told_whom_to_report_to(backend: Backend) {
    let (function, reports) = (Function::new(), backend.queue(30).await);
    let pelton = start(&backend, &function).await;
    let text = include_str!("../../../javascript/invocations.js");
    let ids = prints(script(&pelton, text, &[&reports.arn]).await).await;
    let mut records: Vec<_> = reports.take(2).await.iter().map(body).collect();
    reported(&mut records, &[ids[0].as_str().unwrap(), ids[1].as_str().unwrap()]);
    assert_eq!(reports.counts().await, (0, 0));
    // Two that were waited for, one that went well, and one with its retry: the dry run ran nothing.
    assert_eq!(function.is_done(5).await.len(), 5);
}

async fn a_function_behind_pelton_is_invoked_in_all_types(backend: Backend) {
    let (function, reports, name) = (Function::new(), backend.queue(30).await, Backend::name("function"));
    let pelton = start(&backend, &function).await;
    backend.create_function(&name, "def handler(event, context):\n    return {'did': event}\n").await;
    let text = include_str!("../../../javascript/behind.js");
    let id = prints(script(&pelton, text, &[&name, &reports.arn]).await).await;
    let record = body(&reports.take(1).await[0]);
    assert_eq!(record["requestContext"]["requestId"], id);
    assert_eq!(record["responsePayload"], json!({ "did": { "id": 3 } }));
}

on_ministack!(
    mappings_are_made_changed_and_deleted,
    functions_are_invoked_in_all_types_and_told_whom_to_report_to,
    a_function_behind_pelton_is_invoked_in_all_types,
);
