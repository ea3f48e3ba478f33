//! Functions that misbehave: their message is tried again, and everybody else's is processed.
use pelton_tests::{Backend, Function, Pelton, mapping, on_both_backends, on_localstack};
use serde_json::{Value, json};

/// One message misbehaves once, among good ones. Gives the log.
async fn misbehaves_once(backend: Backend, order: Value, function: Function) -> String {
    let queue = backend.queue(2).await;
    let mut bodies: Vec<String> = (0..4).map(|i| i.to_string()).collect();
    bodies.insert(2, order.to_string());
    queue.send_all(bodies.clone()).await;
    let more = json!({ "BatchSize": 1 });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    queue.is_drained().await;
    let seen = function.seen();
    for body in &bodies {
        let deliveries: Vec<_> = seen.iter().filter(|seen| seen.bodies() == [body.as_str()]).collect();
        let counts: Vec<_> = deliveries.iter().flat_map(|seen| seen.receive_counts()).collect();
        let is_told = *body == bodies[2] && order["times"] == 1;
        let expected: &[&str] = if is_told { &["1", "2"] } else { &["1"] };
        assert_eq!(counts, expected, "{body}");
    }
    assert_eq!(pelton.result(&queue), "OK");
    pelton.log()
}

async fn crashes(backend: Backend) {
    let log = misbehaves_once(backend, json!({ "do": "crash", "times": 1 }), Function::new()).await;
    assert!(log.contains("exit status 3"), "the log says how it ended");
}

async fn hangs(backend: Backend) {
    let function = Function::new().with_timeout(1);
    let log = misbehaves_once(backend, json!({ "do": "hang", "times": 1 }), function).await;
    assert!(log.contains("Task timed out after 1.00 seconds"), "the log says what was wrong");
}

async fn prints_garbage(backend: Backend) {
    let log = misbehaves_once(backend, json!({ "do": "garbage" }), Function::new()).await;
    assert!(log.contains("on stderr"), "what it prints is in the log");
    for line in log.lines() {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok(), "garbage broke the log: {}", &line[..line.len().min(200)]);
    }
}

async fn answers_7_megabytes(backend: Backend) {
    let log = misbehaves_once(backend, json!({ "do": "big", "times": 1 }), Function::new()).await;
    assert!(log.contains("Response payload size exceeded maximum allowed payload size"), "the log says what was wrong");
}

const NODE: &str = "\
const fs = require('fs');
exports.handler = async (event, context) => {
  console.log('hello from node');
  fs.appendFileSync(__dirname + '/ids', event.Records[0].messageId + ' ' + context.functionName + '\\n');
  if (event.Records[0].attributes.ApproximateReceiveCount === '1') throw new TypeError('told to fail');
  return { done: true };
};
";

async fn a_node_function_works_too(backend: Backend) {
    let queue = backend.queue(2).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.js"), NODE).unwrap();
    let id = queue.send("node").await;
    let pelton = Pelton::run(json!({
        "Endpoint": backend.endpoint,
        "Functions": [{
            "FunctionName": "node", "Runtime": "nodejs.x", "Handler": "index.handler", "CodeUri": folder.path(),
        }],
        "EventSourceMappings": [{ "EventSourceArn": queue.arn, "FunctionName": "node" }],
    }))
    .await;
    queue.is_drained().await;
    let ids = std::fs::read_to_string(folder.path().join("ids")).unwrap();
    assert_eq!(ids, format!("{id} node\n{id} node\n"));
    let log = pelton.log();
    assert!(log.contains("hello from node"));
    assert!(log.contains("TypeError: told to fail"));
}

on_both_backends!(crashes, a_node_function_works_too);
// What these show is the same whatever the queue.
mod anywhere {
    use super::*;
    on_localstack!(hangs, prints_garbage, answers_7_megabytes);
}
