//! What holds for any pattern and any event.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test support")]
use pelton_pattern::{Decoding, Filters, Pattern};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Small events, in which few names and values meet often.
fn events() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        Just(json!(0.5)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[xyz]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn tests() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-2_i64..3).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
        "[ab]{0,1}".prop_map(|text| json!({ "prefix": text })),
        "[ab]{1}".prop_map(|text| json!({ "anything-but": text })),
        (-2_i64..2).prop_map(|number| json!({ "numeric": [">", number] })),
        any::<bool>().prop_map(|exists| json!({ "exists": exists })),
    ]
}

fn patterns() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::vec(tests(), 1..3).prop_map(Value::from);
    let object = |inner: BoxedStrategy<Value>| {
        prop::collection::hash_map("[xyz]", inner, 1..3).prop_map(|fields| Value::Object(fields.into_iter().collect()))
    };
    object(leaf.prop_recursive(2, 8, 2, move |inner| object(inner.boxed())).boxed())
}

/// The rules once more, in the plainest way, without lists of objects: those have tests of their own.
fn naive(pattern: &Map<String, Value>, event: Option<&Value>) -> bool {
    pattern.iter().all(|(name, rule)| {
        let value = event.and_then(|event| event.get(name));
        match rule {
            Value::Object(inner) => naive(inner, value),
            tests => tests.as_array().unwrap().iter().any(|test| naive_leaf(test, value)),
        }
    })
}

fn scalars(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Object(_)) => Vec::new(),
        Some(Value::Array(items)) => items.iter().flat_map(|item| scalars(Some(item))).collect(),
        Some(scalar) => vec![scalar],
    }
}

fn naive_leaf(test: &Value, value: Option<&Value>) -> bool {
    let scalars = scalars(value);
    let Some((operator, argument)) = test.as_object().and_then(|object| object.iter().next()) else {
        return scalars.iter().any(|scalar| scalar.as_f64().map_or(*scalar == test, |it| test.as_f64() == Some(it)));
    };
    match operator.as_str() {
        "exists" => scalars.is_empty() != argument.as_bool().unwrap(),
        "prefix" => scalars.iter().any(|it| it.as_str().is_some_and(|it| it.starts_with(argument.as_str().unwrap()))),
        "anything-but" => scalars.iter().any(|scalar| *scalar != argument),
        _ => scalars.iter().any(|it| it.as_f64().is_some_and(|it| it > argument[1].as_f64().unwrap())),
    }
}

fn has_list_with_objects(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| item.is_object() || has_list_with_objects(item)),
        Value::Object(fields) => fields.values().any(has_list_with_objects),
        _ => false,
    }
}

/// A pattern that asks for exactly what the event holds.
fn exact(event: &Value) -> Option<Value> {
    match event {
        Value::Object(fields) => {
            let fields: Map<String, Value> =
                fields.iter().filter_map(|(name, value)| Some((name.clone(), exact(value)?))).collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        Value::Array(_) => scalars(Some(event)).first().map(|scalar| json!([scalar])),
        scalar => Some(json!([scalar])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_compiler_panic(text in "\\PC{0,60}|[\\[\\]{}\":,a-c0-9$*.\\\\ ]{0,60}") {
        if let Err(error) = Pattern::compile(&text) {
            prop_assert!(error.line >= 1 && error.column >= 1 && !error.reason.is_empty());
        }
    }

    #[test]
    fn no_event_makes_the_matcher_panic(
        pattern in patterns(),
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[\\[\\]{}\":,xyzu0-9d\\\\ ]{0,60}".prop_map(String::into_bytes),
        ],
    ) {
        for decoding in [Decoding::AsGiven, Decoding::Sqs, Decoding::Kinesis, Decoding::DynamoDb] {
            let filters = Filters::compile(&[json!({"body": pattern, "data": pattern}).to_string()], decoding).unwrap();
            let body = json!({ "body": String::from_utf8_lossy(&bytes) }).to_string();
            for event in [&bytes[..], body.as_bytes()] {
                let explained = filters.explain(event).is_ok_and(|explanation| explanation.matched);
                prop_assert_eq!(filters.matches(event), explained);
            }
        }
    }

    #[test]
    fn agrees_with_the_naive_way(pattern in patterns(), event in events()) {
        prop_assume!(!has_list_with_objects(&event));
        let filters = Filters::compile(&[pattern.to_string()], Decoding::AsGiven).unwrap();
        let text = event.to_string();
        let expected = naive(pattern.as_object().unwrap(), Some(&event));
        prop_assert_eq!(filters.matches(text.as_bytes()), expected, "{} {}", pattern, text);
        prop_assert_eq!(filters.explain(text.as_bytes()).unwrap().matched, expected);
    }

    #[test]
    fn an_event_matches_the_pattern_of_its_own_values(event in events()) {
        if let Some(pattern @ Value::Object(_)) = exact(&event) {
            let filters = Filters::compile(&[pattern.to_string()], Decoding::AsGiven).unwrap();
            prop_assert!(filters.matches(event.to_string().as_bytes()), "{} {}", pattern, event);
        }
    }

    #[test]
    fn inside_an_sqs_body_the_rules_are_the_same(pattern in patterns(), event in events()) {
        let event = json!({ "x": event, "y": "a" });
        let outside = Filters::compile(&[pattern.to_string()], Decoding::AsGiven).unwrap();
        let inside = Filters::compile(&[json!({ "body": pattern }).to_string()], Decoding::Sqs).unwrap();
        let message = json!({ "messageId": "1", "body": event.to_string() }).to_string();
        prop_assert_eq!(inside.matches(message.as_bytes()), outside.matches(event.to_string().as_bytes()));
    }
}
