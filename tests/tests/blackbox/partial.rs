//! ReportBatchItemFailures: every row of the matrix for SQS (spec 6), on real queues.
use std::collections::BTreeMap;

use futures_util::future::join_all;
use pelton_tests::{Backend, Function, Pelton, Queue, Seen, mapping, on_both_backends};
use serde_json::{Value, json};

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Back {
    Nothing,
    /// The message that the answer names.
    Named,
    Everything,
}

/// Answers of the function; `$id` stands for the message id of one of two messages.
fn matrix() -> Vec<(Value, Back)> {
    let item = |item: Value| json!({ "batchItemFailures": [item] });
    vec![
        (item(json!({"itemIdentifier": "$id"})), Back::Named),
        (json!({"batchItemFailures": [{"itemIdentifier": "$id"}, {"itemIdentifier": "$id"}]}), Back::Named),
        (item(json!({"itemIdentifier": "$id", "more": 1})), Back::Named),
        (json!({"batchItemFailures": []}), Back::Nothing),
        (json!({"batchItemFailures": null}), Back::Nothing),
        (json!({}), Back::Nothing),
        (json!(null), Back::Nothing),
        (json!([]), Back::Nothing),
        (json!(""), Back::Nothing),
        (json!({"other": [{"itemIdentifier": "$id"}]}), Back::Nothing),
        (item(json!({"itemIdentifier": ""})), Back::Everything),
        (item(json!({"itemIdentifier": null})), Back::Everything),
        (item(json!({"itemIdentifier": 123})), Back::Everything),
        (item(json!({"foo": 123})), Back::Everything),
        (item(json!({"foo": null})), Back::Everything),
        (item(json!({"foo": "notvalid"})), Back::Everything),
        (item(json!({"itemIdentifier": "not-in-the-batch"})), Back::Everything),
        (json!({"batchItemFailures": [{"itemIdentifier": "$id"}, {"foo": 1}]}), Back::Everything),
        (json!({"batchItemFailures": {"itemIdentifier": "$id"}}), Back::Everything),
        (json!({"batchItemFailures": "$id"}), Back::Everything),
        (json!("ok"), Back::Everything),
        (json!(5), Back::Everything),
        (json!([1]), Back::Everything),
    ]
}

async fn queue_with_two_messages(backend: &Backend, poison: Value) -> Queue {
    let queue = backend.queue(2).await;
    queue.send_all([json!({"name": "good"}).to_string(), poison.to_string()]).await;
    queue
}

/// What a queue's messages were delivered as: name → receive counts.
fn deliveries(seen: &[Seen], queue: &Queue) -> BTreeMap<String, Vec<String>> {
    let mut deliveries: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in seen.iter().flat_map(Seen::records).filter(|record| record["eventSourceARN"] == queue.arn.as_str()) {
        let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        let counts = deliveries.entry(body["name"].as_str().unwrap().to_owned()).or_default();
        counts.push(record["attributes"]["ApproximateReceiveCount"].as_str().unwrap().to_owned());
    }
    deliveries
}

fn expected(back: Back) -> BTreeMap<String, Vec<String>> {
    let counts = |comes_back: bool| if comes_back { vec!["1".into(), "2".into()] } else { vec!["1".into()] };
    BTreeMap::from([
        ("good".into(), counts(back == Back::Everything)),
        ("poison".into(), counts(back != Back::Nothing)),
    ])
}

/// A window of a second, so that both messages come in one batch.
fn with_window(response_types: Value) -> Value {
    json!({"MaximumBatchingWindowInSeconds": 1, "FunctionResponseTypes": response_types})
}

async fn run_matrix(backend: Backend, response_types: Value, rows: Vec<(Value, Back)>) {
    let function = Function::new().with_concurrency(2);
    let queues = join_all(rows.iter().map(|(answer, _)| {
        queue_with_two_messages(&backend, json!({"name": "poison", "do": "answer", "times": 1, "answer": answer}))
    }))
    .await;
    let more = with_window(response_types);
    let mappings = queues.iter().map(|queue| mapping(queue, &function, more.clone())).collect();
    let _pelton = Pelton::start(&backend, &function, mappings).await;
    join_all(queues.iter().map(Queue::is_drained)).await;
    let seen = function.seen();
    for ((answer, back), queue) in rows.iter().zip(&queues) {
        assert_eq!(deliveries(&seen, queue), expected(*back), "after {answer}");
    }
}

async fn every_row(backend: Backend) {
    run_matrix(backend, json!(["ReportBatchItemFailures"]), matrix()).await;
}

async fn without_the_response_type_every_answer_is_a_success(backend: Backend) {
    let rows = matrix().into_iter().map(|(answer, _)| (answer, Back::Nothing)).step_by(3).collect();
    run_matrix(backend, json!([]), rows).await;
}

async fn an_error_fails_the_whole_batch_with_and_without_the_response_type(backend: Backend) {
    let function = Function::new();
    let poison = json!({"name": "poison", "do": "fail", "times": 1});
    let queues =
        [queue_with_two_messages(&backend, poison.clone()).await, queue_with_two_messages(&backend, poison).await];
    let mappings = vec![
        mapping(&queues[0], &function, with_window(json!(["ReportBatchItemFailures"]))),
        mapping(&queues[1], &function, with_window(json!([]))),
    ];
    let _pelton = Pelton::start(&backend, &function, mappings).await;
    for queue in &queues {
        queue.is_drained().await;
        assert_eq!(deliveries(&function.seen(), queue), expected(Back::Everything));
    }
}

async fn many_of_many(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new());
    let bodies = (0..10).map(|i| match i % 3 {
        0 => json!({"name": format!("poison {i}"), "do": "partial", "times": 1}).to_string(),
        _ => json!({"name": format!("good {i}")}).to_string(),
    });
    queue.send_all(bodies).await;
    let more = with_window(json!(["ReportBatchItemFailures"]));
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    queue.is_drained().await;
    for (name, counts) in deliveries(&function.seen(), &queue) {
        let expected: &[&str] = if name.starts_with("poison") { &["1", "2"] } else { &["1"] };
        assert_eq!(counts, expected, "{name}");
    }
}

on_both_backends!(
    every_row,
    without_the_response_type_every_answer_is_a_success,
    an_error_fails_the_whole_batch_with_and_without_the_response_type,
    many_of_many,
);
