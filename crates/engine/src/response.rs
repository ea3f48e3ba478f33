//! What a function's answer means for its batch: the `ReportBatchItemFailures` matrix of spec 6. Pure.
use std::borrow::Borrow;
use std::collections::{BTreeSet, HashSet};

use pelton_core::{Record, Response};
use serde_json::Value;

/// What became of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every record is processed.
    Succeeded,
    /// The records with these ids are not processed; the others are. Never empty, and every id is in the batch.
    PartiallyFailed(BTreeSet<String>),
    /// No record counts as processed. The text says why.
    Failed(String),
}

/// Reads an answer. `report_batch_item_failures`: whether the mapping's FunctionResponseTypes asks for it; without it,
/// any answer that isn't a function error is a success.
pub fn interpret<R: Borrow<Record>>(response: &Response, records: &[R], report_batch_item_failures: bool) -> Outcome {
    if let Some(error) = &response.function_error {
        return Outcome::Failed(describe_function_error(error, &response.payload));
    }
    if !report_batch_item_failures || response.payload.is_empty() {
        return Outcome::Succeeded;
    }
    let answer: Value = match serde_json::from_slice(&response.payload) {
        Ok(answer) => answer,
        Err(error) => return Outcome::Failed(format!("the function's answer isn't JSON: {error}")),
    };
    match answer {
        Value::Object(mut members) => match members.remove("batchItemFailures") {
            None | Some(Value::Null) => Outcome::Succeeded,
            Some(Value::Array(items)) => failed_items(&items, records),
            Some(_) => Outcome::Failed("batchItemFailures is not a list".into()),
        },
        // AWS reads these three as "no answer".
        Value::Null => Outcome::Succeeded,
        Value::Array(items) if items.is_empty() => Outcome::Succeeded,
        Value::String(text) if text.is_empty() => Outcome::Succeeded,
        _ => Outcome::Failed("the function's answer is not an object with batchItemFailures".into()),
    }
}

fn failed_items<R: Borrow<Record>>(items: &[Value], records: &[R]) -> Outcome {
    let batch: HashSet<&str> = records.iter().map(|record| record.borrow().id.as_str()).collect();
    let mut failed = BTreeSet::new();
    for item in items {
        match item.get("itemIdentifier").and_then(Value::as_str) {
            Some(id) if batch.contains(id) => failed.insert(id.to_owned()),
            Some(id) => return Outcome::Failed(format!("itemIdentifier {id:?} is not in the batch")),
            None => return Outcome::Failed("an item of batchItemFailures has no itemIdentifier text".into()),
        };
    }
    if failed.is_empty() { Outcome::Succeeded } else { Outcome::PartiallyFailed(failed) }
}

/// `Unhandled: ValueError: no such order`, as far as the error object tells.
pub(crate) fn describe_function_error(error: &str, payload: &[u8]) -> String {
    let object: Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let parts = [error.to_owned(), text("errorType"), text("errorMessage")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pelton_core::Receipt;
    use proptest::prelude::*;

    use super::*;

    fn records(ids: &[&str]) -> Vec<Record> {
        let record = |id: &&str| Record {
            id: (*id).into(),
            receipt: Receipt((*id).into()),
            order_key: None,
            receive_count: 1,
            arrived_at: None,
            event: Bytes::from_static(b"{}"),
        };
        ids.iter().map(record).collect()
    }

    fn answer(payload: impl Into<Bytes>, function_error: Option<&str>) -> Response {
        Response {
            request_id: "id".into(),
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: function_error.map(str::to_owned),
            payload: payload.into(),
            log_tail: None,
        }
    }

    /// Spec 6, row by row, and the rows it leaves open.
    #[test]
    fn the_matrix() {
        let batch = records(&["m1", "m2", "m3"]);
        let read = |text: &'static str| interpret(&answer(text, None), &batch, true);
        for success in [
            "",
            "null",
            "{}",
            "[]",
            "\"\"",
            r#"{"batchItemFailures":[]}"#,
            r#"{"batchItemFailures":null}"#,
            r#"{"other":1}"#,
        ] {
            assert_eq!(read(success), Outcome::Succeeded, "{success}");
        }
        let partial = |ids: &[&str]| Outcome::PartiallyFailed(ids.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!(read(r#"{"batchItemFailures":[{"itemIdentifier":"m2"}]}"#), partial(&["m2"]));
        assert_eq!(
            read(r#"{"batchItemFailures":[{"itemIdentifier":"m3"},{"itemIdentifier":"m1"},{"itemIdentifier":"m3"}]}"#),
            partial(&["m1", "m3"])
        );
        for failure in [
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":123}]}"#,
            r#"{"batchItemFailures":[{"foo":123}]}"#,
            r#"{"batchItemFailures":[{"foo":null}]}"#,
            r#"{"batchItemFailures":[{"foo":"notvalid"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"m1"},{"foo":"m2"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"unknown"}]}"#,
            r#"{"batchItemFailures":["m1"]}"#,
            r#"{"batchItemFailures":[null]}"#,
            r#"{"batchItemFailures":{"itemIdentifier":"m1"}}"#,
            r#"{"batchItemFailures":"m1"}"#,
            r#"{"batchItemFailures":true}"#,
            "5",
            "true",
            "\"ok\"",
            "[1]",
            "not json",
            "{",
        ] {
            assert!(matches!(read(failure), Outcome::Failed(_)), "{failure}");
        }
    }

    #[test]
    fn without_the_response_type_only_a_function_error_fails() {
        let batch = records(&["m1"]);
        for success in ["", "null", "not json", r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#] {
            assert_eq!(interpret(&answer(success, None), &batch, false), Outcome::Succeeded, "{success}");
        }
        let error = r#"{"errorMessage":"no such order","errorType":"ValueError"}"#;
        let failed = Outcome::Failed("Unhandled: ValueError: no such order".into());
        assert_eq!(interpret(&answer(error, Some("Unhandled")), &batch, false), failed);
        assert_eq!(interpret(&answer("garbage", Some("Unhandled")), &batch, true), Outcome::Failed("Unhandled".into()));
    }

    proptest! {
        #[test]
        fn never_panics_and_only_names_records_of_the_batch(
            payload in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..60),
                "\\{\"batchItemFailures\":\\[(\\{\"itemIdentifier\":(\"m[0-9]\"|null|1)\\},?){0,4}\\]\\}".prop_map(String::into_bytes),
            ],
        ) {
            let batch = records(&["m1", "m2", "m3"]);
            if let Outcome::PartiallyFailed(ids) = interpret(&answer(payload, None), &batch, true) {
                prop_assert!(!ids.is_empty());
                prop_assert!(ids.iter().all(|id| batch.iter().any(|record| &record.id == id)));
            }
        }
    }
}
