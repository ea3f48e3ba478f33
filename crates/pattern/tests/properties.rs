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

/// Events whose fields patterns know.
fn objects() -> impl Strategy<Value = Value> {
    (events(), events(), events()).prop_map(|(x, y, z)| json!({ "x": x, "y": y, "z": z }))
}

fn tests() -> impl Strategy<Value = Value> {
    let text = || "[ab]{0,2}";
    let some_text = || "[ab]{1,2}";
    let number = || -2_i64..3;
    let operator = prop_oneof![Just("="), Just("<"), Just("<="), Just(">"), Just(">=")];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::from),
        text().prop_map(Value::from),
        text().prop_map(|text| json!({ "prefix": text })),
        text().prop_map(|text| json!({ "suffix": text })),
        text().prop_map(|text| json!({ "equals-ignore-case": text.to_uppercase() })),
        text().prop_map(|text| json!({ "prefix": { "equals-ignore-case": text.to_uppercase() } })),
        text().prop_map(|text| json!({ "suffix": { "equals-ignore-case": text.to_uppercase() } })),
        "\\*?[ab]?\\*?[ab]"
            .prop_filter("no **", |text| !text.contains("**"))
            .prop_map(|text| json!({ "wildcard": text })),
        text().prop_map(|text| json!({ "anything-but": text })),
        number().prop_map(|number| json!({ "anything-but": number })),
        prop::collection::vec(text(), 1..3).prop_map(|texts| json!({ "anything-but": texts })),
        prop::collection::vec(number(), 1..3).prop_map(|numbers| json!({ "anything-but": numbers })),
        some_text().prop_map(|text| json!({ "anything-but": { "prefix": text } })),
        prop::collection::vec(some_text(), 1..3).prop_map(|texts| json!({ "anything-but": { "suffix": texts } })),
        text().prop_map(|text| json!({ "anything-but": { "equals-ignore-case": text.to_uppercase() } })),
        some_text().prop_map(|text| json!({ "anything-but": { "wildcard": format!("*{text}") } })),
        (operator, number()).prop_map(|(operator, number)| json!({ "numeric": [operator, number] })),
        number().prop_map(|number| json!({ "numeric": [">", number, "<=", number + 2] })),
        any::<bool>().prop_map(|exists| json!({ "exists": exists })),
    ]
}

fn patterns() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::vec(tests(), 1..5).prop_map(Value::from);
    let object = |inner: BoxedStrategy<Value>| {
        let fields = prop::collection::hash_map("[xyz]", inner, 1..=2)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
            .boxed();
        let choices = (fields.clone(), prop::collection::vec(fields.clone(), 2..3));
        let with_choices = choices.prop_map(|(mut fields, choices)| {
            fields["$or"] = choices.into();
            fields
        });
        prop_oneof![3 => fields, 1 => with_choices]
    };
    object(leaf.prop_recursive(1, 4, 2, move |inner| object(inner.boxed())).boxed())
}

/// Puts an event's own values into half of a pattern's lists, so that events match often enough.
fn with_values_of(pattern: &mut Value, event: Option<&Value>) {
    for (name, rule) in pattern.as_object_mut().unwrap() {
        match rule {
            Value::Array(choices) if name == "$or" => {
                choices.iter_mut().for_each(|choice| with_values_of(choice, event));
            }
            Value::Array(tests) if tests.len() % 2 == 0 => {
                tests.extend(scalars(event.and_then(|event| event.get(name))).first().copied().cloned());
            }
            Value::Array(_) => {}
            inner => with_values_of(inner, event.and_then(|event| event.get(name))),
        }
    }
}

/// The rules once more, in the plainest way.
struct Naive<'e> {
    event: &'e Value,
}

impl Naive<'_> {
    fn object(&self, pattern: &Map<String, Value>, value: Option<&Value>, path: &[&str]) -> bool {
        if let Some(Value::Array(items)) = value
            && !items.is_empty()
        {
            return items.iter().any(|item| self.object(pattern, Some(item), path));
        }
        pattern.iter().all(|(name, rule)| {
            let found = value.and_then(|value| value.get(name));
            let path = [path, &[name.as_str()]].concat();
            match rule {
                Value::Array(choices) if name == "$or" => choices
                    .iter()
                    .any(|choice| self.object(choice.as_object().unwrap(), value, &path[..path.len() - 1])),
                Value::Object(inner) => self.object(inner, found, &path),
                tests => tests.as_array().unwrap().iter().any(|test| {
                    if *test == json!({ "exists": false }) {
                        return values_at(self.event, &path).is_empty();
                    }
                    scalars(found).iter().any(|scalar| naive_test(test, scalar))
                }),
            }
        })
    }
}

fn values_at<'e>(event: &'e Value, path: &[&str]) -> Vec<&'e Value> {
    match (event, path) {
        (Value::Array(items), _) => items.iter().flat_map(|item| values_at(item, path)).collect(),
        (Value::Object(_), []) => Vec::new(),
        (scalar, []) => vec![scalar],
        (event, [name, rest @ ..]) => event.get(name).map(|inner| values_at(inner, rest)).unwrap_or_default(),
    }
}

fn scalars(value: Option<&Value>) -> Vec<&Value> {
    value.map(|value| values_at(value, &[])).unwrap_or_default()
}

fn naive_test(test: &Value, scalar: &Value) -> bool {
    let Some((operator, argument)) = test.as_object().and_then(|object| object.iter().next()) else {
        return scalar.as_f64().map_or(scalar == test, |number| test.as_f64() == Some(number));
    };
    let text = scalar.as_str();
    match (operator.as_str(), argument) {
        ("exists", _) => true,
        ("anything-but", Value::Array(values)) => !values.iter().any(|value| naive_test(value, scalar)),
        ("anything-but", Value::Object(inner)) => {
            let (operator, argument) = inner.iter().next().unwrap();
            let arguments = argument.as_array().cloned().unwrap_or_else(|| vec![argument.clone()]);
            !arguments.iter().any(|argument| naive_test(&json!({ operator: argument }), scalar))
        }
        ("anything-but", value) => !naive_test(value, scalar),
        ("numeric", Value::Array(bounds)) => scalar.as_f64().is_some_and(|number| {
            bounds.chunks(2).all(|bound| {
                let limit = bound[1].as_f64().unwrap();
                match bound[0].as_str().unwrap() {
                    "=" => number == limit,
                    "<" => number < limit,
                    "<=" => number <= limit,
                    ">" => number > limit,
                    _ => number >= limit,
                }
            })
        }),
        // Events hold small letters only, so that capitals are there to be ignored.
        (operator, Value::Object(inner)) => {
            let small = inner["equals-ignore-case"].as_str().unwrap().to_lowercase();
            naive_test(&json!({ operator: small }), scalar)
        }
        ("prefix", wanted) => text.is_some_and(|text| text.starts_with(wanted.as_str().unwrap())),
        ("suffix", wanted) => text.is_some_and(|text| text.ends_with(wanted.as_str().unwrap())),
        ("equals-ignore-case", wanted) => text.is_some_and(|text| text == wanted.as_str().unwrap().to_lowercase()),
        (_, wildcard) => text.is_some_and(|text| naive_wildcard(wildcard.as_str().unwrap(), text)),
    }
}

fn naive_wildcard(wildcard: &str, text: &str) -> bool {
    match (wildcard.split_at_checked(1), text.split_at_checked(1)) {
        (None, _) => text.is_empty(),
        (Some(("*", rest)), _) => (0..=text.len()).any(|start| naive_wildcard(rest, &text[start..])),
        (Some((wanted, rest)), Some((character, after))) => wanted == character && naive_wildcard(rest, after),
        (Some(_), None) => false,
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
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

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
    fn agrees_with_the_naive_way(mut pattern in patterns(), event in objects()) {
        with_values_of(&mut pattern, Some(&event));
        let filters = Filters::compile(&[pattern.to_string()], Decoding::AsGiven).unwrap();
        let text = event.to_string();
        let expected = Naive { event: &event }.object(pattern.as_object().unwrap(), Some(&event), &[]);
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
    fn inside_an_sqs_body_the_rules_are_the_same(pattern in patterns(), event in objects()) {
        let outside = Filters::compile(&[pattern.to_string()], Decoding::AsGiven).unwrap();
        let inside = Filters::compile(&[json!({ "body": pattern }).to_string()], Decoding::Sqs).unwrap();
        let message = json!({ "messageId": "1", "body": event.to_string() }).to_string();
        prop_assert_eq!(inside.matches(message.as_bytes()), outside.matches(event.to_string().as_bytes()));
    }
}
