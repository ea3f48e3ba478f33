//! Backends that fail: the mapping stays, says what is wrong, and recovers by itself; the others go on.
use pelton_tests::{Backend, Forwarder, Function, Pelton, Queue, eventually, mapping, on_both_backends};
use serde_json::json;

async fn is_in_trouble(pelton: &Pelton, queue: &Queue, words: &str) {
    eventually(&format!("a problem with {words:?} shows"), || async {
        let result = pelton.result(queue);
        result.starts_with("PROBLEM: ") && result.contains(words)
    })
    .await;
    let status = pelton.status(queue);
    assert_eq!(status["State"], "Enabled");
    assert!(status["LastError"]["Message"].as_str().unwrap().contains(words));
    let metrics = pelton.get("/metrics").1;
    let problem = metrics.lines().find(|line| line.starts_with("pelton_problem{") && line.contains(&queue.name));
    assert!(problem.is_some_and(|line| line.ends_with("} 1")), "{problem:?}");
}

/// A message goes through, and nothing is left of the problem.
async fn works(pelton: &Pelton, queue: &Queue) {
    queue.send("works").await;
    queue.is_drained().await;
    eventually("the mapping is fine", || async { pelton.result(queue) == "OK" }).await;
}

async fn a_queue_that_is_missing_at_the_start(backend: Backend) {
    let (other, function) = (backend.queue(20).await, Function::new());
    let missing = Queue { name: Backend::name("later"), ..other.clone() };
    let missing = Queue { arn: Backend::arn("sqs", &missing.name), ..missing };
    let mappings = vec![mapping(&missing, &function, json!({})), mapping(&other, &function, json!({}))];
    let pelton = Pelton::start(&backend, &function, mappings).await;
    is_in_trouble(&pelton, &missing, "Error occurred while GetQueueUrl. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist").await;
    works(&pelton, &other).await;
    let created = backend.create_queue(&missing.name, 20, &[]).await;
    works(&pelton, &created).await;
}

async fn a_queue_that_is_deleted_and_created_again(backend: Backend) {
    let (queue, other, function) = (backend.queue(20).await, backend.queue(20).await, Function::new());
    let mappings = vec![mapping(&queue, &function, json!({})), mapping(&other, &function, json!({}))];
    let pelton = Pelton::start(&backend, &function, mappings).await;
    works(&pelton, &queue).await;
    queue.delete().await;
    is_in_trouble(&pelton, &queue, "NonExistentQueue").await;
    works(&pelton, &other).await;
    let created = backend.create_queue(&queue.name, 20, &[]).await;
    works(&pelton, &created).await;
}

async fn an_endpoint_that_is_down_at_the_start_and_later(backend: Backend) {
    let forwarder = Forwarder::start(&backend.endpoint, false).await;
    let (queue, other, function) = (backend.queue(20).await, backend.queue(20).await, Function::new());
    let mappings = vec![mapping(&queue, &function, json!({})), mapping(&other, &function, json!({}))];
    let pelton = Pelton::run(json!({
        "Endpoint": forwarder.endpoint, "Functions": [function.entry()], "EventSourceMappings": mappings,
    }))
    .await;
    for queue in [&queue, &other] {
        is_in_trouble(&pelton, queue, "failed").await;
    }
    forwarder.switch(true);
    for queue in [&queue, &other] {
        works(&pelton, queue).await;
    }
    forwarder.switch(false);
    queue.send("while it is down").await;
    for queue in [&queue, &other] {
        is_in_trouble(&pelton, queue, "failed").await;
    }
    forwarder.switch(true);
    queue.is_drained().await;
    for queue in [&queue, &other] {
        works(&pelton, queue).await;
    }
}

async fn an_endpoint_that_goes_away_while_the_function_runs(backend: Backend) {
    let forwarder = Forwarder::start(&backend.endpoint, true).await;
    let (queue, function) = (backend.queue(30).await, Function::new());
    queue.send(json!({ "do": "sleep", "seconds": 1 })).await;
    let pelton = Pelton::run(json!({
        "Endpoint": forwarder.endpoint, "Functions": [function.entry()],
        "EventSourceMappings": [mapping(&queue, &function, json!({}))],
    }))
    .await;
    function.is_invoked(1).await;
    forwarder.switch(false);
    function.is_done(1).await;
    is_in_trouble(&pelton, &queue, "failed").await;
    assert_eq!(queue.counts().await, (0, 1), "it can't be deleted now");
    forwarder.switch(true);
    queue.is_drained().await;
    assert_eq!(function.seen().len(), 1, "deleted later, not delivered again");
    works(&pelton, &queue).await;
}

on_both_backends!(
    a_queue_that_is_missing_at_the_start,
    a_queue_that_is_deleted_and_created_again,
    an_endpoint_that_is_down_at_the_start_and_later,
    an_endpoint_that_goes_away_while_the_function_runs,
);
