//! Mappings as Lambda's API has them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use pelton_config::{Problem, check_mapping, load_text};
use pelton_core::Mapping;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn check(fields: Value) -> Result<Mapping, Vec<Problem>> {
    check_mapping(fields.as_object().unwrap(), "us-east-1")
}

fn queue(more: Value) -> Value {
    let mut fields = json!({ "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:orders", "FunctionName": "work" });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

fn problem(fields: Value) -> (String, String) {
    let [problem] = check(fields).unwrap_err().try_into().unwrap();
    (problem.path, problem.message)
}

#[test]
fn json_is_checked_as_a_file_is() {
    let fields = queue(json!({
        "BatchSize": 15, "MaximumBatchingWindowInSeconds": 2, "Enabled": false, "ScalingConfig": null,
        "FilterCriteria": { "Filters": [{ "Pattern": "{\"body\": {\"k\": [\"${HOME} \u{1F600} \\u00e9\\ud83d\\ude00\"]}}" }] },
        "Tags": { "team": "payments" },
    }));
    let mapping = check(fields.clone()).unwrap();
    assert_eq!((mapping.batch_size, mapping.batching_window), (15, Duration::from_secs(2)));
    assert_eq!((mapping.enabled, mapping.maximum_concurrency), (false, None));
    let pattern = fields["FilterCriteria"]["Filters"][0]["Pattern"].as_str().unwrap();
    assert_eq!(mapping.filters.texts(), [pattern], "as it was written");

    let plain = queue(json!({ "BatchSize": 5 }));
    let file = json!({ "EventSourceMappings": [plain.clone()] }).to_string();
    let loaded = load_text(&file, "pelton.yaml".as_ref(), &|_| None);
    assert_eq!(loaded.configuration.mappings, [check(plain).unwrap()]);
}

#[test]
fn problems_name_the_field_within_the_mapping() {
    let range = "1 validation error detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have \
                 value greater than or equal to 1";
    assert_eq!(problem(queue(json!({ "BatchSize": 0 }))), ("BatchSize".into(), range.into()));
    let (path, message) = problem(queue(json!({ "FilterCriteria": { "Filters": [{ "Pattern": "null" }] } })));
    assert_eq!(path, "FilterCriteria.Filters[0].Pattern");
    assert!(message.starts_with("Invalid filter pattern definition."), "{message}");
    assert_eq!(problem(json!({ "FunctionName": "work" })).1, "Unrecognized event source.");
    assert_eq!(problem(json!({ "FunctionName": "work", "EventSourceArn": null })).1, "Unrecognized event source.");
    assert_eq!(problem(queue(json!({ "Topics": ["a"] }))).0, "Topics");
    assert_eq!(problem(queue(json!({ "BatchSize": [1] }))).1, "expected a whole number, found a list");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..20_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}|arn:aws:(sqs|kinesis|dynamodb):us-east-1:000000000000:(q|stream/s|table/t/stream/1)|LATEST|work"
            .prop_map(Value::from),
    ];
    let key = "EventSourceArn|FunctionName|BatchSize|FilterCriteria|Filters|Pattern|DestinationConfig|OnFailure|\
               Destination|StartingPosition|StartingPositionTimestamp|ScalingConfig|MaximumConcurrency|Tags|Enabled|\
               FunctionResponseTypes|[a-zA-Z]{0,4}";
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6).prop_map(|map| Value::Object(Map::from_iter(map))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_json_says_it_is_a_mapping_or_has_problems(json in any_json()) {
        if let Value::Object(fields) = json
            && let Err(problems) = check_mapping(&fields, "us-east-1")
        {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| !problem.fix.contains("fault of Pelton")), "{:?}", problems);
        }
    }
}
