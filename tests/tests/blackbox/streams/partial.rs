//! ReportBatchItemFailures: every row of the matrix for streams (spec 6).
use pelton_tests::{
    Backend, EventSource as _, Function, Kind, Pelton, body, eventually, on_both_kinds, stream_mapping,
};
use serde_json::{Value, json};

use super::on_failure;

/// What is tried again of three records, the second of which answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Again {
    Nothing,
    /// The one that is named, and what stands behind it.
    FromTheNamed,
    /// All three.
    TheBatch,
}

/// Answers of the function; `$id` stands for the sequence number of the second record.
fn matrix() -> Vec<(Value, Again)> {
    let item = |item: Value| json!({ "batchItemFailures": [item] });
    vec![
        (item(json!({"itemIdentifier": "$id"})), Again::FromTheNamed),
        (json!({"batchItemFailures": [{"itemIdentifier": "$id"}, {"itemIdentifier": "$id"}]}), Again::FromTheNamed),
        (item(json!({"itemIdentifier": "$id", "more": 1})), Again::FromTheNamed),
        (json!({"batchItemFailures": []}), Again::Nothing),
        (json!({"batchItemFailures": null}), Again::Nothing),
        (json!({}), Again::Nothing),
        (json!(null), Again::Nothing),
        (json!([]), Again::Nothing),
        (json!(""), Again::Nothing),
        (item(json!({"itemIdentifier": ""})), Again::TheBatch),
        (item(json!({"itemIdentifier": null})), Again::TheBatch),
        (item(json!({"itemIdentifier": 123})), Again::TheBatch),
        (item(json!({"foo": 123})), Again::TheBatch),
        (item(json!({"foo": null})), Again::TheBatch),
        (item(json!({"foo": "notvalid"})), Again::TheBatch),
        (item(json!({"itemIdentifier": "not-in-the-batch"})), Again::TheBatch),
        (json!({"batchItemFailures": [{"itemIdentifier": "$id"}, {"foo": 1}]}), Again::TheBatch),
        (json!({"batchItemFailures": {"itemIdentifier": "$id"}}), Again::TheBatch),
        (json!("ok"), Again::TheBatch),
        (json!(5), Again::TheBatch),
    ]
}

async fn every_row_of_the_matrix(backend: Backend, kind: Kind) {
    let function = Function::new().with_concurrency(4);
    let (mut feeds, mut mappings) = (Vec::new(), Vec::new());
    for (answer, again) in matrix() {
        let feed = backend.feed(kind).await;
        let order = json!({ "do": "answer", "answer": answer, "times": 1 });
        feed.put_each(["0".to_owned(), order.to_string(), "2".to_owned()]).await;
        let more = json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"] });
        mappings.push(stream_mapping(&feed, &function, more));
        feeds.push((feed, answer, again));
    }
    let pelton = Pelton::start(&backend, &function, mappings).await;
    for (feed, answer, again) in &feeds {
        pelton.has_settled(feed, 3).await;
        let expected: &[usize] = match again {
            Again::Nothing => &[3],
            Again::FromTheNamed => &[3, 2],
            Again::TheBatch => &[3, 3],
        };
        let seen = function.seen();
        let of_feed = seen.iter().filter(|seen| seen.records()[0]["eventSourceARN"] == feed.arn());
        let sizes: Vec<usize> = of_feed.map(|seen| seen.records().len()).collect();
        assert_eq!(sizes, expected, "{answer}");
    }
}

async fn of_several_ids_the_lowest_sequence_number_is_the_checkpoint(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let partial = |n: usize| json!({ "n": n, "do": "partial", "times": 1 }).to_string();
    feed.put_each(["0".to_owned(), partial(1), "2".to_owned(), partial(3), "4".to_owned()]).await;
    let more = json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"] });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    pelton.has_settled(&feed, 5).await;
    let seen = function.seen();
    let sizes: Vec<usize> = seen.iter().map(|seen| seen.records().len()).collect();
    assert_eq!(sizes, [5, 4], "record 3 came again together with record 1");
}

async fn a_wrong_answer_without_retries_is_reported_without_a_function_error(backend: Backend, kind: Kind) {
    let (feed, function, given_up) = (backend.feed(kind).await, Function::new(), backend.queue(30).await);
    let wrong = json!({ "batchItemFailures": [{ "foo": 1 }] });
    feed.put_each([json!({ "do": "answer", "answer": wrong }).to_string(), "1".to_owned()]).await;
    let more = json!({
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 0,
        "DestinationConfig": on_failure(&given_up.arn),
    });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    let record = body(&given_up.take(1).await[0]);
    let expected = json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": null });
    assert_eq!(record["responseContext"], expected);
    assert_eq!((&record[kind.batch_info()]["batchSize"], function.seen().len()), (&json!(2), 1));
    assert!(pelton.status(&feed)["LastError"]["Message"].as_str().unwrap().contains("itemIdentifier"));
}

async fn without_function_response_types_any_answer_is_a_success(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let answer = json!({ "batchItemFailures": [{ "itemIdentifier": "$id" }] });
    feed.put_each([json!({ "do": "answer", "answer": answer }).to_string(), "1".to_owned()]).await;
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, json!({}))]).await;
    pelton.has_settled(&feed, 2).await;
    eventually("it is fine", || async { pelton.result(&feed) == "OK" }).await;
    assert_eq!(function.seen().len(), 1);
}

on_both_kinds!(
    every_row_of_the_matrix,
    of_several_ids_the_lowest_sequence_number_is_the_checkpoint,
    a_wrong_answer_without_retries_is_reported_without_a_function_error,
    without_function_response_types_any_answer_is_a_success,
);
