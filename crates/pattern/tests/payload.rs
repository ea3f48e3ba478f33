//! What is decoded for each source, and events that are no good.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test support")]
use pelton_pattern::{Decoding, EventError, Filters};
use serde_json::json;

fn filters(pattern: serde_json::Value, decoding: Decoding) -> Filters {
    Filters::compile(&[pattern.to_string()], decoding).unwrap()
}

fn message(body: &str) -> Vec<u8> {
    json!({ "messageId": "1", "body": body, "attributes": { "SenderId": "me" }, "eventSource": "aws:sqs" })
        .to_string()
        .into_bytes()
}

#[test]
fn an_sqs_body_is_json_where_fields_are_asked_for() {
    let filters = filters(json!({ "body": { "kind": ["order"], "n": [{ "exists": false }] } }), Decoding::Sqs);
    for (body, expected) in [
        (r#"{"kind": "order"}"#, true),
        (r#" [{"kind": "other"}, {"kind": "order"}] "#, true),
        (r#"{"kind": "order", "n": 1}"#, false),
        (r#"{"kind": "other"}"#, false),
        (r#"{"kind": "order""#, false),
        (r#"{"kind": "order"} x"#, false),
        ("order", false),
        (r#""order""#, false),
        ("", false),
    ] {
        assert_eq!(filters.matches(&message(body)), expected, "{body}");
        assert_eq!(filters.explain(&message(body)).unwrap().matched, expected, "{body}");
    }
    assert!(!filters.matches(br#"{"messageId": "1"}"#), "without a body");
    assert!(!filters.matches(br#"{"body": {"kind": "order"}}"#), "a body is a string");
}

#[test]
fn a_field_that_must_be_missing_is_not_missing_in_a_body_that_is_no_json() {
    let filters = filters(json!({ "body": { "kind": [{ "exists": false }] } }), Decoding::Sqs);
    assert!(filters.matches(&message("{}")));
    assert!(!filters.matches(&message("plain")));
}

#[test]
fn an_sqs_body_is_a_string_where_values_are_asked_for() {
    let text = filters(json!({ "body": ["plain", { "prefix": "{" }] }), Decoding::Sqs);
    assert!(text.matches(&message("plain")));
    assert!(text.matches(&message("{\"kind\": 1}")));
    assert!(!text.matches(&message("\"plain\"")));
    let number = filters(json!({ "body": [5] }), Decoding::Sqs);
    assert!(!number.matches(&message("5")), "a body is a string");
}

#[test]
fn both_at_once_and_beside_other_fields() {
    let either = json!({ "$or": [{ "body": ["stop"] }, { "body": { "n": [1] } }], "eventSource": ["aws:sqs"] });
    let either = filters(either, Decoding::Sqs);
    assert!(either.matches(&message("stop")) && either.matches(&message(r#"{"n": 1}"#)));
    assert!(!either.matches(&message("go")));
    assert!(filters(json!({ "body.n": [1] }), Decoding::Sqs).matches(&message(r#"{"n": 1}"#)));
    let sender = filters(json!({ "attributes": { "SenderId": ["me"] } }), Decoding::Sqs);
    assert!(sender.matches(&message("\u{0}{]")), "a body that nobody asks for may be anything");
    let as_given = filters(json!({ "body": { "n": [1] } }), Decoding::AsGiven);
    assert!(as_given.matches(br#"{"body": {"n": 1}}"#) && !as_given.matches(&message(r#"{"n": 1}"#)));
}

#[test]
fn kinesis_data_is_decoded_first() {
    let record = |data: &str| {
        json!({ "kinesis": { "partitionKey": "p", "data": data }, "eventSource": "aws:kinesis" }).to_string()
    };
    // {"n":1}
    let n = record("eyJuIjoxfQ==");
    assert!(filters(json!({ "data": { "n": [1] } }), Decoding::Kinesis).matches(n.as_bytes()));
    assert!(!filters(json!({ "data": { "n": [2] } }), Decoding::Kinesis).matches(n.as_bytes()));
    assert!(filters(json!({ "data": ["{\"n\":1}"] }), Decoding::Kinesis).matches(n.as_bytes()));
    assert!(filters(json!({ "partitionKey": ["p"] }), Decoding::Kinesis).matches(record("no base64").as_bytes()));
    let field = filters(json!({ "data": { "n": [{ "anything-but": "x" }] } }), Decoding::Kinesis);
    for bad in ["no base64", "aGVsbG8=", "//4=", ""] {
        assert!(!field.matches(record(bad).as_bytes()), "{bad}");
    }
    assert!(matches!(field.explain(b"{}"), Err(EventError::NoKinesis)));
}

#[test]
fn dynamodb_images_keep_their_types() {
    let record = json!({ "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {
        "ApproximateCreationDateTime": 1_700_000_000.0, "NewImage": { "k": { "S": "v" }, "n": { "N": "101" } } } });
    let record = record.to_string();
    for (pattern, expected) in [
        (json!({ "eventName": ["INSERT"], "eventSource": ["aws:dynamodb"] }), true),
        (json!({ "dynamodb": { "NewImage": { "k": { "S": ["v"] } } } }), true),
        (json!({ "dynamodb": { "NewImage": { "k": ["v"] } } }), false),
        (json!({ "dynamodb": { "NewImage": { "k": [{ "exists": false }] } } }), true),
        (json!({ "dynamodb": { "NewImage": { "k": { "S": [{ "exists": true }] } } } }), true),
        (json!({ "dynamodb": { "NewImage": { "n": { "N": [{ "numeric": [">", 1] }] } } } }), false),
        (json!({ "dynamodb": { "ApproximateCreationDateTime": [{ "numeric": [">", 0] }] } }), true),
    ] {
        assert_eq!(filters(pattern.clone(), Decoding::DynamoDb).matches(record.as_bytes()), expected, "{pattern}");
    }
}

#[test]
fn deep_events_and_lone_surrogates() {
    let filters = filters(json!({ "kind": ["order"] }), Decoding::AsGiven);
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let beside = format!(r#"{{"deep": {}, "kind": "order"}}"#, deep(3_000_000));
    assert!(beside.len() > 6_000_000);
    assert!(filters.matches(beside.as_bytes()), "what no filter looks at may nest as it likes");
    assert!(!filters.matches(deep(3_000_000).as_bytes()));
    assert!(!filters.matches(format!(r#"{{"kind": {}}}"#, deep(100_000)).as_bytes()));
    assert!(filters.explain(format!(r#"{{"kind": {}}}"#, deep(100_000)).as_bytes()).is_err());
    assert!(filters.matches(br#"{"other": "\ud800", "kind": "order"}"#));
    assert!(!filters.matches(br#"{"kind": "\ud800"}"#));
    assert!(!filters.matches(b"{\"kind\": \"\xff\"}"));
    assert!(!filters.matches(b""));
}

#[test]
fn a_field_that_holds_half_a_surrogate_pair_costs_no_other_field() {
    let filters = Filters::compile(
        &[r#"{"body": {"note": ["x"]}}"#, r#"{"body": {"kind": ["order"], "name": [{"exists": false}]}}"#],
        Decoding::Sqs,
    )
    .unwrap();
    assert!(filters.matches(&message(r#"{"note": "\ud800", "kind": "order"}"#)));
    assert!(filters.matches(&message(r#"{"\udc00": 1, "kind": "order"}"#)), "in a name");
    assert!(!filters.matches(&message(r#"{"name": "\ud800", "kind": "order"}"#)), "it exists");
    assert!(filters.matches(br#"{"body": "{\"kind\": \"order\", \"note\": \"\ud800\"}"}"#), "in the body itself");
    let text = self::filters(json!({ "data": { "note": [{ "suffix": "\u{fffd}" }] } }), Decoding::Kinesis);
    // {"note":"a\xff"}
    let record = br#"{"kinesis": {"data": "eyJub3RlIjoiYf8ifQ=="}}"#;
    assert!(text.matches(record) && text.explain(record).unwrap().matched, "bytes that are no UTF-8 count as U+FFFD");
}

#[test]
fn a_long_list_takes_no_longer_than_reading_it() {
    let pattern = json!({ "list": { "missing": [{ "exists": false }], "n": [1] } });
    let event = format!(r#"{{"list": [{}]}}"#, vec!["{}"; 300_000].join(","));
    let filters = filters(pattern, Decoding::AsGiven);
    assert!(!filters.matches(event.as_bytes()));
    let explanation = filters.explain(event.as_bytes()).unwrap();
    assert!(explanation.lines.len() < 30, "{explanation}");
}

#[test]
fn an_explanation_leaves_out_what_did_not_decide() {
    let pattern = json!({ "list": { "a": [1], "b": [2] } });
    let event = br#"{"list": [{"a": 1, "b": 3}, {"a": 1, "b": 2}]}"#;
    let explanation = filters(pattern.clone(), Decoding::AsGiven).explain(event).unwrap();
    assert_eq!(explanation.lines, ["list.a is 1, which fits [1]", "list.b is 2, which fits [2]"]);
    let explanation = filters(pattern, Decoding::AsGiven).explain(br#"{"list": [{"a": 1}, {"a": 3}]}"#).unwrap();
    assert_eq!(explanation.lines, ["list.b is missing, which does not fit [2]", "list.a is 3, which does not fit [1]"]);
}

#[test]
fn an_explanation_names_the_leaf_that_decided() {
    let explain =
        |pattern: serde_json::Value, event: &[u8]| filters(pattern, Decoding::Sqs).explain(event).unwrap().to_string();
    let pattern = json!({ "body": { "kind": ["order"], "amount": [{ "numeric": [">", 100] }] } });
    assert_eq!(
        explain(pattern.clone(), &message(r#"{"kind": "order", "amount": 20}"#)),
        "no match\n  body.amount is 20, which does not fit [{\"numeric\":[\">\",100]}]"
    );
    assert_eq!(
        explain(pattern.clone(), &message(r#"{"kind": "order", "amount": 120}"#)),
        "match\n  body.kind is \"order\", which fits [\"order\"]\n  body.amount is 120, which fits [{\"numeric\":[\">\",100]}]"
    );
    assert_eq!(
        explain(pattern.clone(), &message("{}")),
        "no match\n  body.kind is missing, which does not fit [\"order\"]"
    );
    assert_eq!(
        explain(pattern, &message("plain")),
        "no match\n  body is missing or no JSON, and the pattern asks for fields in it"
    );
}
