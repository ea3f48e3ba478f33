use bytes::Bytes;
use pelton_core::ErrorKind;
use pelton_testkit::{FakeInvoker, Reply};
use serde_json::{Value, json};

use super::*;
use crate::commands::replay::select::as_it_is;

fn batch(ids: &[&str]) -> Batch {
    let records: Vec<Value> = ids.iter().map(|id| json!({"messageId": id})).collect();
    as_it_is(&Bytes::from(json!({"Records": records}).to_string()))
}

async fn replayed(replies: Vec<Reply>, answers: Answers) -> (Result<usize, String>, usize) {
    let invoker = FakeInvoker::scripted(replies);
    let batches = [batch(&["1", "2"]), batch(&["3", "4"])];
    let result = deliver(&invoker, &"work".parse().unwrap(), &batches, answers).await;
    (result.map_err(|error| error.to_string()), invoker.seen().len())
}

#[tokio::test(start_paused = true)]
async fn one_batch_follows_another_until_one_fails() {
    let fine = || Reply::Returns(Value::Null);
    assert_eq!(replayed(vec![fine(), fine()], Answers::AreIgnored).await, (Ok(2), 2));
    let (error, invocations) = replayed(vec![Reply::Raises], Answers::AreIgnored).await;
    assert_eq!((error.unwrap_err().as_str(), invocations), ("the function failed: Unhandled: Error: raised", 1));
    let (error, invocations) = replayed(vec![fine(), Reply::Raises], Answers::AreIgnored).await;
    let expected = "the function failed: Unhandled: Error: raised (2 records before were processed)";
    assert_eq!((error.unwrap_err().as_str(), invocations), (expected, 2));
    let (error, _) = replayed(vec![Reply::Refuses(ErrorKind::Missing)], Answers::AreIgnored).await;
    assert_eq!(error.unwrap_err(), "the function can't be invoked: work: refused");
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_as_the_mapping_says() {
    let partial = || vec![Reply::Returns(json!({"batchItemFailures": [{"itemIdentifier": "2"}]}))];
    let unknown = || vec![Reply::Returns(json!("done"))];
    assert_eq!(replayed(partial(), Answers::AreIgnored).await.0, Ok(2));
    for answers in [Answers::ReportFailures, Answers::MayReportFailures] {
        let error = replayed(partial(), answers).await.0.unwrap_err();
        assert_eq!(error, "the function failed: 1 of 2 records in batchItemFailures: 2", "{answers:?}");
        assert!(replayed(vec![Reply::Raises], answers).await.0.is_err());
    }
    assert!(replayed(unknown(), Answers::ReportFailures).await.0.is_err());
    assert_eq!(replayed(unknown(), Answers::MayReportFailures).await.0, Ok(2));
}
