//! How often an event is tried, and when.
use pelton_tests::{Backend, Function, on_ministack};
use serde_json::{Value, json};

use super::{MINUTE, failure, masked, record, start, to};

async fn a_failing_event_is_tried_three_times_with_one_id(backend: Backend) {
    let (function, done, failed) = (Function::new(), backend.queue(30).await, backend.queue(30).await);
    let config = json!({ "EventInvokeConfig": { "DestinationConfig": to(&done.arn, &failed.arn) } });
    let pelton = start(&backend, &[(&function, config)]).await;
    let payload = json!({ "do": "fail" });
    let id = pelton.invoke_later("work", &payload).await;
    assert_eq!(masked(record(&failed).await, &id), failure("RetriesExhausted", 3, &payload));
    let seen = function.seen();
    let told: Vec<(&str, &Value)> = seen.iter().map(|seen| (seen.id.as_str(), &seen.event)).collect();
    assert_eq!(told, [(id.as_str(), &payload); 3]);
    assert!(seen.iter().all(|one| one.pid == seen[0].pid), "one process runs them all");
    let waits: Vec<f64> = seen.windows(2).map(|pair| pair[1].start - pair[0].end.unwrap()).collect();
    // No sooner. How late depends on the machine; in paused time it is exact: `crates/engine/tests/events.rs`.
    assert!(waits[0] >= MINUTE * 0.9, "after a minute: {waits:?}");
    assert!(waits[1] >= 2.0 * MINUTE * 0.9, "two minutes later: {waits:?}");
    assert_eq!(done.counts().await, (0, 0));
}

async fn maximum_retry_attempts_are_none_one_or_two(backend: Backend) {
    for retries in [0, 1, 2] {
        let (function, failed) = (Function::new(), backend.queue(30).await);
        let config = json!({ "EventInvokeConfig": {
            "MaximumRetryAttempts": retries, "DestinationConfig": { "OnFailure": { "Destination": failed.arn } },
        } });
        let pelton = start(&backend, &[(&function, config)]).await;
        let payload = json!({ "do": "fail" });
        let id = pelton.invoke_later("work", &payload).await;
        assert_eq!(masked(record(&failed).await, &id), failure("RetriesExhausted", retries + 1, &payload));
        assert_eq!(function.seen().len() as u64, retries + 1);
    }
}

async fn an_event_that_would_be_too_old_is_not_tried_again(backend: Backend) {
    for (age, attempts) in [(60, 1), (90, 2)] {
        let (function, failed) = (Function::new(), backend.queue(30).await);
        let config = json!({ "EventInvokeConfig": {
            "MaximumEventAgeInSeconds": age, "DestinationConfig": { "OnFailure": { "Destination": failed.arn } },
        } });
        let pelton = start(&backend, &[(&function, config)]).await;
        let payload = json!({ "do": "fail" });
        let id = pelton.invoke_later("work", &payload).await;
        assert_eq!(masked(record(&failed).await, &id), failure("EventAgeExceeded", attempts, &payload));
        assert_eq!(function.seen().len() as u64, attempts);
    }
}

async fn a_function_that_may_not_run_is_not_tried(backend: Backend) {
    let (function, failed) = (Function::new(), backend.queue(30).await);
    let config = json!({ "ReservedConcurrentExecutions": 0, "EventInvokeConfig": {
        "MaximumRetryAttempts": 0, "DestinationConfig": { "OnFailure": { "Destination": failed.arn } },
    } });
    let pelton = start(&backend, &[(&function, config)]).await;
    let id = pelton.invoke_later("work", &json!({ "a": 1 })).await;
    let expected = json!({
        "version": "1.0",
        "timestamp": "<timestamp>",
        "requestContext": {
            "requestId": "<request id>", "functionArn": super::WORK, "condition": "ZeroReservedConcurrency",
            "approximateInvokeCount": 0,
        },
        "requestPayload": { "a": 1 },
    });
    assert_eq!(masked(record(&failed).await, &id), expected);
    assert_eq!(function.seen().len(), 0);
    let refused = pelton.invoke("work", &[], &json!({})).await;
    let body = json!({
        "Type": "User", "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "message": "Rate Exceeded.",
    });
    assert_eq!(refused.refusal(), (429, "TooManyRequestsException", body));
}

async fn a_busy_function_gets_every_event_in_the_end(backend: Backend) {
    let function = Function::new().with_concurrency(2);
    let pelton = start(&backend, &[(&function, json!({ "ReservedConcurrentExecutions": 1 }))]).await;
    for _ in 0..3 {
        pelton.invoke_later("work", &json!({ "do": "sleep", "seconds": 0.2 })).await;
    }
    let seen = function.is_done(3).await;
    assert_eq!((seen.len(), pelton_tests::largest_overlap(&seen)), (3, 1));
}

async fn what_waits_goes_by_the_configuration_of_its_next_attempt(backend: Backend) {
    let (function, failed) = (Function::new(), backend.queue(30).await);
    let mut configuration = backend.configuration(&[&function], Vec::new());
    // Three seconds for a minute: the change must come before the next attempt.
    configuration["AsyncInvocation"] = json!({ "DelayScale": 0.05 });
    let pelton = pelton_tests::Pelton::run(configuration).await;
    let payload = json!({ "do": "fail" });
    let id = pelton.invoke_later("work", &payload).await;
    function.is_done(1).await;
    let path = "/2019-09-25/functions/work/event-invoke-config";
    let config = json!({
        "MaximumRetryAttempts": 1, "DestinationConfig": { "OnFailure": { "Destination": failed.arn } },
    });
    let put = pelton.request("PUT", path, &[], config.to_string()).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(masked(record(&failed).await, &id), failure("RetriesExhausted", 2, &payload));
}

async fn a_missing_payload_is_an_empty_object(backend: Backend) {
    let (function, done) = (Function::new(), backend.queue(30).await);
    let config = json!({ "EventInvokeConfig": {
        "DestinationConfig": { "OnSuccess": { "Destination": done.arn } },
    } });
    let pelton = start(&backend, &[(&function, config)]).await;
    let path = "/2015-03-31/functions/work/invocations";
    let answer = pelton.request("POST", path, &[("X-Amz-Invocation-Type", "Event")], "").await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("x-amz-executed-version")), (202, "", ""));
    let id = answer.request_id().to_owned();
    let expected = json!({
        "version": "1.0",
        "timestamp": "<timestamp>",
        "requestContext": {
            "requestId": "<request id>", "functionArn": super::WORK, "condition": "Success", "approximateInvokeCount": 1,
        },
        "requestPayload": {},
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST" },
        "responsePayload": { "did": {} },
    });
    assert_eq!(masked(record(&done).await, &id), expected);
}

on_ministack!(
    a_failing_event_is_tried_three_times_with_one_id,
    maximum_retry_attempts_are_none_one_or_two,
    an_event_that_would_be_too_old_is_not_tried_again,
    a_function_that_may_not_run_is_not_tried,
    a_busy_function_gets_every_event_in_the_end,
    what_waits_goes_by_the_configuration_of_its_next_attempt,
    a_missing_payload_is_an_empty_object,
);
