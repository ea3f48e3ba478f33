//! What happens to a message that never succeeds.
use pelton_tests::{Backend, Function, Pelton, body, eventually, mapping, on_both_backends};
use serde_json::json;

async fn the_queues_redrive_policy_decides(backend: Backend) {
    let ((queue, dead), function) = (backend.queue_with_dead_letters(2, 2).await, Function::new());
    let poison = json!({ "do": "fail" }).to_string();
    let id = queue.send(&poison).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({}))]).await;
    let first = function.is_done(1).await;
    assert_eq!(first[0].receive_counts(), ["1"]);
    assert_eq!(dead.counts().await, (0, 0), "nothing is dead after the first attempt");
    // Moved by the queue itself, at a receive after the second attempt's visibility timeout.
    let [message] = dead.take(1).await.try_into().unwrap();
    assert_eq!((message.message_id(), message.body()), (Some(id.as_str()), Some(poison.as_str())));
    queue.is_drained().await;
    let counts: Vec<_> = function.seen().iter().map(|seen| seen.receive_counts().join(",")).collect();
    assert_eq!(counts, ["1", "2"], "exactly two attempts");
}

async fn good_messages_of_a_failing_batch_die_with_it(backend: Backend) {
    let ((queue, dead), function) = (backend.queue_with_dead_letters(2, 1).await, Function::new());
    queue.send_all([json!({ "do": "fail" }).to_string(), "good".into()]).await;
    let window = json!({ "MaximumBatchingWindowInSeconds": 1 });
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, window)]).await;
    let mut bodies: Vec<String> = dead.take(2).await.iter().map(|it| it.body().unwrap().to_owned()).collect();
    bodies.sort();
    assert_eq!(bodies, ["good", "{\"do\":\"fail\"}"]);
}

async fn on_failure_gets_the_record_and_then_the_message_is_deleted(backend: Backend) {
    let (queue, failures, function) = (backend.queue(2).await, backend.queue(30).await, Function::new());
    let id = queue.send(json!({ "do": "fail" })).await;
    let more = json!({
        "MaximumRetryAttempts": 1, "DestinationConfig": { "OnFailure": { "Destination": failures.arn } },
    });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    let [message] = failures.take(1).await.try_into().unwrap();
    queue.is_drained().await;
    assert_eq!(function.seen().len(), 2, "one attempt and one retry");
    let record = body(&message);
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    let expected = ["version", "timestamp", "requestContext", "requestPayload", "responseContext", "responsePayload"];
    assert_eq!(keys, expected);
    assert_eq!(record["version"], "1.0");
    let context = &record["requestContext"];
    assert_eq!(context["condition"], "RetriesExhausted");
    assert_eq!(context["approximateInvokeCount"], 2);
    assert_eq!(context["functionArn"], Backend::arn("lambda", "function:work"));
    assert_eq!(record["requestPayload"], function.seen()[1].event, "the event as the function got it");
    assert_eq!(record["requestPayload"]["Records"][0]["messageId"], id.as_str());
    assert_eq!(
        record["responseContext"],
        json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"})
    );
    assert_eq!(record["responsePayload"]["errorMessage"], "told to fail");
    assert_eq!(record["responsePayload"]["errorType"], "ValueError");
    eventually("the counts say so", || async {
        let status = pelton.status(&queue);
        (&status["Dropped"], &status["ReportedFailures"]) == (&json!(1), &json!(1))
    })
    .await;
}

async fn without_an_accepting_destination_nothing_is_deleted(backend: Backend) {
    let (queue, function) = (backend.queue(2).await, Function::new());
    let later = Backend::name("later");
    queue.send(json!({ "do": "fail" })).await;
    let more = json!({
        "MaximumRetryAttempts": 0,
        "DestinationConfig": { "OnFailure": { "Destination": Backend::arn("sqs", &later) } },
    });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    eventually("the refused delivery shows", || async {
        pelton.status(&queue)["DestinationDeliveryFailures"].as_u64() > Some(0)
            && pelton.result(&queue).starts_with("PROBLEM")
    })
    .await;
    assert_ne!(queue.counts().await, (0, 0), "the message is still there");
    let failures = backend.create_queue(&later, 30, &[]).await;
    let record = body(&failures.take(1).await[0]);
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    queue.is_drained().await;
    assert_eq!(function.seen().len(), 1, "held, not delivered again meanwhile");
}

async fn the_last_receive_before_the_dead_letter_queue_is_reported_too(backend: Backend) {
    let ((queue, dead), function) = (backend.queue_with_dead_letters(2, 2).await, Function::new());
    let failures = backend.queue(30).await;
    let id = queue.send(json!({ "do": "fail" })).await;
    let more = json!({ "DestinationConfig": { "OnFailure": { "Destination": failures.arn } } });
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    let record = body(&failures.take(1).await[0]);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(dead.take(1).await[0].message_id(), Some(id.as_str()), "the queue's redrive still happens");
    assert_eq!(failures.counts().await, (0, 0), "one record");
}

on_both_backends!(
    the_queues_redrive_policy_decides,
    good_messages_of_a_failing_batch_die_with_it,
    on_failure_gets_the_record_and_then_the_message_is_deleted,
    without_an_accepting_destination_nothing_is_deleted,
    the_last_receive_before_the_dead_letter_queue_is_reported_too,
);
