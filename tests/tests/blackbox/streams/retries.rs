//! Retries, and the record of what is given up (spec 5.3, 8.1).
use pelton_tests::{
    Backend, Feed, Function, Kind, Pelton, Seen, body, eventually, on_both_kinds, on_every_stream, stream_mapping,
    texts,
};
use serde_json::{Value, json};

use super::{keys, numbered, on_failure};

/// Checks a failure record to the letter: of a batch as it was last given to the function.
fn is_record(text: &str, kind: Kind, feed: &Feed, batch: &Value, attempts: u64, error: Value) {
    use pelton_tests::EventSource as _;
    let record: Value = serde_json::from_str(text).unwrap();
    let info = kind.batch_info();
    assert_eq!(keys(&record), ["requestContext", "responseContext", "version", "timestamp", info], "{text}");
    let context = &record["requestContext"];
    assert_eq!(keys(context), ["requestId", "functionArn", "condition", "approximateInvokeCount"], "{text}");
    assert_eq!(context["requestId"].as_str().unwrap().len(), 36, "a UUID: {text}");
    assert_eq!(context["functionArn"], Backend::arn("lambda", "function:work"));
    assert_eq!(
        (&context["condition"], &context["approximateInvokeCount"]),
        (&json!("RetryAttemptsExhausted"), &json!(attempts))
    );
    assert_eq!(keys(&record["responseContext"]), ["statusCode", "executedVersion", "functionError"]);
    assert_eq!(
        record["responseContext"],
        json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": error })
    );
    assert_eq!(record["version"], "1.0");
    let is_time =
        |value: &Value, length: usize| value.as_str().is_some_and(|it| it.len() == length && it.ends_with('Z'));
    assert!(is_time(&record["timestamp"], "2025-11-25T16:35:20.123Z".len()), "{text}");
    let info = &record[info];
    let expected = [
        "shardId",
        "startSequenceNumber",
        "endSequenceNumber",
        "approximateArrivalOfFirstRecord",
        "approximateArrivalOfLastRecord",
        "batchSize",
        "streamArn",
    ];
    assert_eq!(keys(info), expected);
    let records = batch.as_array().unwrap();
    let (first, last) = (&records[0], &records[records.len() - 1]);
    assert_eq!(info["startSequenceNumber"], pelton_tests::sequence_number(first));
    assert_eq!(info["endSequenceNumber"], pelton_tests::sequence_number(last));
    assert_eq!((&info["batchSize"], &info["streamArn"]), (&json!(records.len()), &json!(feed.arn())));
    assert!(info["shardId"].as_str().unwrap().starts_with("shardId-"), "{text}");
    let length = if kind == Kind::Kinesis { "2025-11-25T16:34:11.456Z" } else { "2025-11-25T16:34:11Z" }.len();
    for (field, record) in [("approximateArrivalOfFirstRecord", first), ("approximateArrivalOfLastRecord", last)] {
        assert!(is_time(&info[field], length), "{text}");
        let arrival: jiff::Timestamp = info[field].as_str().unwrap().parse().unwrap();
        let seconds = record["kinesis"]["approximateArrivalTimestamp"].as_f64();
        let seconds = seconds.or_else(|| record["dynamodb"]["ApproximateCreationDateTime"].as_f64()).unwrap();
        assert!((arrival.as_millisecond() as f64 / 1000.0 - seconds).abs() < 0.0005, "{text}: {seconds}");
    }
}

fn records(seen: &Seen) -> &Value {
    &seen.event["Records"]
}

async fn n_retries_are_n_plus_1_invocations_and_then_a_record(backend: Backend, kind: Kind) {
    let function = Function::new().with_concurrency(3);
    let given_up = backend.queue(30).await;
    let mut feeds = Vec::new();
    let mut mappings = Vec::new();
    for retries in 0..3_u64 {
        let feed = backend.feed(kind).await;
        feed.put_each([json!({ "do": "fail" }).to_string(), "good".into(), "later".into()]).await;
        let more = json!({
            "MaximumRetryAttempts": retries, "BatchSize": 2, "DestinationConfig": on_failure(&given_up.arn),
        });
        mappings.push(stream_mapping(&feed, &function, more));
        feeds.push((feed, retries));
    }
    let pelton = Pelton::start(&backend, &function, mappings).await;
    let reports = given_up.take(3).await;
    for (feed, retries) in &feeds {
        use pelton_tests::EventSource as _;
        pelton.has_settled(feed, 3).await;
        let seen: Vec<Seen> =
            function.seen().into_iter().filter(|seen| seen.records()[0]["eventSourceARN"] == feed.arn()).collect();
        let sizes: Vec<usize> = seen.iter().map(|seen| seen.records().len()).collect();
        let mut expected = vec![2; *retries as usize + 1];
        expected.push(1);
        assert_eq!(sizes, expected, "the batch N+1 times, and then what stands behind it");
        assert!(seen[..=*retries as usize].iter().all(|it| records(it) == records(&seen[0])), "the very same batch");
        let report = reports.iter().find(|it| body(it)[kind.batch_info()]["streamArn"] == feed.arn()).unwrap();
        is_record(report.body().unwrap(), kind, feed, records(&seen[0]), retries + 1, json!("Unhandled"));
        assert!(report.message_attributes().is_none_or(|attributes| attributes.is_empty()));
        let status = pelton.status(feed);
        assert_eq!((&status["Dropped"], &status["ReportedFailures"]), (&json!(2), &json!(1)), "{status}");
        assert_eq!(status["Retries"], *retries);
    }
}

/// Spec 5.3: the recorded case.
async fn partial_progress_gives_a_fresh_budget_of_retries(backend: Backend, kind: Kind) {
    let (feed, function, given_up) = (backend.feed(kind).await, Function::new(), backend.queue(30).await);
    feed.put_each(numbered(0..5).chain([json!({ "do": "partial" }).to_string()])).await;
    let more = json!({
        "BatchSize": 3, "MaximumRetryAttempts": 3, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": on_failure(&given_up.arn),
    });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    let report = given_up.take(1).await.remove(0);
    pelton.has_settled(&feed, 6).await;
    let seen = function.seen();
    let sizes: Vec<usize> = seen.iter().map(|seen| seen.records().len()).collect();
    assert_eq!(sizes, [3, 3, 1, 1, 1, 1], "records 0 to 4 once each, record 5 five times");
    is_record(report.body().unwrap(), kind, &feed, records(&seen[5]), 4, Value::Null);
}

async fn without_a_limit_a_batch_is_tried_until_it_works(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each([json!({ "do": "fail", "times": 3 }).to_string(), "good".into()]).await;
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, json!({}))]).await;
    eventually("its trouble shows", || async {
        pelton.result(&feed) == "PROBLEM: Function call failed: Unhandled: ValueError: told to fail"
    })
    .await;
    eventually("its attempts show", || async {
        pelton.status(&feed)["Shards"][0]["Attempts"].as_u64().is_some_and(|it| it > 0)
    })
    .await;
    pelton.has_settled(&feed, 2).await;
    let seen = function.seen();
    assert_eq!(seen.len(), 4);
    let pauses: Vec<f64> = seen.windows(2).map(|pair| pair[1].start - pair[0].end.unwrap()).collect();
    // Around 0.5, 1 and 2 s, each drawn from half to one and a half times of it.
    assert!(pauses[0] >= 0.25 && pauses[1] >= 0.5 && pauses[2] >= 1.0, "{pauses:?}");
    eventually("the mapping is fine", || async { pelton.result(&feed) == "OK" }).await;
    assert_eq!(pelton.status(&feed)["Shards"][0]["Attempts"], 0);
}

async fn a_crash_and_a_timeout_are_failures_of_the_function(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new().with_timeout(1));
    feed.put_each([
        json!({ "do": "crash", "times": 1 }).to_string(),
        json!({ "do": "hang", "times": 1 }).to_string(),
        "good".into(),
    ])
    .await;
    let more = json!({ "BatchSize": 1 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 3).await;
    let seen = texts(&function.seen());
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert_eq!((&seen[0], &seen[2], seen[4].as_str()), (&seen[1], &seen[3], "good"));
    let log = pelton.log();
    assert!(log.contains("exit status 3") && log.contains("Task timed out after 1.00 seconds"));
}

on_every_stream!(
    n_retries_are_n_plus_1_invocations_and_then_a_record,
    partial_progress_gives_a_fresh_budget_of_retries,
);
on_both_kinds!(without_a_limit_a_batch_is_tried_until_it_works, a_crash_and_a_timeout_are_failures_of_the_function);
