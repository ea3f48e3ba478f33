//! `BisectBatchOnFunctionError` (spec 17).
use pelton_tests::{Backend, Function, Kind, Pelton, body, on_both_kinds, stream_mapping, texts};
use serde_json::{Value, json};

use super::{numbered, on_failure};

/// Ten texts, of which some make the function fail.
fn with_poison(places: &[usize]) -> Vec<String> {
    let mut texts: Vec<String> = numbered(0..10).collect();
    for place in places {
        texts[*place] = json!({ "n": place, "do": "fail" }).to_string();
    }
    texts
}

async fn bisect_isolates_bad_records_and_halving_uses_up_no_retry(backend: Backend, kind: Kind) {
    let (feed, function, given_up) = (backend.feed(kind).await, Function::new(), backend.queue(30).await);
    let all = with_poison(&[2, 7]);
    feed.put_each(all.clone()).await;
    let more = json!({
        "BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 1, "DestinationConfig": on_failure(&given_up.arn),
    });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    let reports: Vec<Value> = given_up.take(2).await.iter().map(body).collect();
    pelton.has_settled(&feed, 10).await;
    let seen = function.seen();
    let batches: Vec<Vec<String>> = seen.iter().map(|seen| seen.texts()).collect();
    let part = |range: std::ops::Range<usize>| all[range].to_vec();
    let expected = [
        part(0..10),
        part(0..5),
        part(0..3),
        part(0..2),
        part(2..3),
        part(2..3),
        part(3..5),
        part(5..10),
        part(5..8),
        part(5..7),
        part(7..8),
        part(7..8),
        part(8..10),
    ];
    assert_eq!(batches, expected, "halves in order, single records with their retry");
    for (place, report) in [2, 7].into_iter().zip(&reports) {
        let info = &report[kind.batch_info()];
        let number = seen[0].sequence_numbers()[place];
        assert_eq!(info["batchSize"], 1);
        assert_eq!((&info["startSequenceNumber"], &info["endSequenceNumber"]), (&json!(number), &json!(number)));
        assert_eq!(report["requestContext"]["approximateInvokeCount"], 2);
    }
    let status = pelton.status(&feed);
    assert_eq!((&status["Dropped"], &status["Bisects"], &status["Retries"]), (&json!(2), &json!(5), &json!(2)));
}

async fn with_partial_failures_the_batch_is_cut_at_the_returned_record(backend: Backend, kind: Kind) {
    let (feed, function, given_up) = (backend.feed(kind).await, Function::new(), backend.queue(30).await);
    let mut all: Vec<String> = numbered(0..6).collect();
    all[3] = json!({ "do": "partial" }).to_string();
    feed.put_each(all.clone()).await;
    let more = json!({
        "BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 0, "DestinationConfig": on_failure(&given_up.arn),
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    assert_eq!(body(&given_up.take(1).await[0])[kind.batch_info()]["batchSize"], 1);
    pelton.has_settled(&feed, 6).await;
    let sizes: Vec<usize> = function.seen().iter().map(|seen| seen.records().len()).collect();
    assert_eq!(sizes, [6, 3, 2, 1, 1, 1], "all, from the failing one on, its half, it alone, and the rest");
    assert!(all.iter().all(|text| texts(&function.seen()).contains(text)));
}

on_both_kinds!(
    bisect_isolates_bad_records_and_halving_uses_up_no_retry,
    with_partial_failures_the_batch_is_cut_at_the_returned_record,
);
