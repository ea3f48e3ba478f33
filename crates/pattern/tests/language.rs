//! The language, fact by fact: what matches, what doesn't, what is refused and why.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test support")]
use pelton_pattern::{Decoding, Filters, MAXIMUM_LENGTH, Pattern};
use serde_json::{Value, json};

fn matches(pattern: &Value, event: &Value) -> bool {
    let filters = Filters::compile(&[pattern.to_string()], Decoding::AsGiven).unwrap();
    let event = event.to_string();
    let matched = filters.matches(event.as_bytes());
    let explanation = filters.explain(event.as_bytes()).unwrap();
    assert_eq!(explanation.matched, matched, "{explanation}");
    assert!(!explanation.lines.is_empty(), "{pattern} {event}: nothing explained");
    matched
}

/// Values of the field `k` that a list of tests lets through, and values that it doesn't.
fn on_values(tests: Value, fit: &[Value], misfit: &[Value]) {
    for value in fit {
        assert!(matches(&json!({ "k": tests }), &json!({ "k": value })), "{tests} should match {value}");
    }
    for value in misfit {
        assert!(!matches(&json!({ "k": tests }), &json!({ "k": value })), "{tests} should not match {value}");
    }
}

#[test]
fn literals() {
    on_values(json!(["a"]), &[json!("a"), json!(["b", "a"]), json!([["a"]])], &[json!("A"), json!("a "), json!({})]);
    on_values(json!(["a", "b"]), &[json!("a"), json!("b")], &[json!("c"), json!(null)]);
    on_values(json!(["é"]), &[json!("é")], &[json!("e")]);
    on_values(json!([""]), &[json!("")], &[json!(" "), json!(null), json!([])]);
    on_values(json!([true]), &[json!(true)], &[json!(false), json!("true"), json!(1)]);
    on_values(json!([null]), &[json!(null), json!([null])], &[json!("null"), json!([]), json!("")]);
    on_values(json!([300]), &[json!(300), json!(300.0), json!([1, 300])], &[json!("300"), json!(300.1)]);
    on_values(json!([3.0e2]), &[json!(300)], &[json!(3)]);
    assert!(!matches(&json!({ "k": [null] }), &json!({})), "null is not missing");
}

#[test]
fn operators_on_strings() {
    on_values(json!([{ "prefix": "ab" }]), &[json!("ab"), json!("abc")], &[json!("Ab"), json!("a"), json!(1)]);
    on_values(json!([{ "prefix": "" }]), &[json!(""), json!("any")], &[json!(null), json!(1)]);
    on_values(json!([{ "prefix": { "equals-ignore-case": "ÄB" } }]), &[json!("äbc")], &[json!("abc"), json!("ä")]);
    on_values(json!([{ "suffix": "ab" }]), &[json!("ab"), json!("cab")], &[json!("aB"), json!("b")]);
    on_values(json!([{ "suffix": { "equals-ignore-case": "ab" } }]), &[json!("cAB")], &[json!("b"), json!("abc")]);
    on_values(json!([{ "equals-ignore-case": "aB" }]), &[json!("Ab"), json!("AB")], &[json!("abc"), json!(null)]);
    on_values(json!([{ "wildcard": "a*c" }]), &[json!("ac"), json!("abbc")], &[json!("acb"), json!(1)]);
    on_values(json!([{ "wildcard": "" }]), &[json!("")], &[json!("a")]);
    on_values(
        json!([{ "cidr": "10.0.0.0/24" }]),
        &[json!("10.0.0.0"), json!("10.0.0.255")],
        &[json!("10.0.1.0"), json!("10.0.0"), json!("::1"), json!(10), json!("")],
    );
    on_values(
        json!([{ "cidr": "2600:1f18::/32" }]),
        &[json!("2600:1f18::1")],
        &[json!("2600:1f19::1"), json!("1.1.1.1")],
    );
}

#[test]
fn numeric() {
    on_values(
        json!([{ "numeric": [">", 100] }]),
        &[json!(101), json!(100.5)],
        &[json!(100), json!("101"), json!(null)],
    );
    on_values(json!([{ "numeric": ["<", 100] }]), &[json!(99), json!(-1)], &[json!(100)]);
    on_values(json!([{ "numeric": [">=", 100] }]), &[json!(100)], &[json!(99.9)]);
    on_values(json!([{ "numeric": ["<=", 100] }]), &[json!(100)], &[json!(100.1)]);
    on_values(json!([{ "numeric": ["=", 3.5] }]), &[json!(3.5)], &[json!(3)]);
    on_values(json!([{ "numeric": [">=", 100, "<", 200] }]), &[json!(100), json!(199)], &[json!(200), json!(99)]);
}

#[test]
fn anything_but() {
    on_values(json!([{ "anything-but": "a" }]), &[json!("b"), json!(1), json!(null), json!(["a", "b"])], &[json!("a")]);
    on_values(json!([{ "anything-but": 5 }]), &[json!(6), json!("5")], &[json!(5), json!(5.0)]);
    on_values(json!([{ "anything-but": ["a", "b"] }]), &[json!("c")], &[json!("a"), json!("b"), json!(["a", "b"])]);
    on_values(json!([{ "anything-but": [1, 2] }]), &[json!(3)], &[json!(1), json!(2)]);
    on_values(json!([{ "anything-but": { "prefix": "a" } }]), &[json!("ba"), json!(12)], &[json!("ab")]);
    on_values(json!([{ "anything-but": { "suffix": ["a", "b"] } }]), &[json!("c")], &[json!("xa"), json!("xb")]);
    on_values(json!([{ "anything-but": { "equals-ignore-case": ["a"] } }]), &[json!("b")], &[json!("A")]);
    on_values(json!([{ "anything-but": { "wildcard": "a*" } }]), &[json!("b")], &[json!("a")]);
    on_values(json!([{ "anything-but": { "wildcard": "" } }]), &[json!("b")], &[json!("")]);
    assert!(!matches(&json!({ "k": [{ "anything-but": "a" }] }), &json!({})), "never a missing key");
}

#[test]
fn exists_is_about_leaves() {
    on_values(json!([{ "exists": true }]), &[json!(null), json!(""), json!([1])], &[json!([]), json!({ "a": 1 })]);
    on_values(json!([{ "exists": false }]), &[json!([]), json!({ "a": 1 })], &[json!(null), json!([1])]);
    assert!(!matches(&json!({ "k": [{ "exists": true }] }), &json!({})));
    assert!(matches(&json!({ "k": [{ "exists": false }] }), &json!({})));
    let nested = json!({ "a": { "b": [{ "exists": false }] } });
    for event in [json!({}), json!({ "a": 1 }), json!({ "a": {} }), json!({ "a": [] }), json!({ "a": { "b": {} } })] {
        assert!(matches(&nested, &event), "{event}");
    }
    assert!(!matches(&nested, &json!({ "a": { "b": 1 } })));
    assert!(!matches(&nested, &json!({ "a": [{ "b": 1 }, {}] })), "it exists in one of the elements");
}

#[test]
fn objects_lists_and_dots() {
    let both = json!({ "a": { "x": [1], "y": [2] } });
    assert!(matches(&both, &json!({ "a": { "x": 1, "y": 2, "z": 3 } })));
    assert!(!matches(&both, &json!({ "a": { "x": 1 } })), "all fields must fit");
    assert!(matches(&both, &json!({ "a": [{ "x": 9 }, { "x": 1, "y": 2 }] })), "any element of a list");
    assert!(!matches(&both, &json!({ "a": [{ "x": 1 }, { "y": 2 }] })), "one element must fit as a whole");
    assert!(matches(&json!({ "a": { "id": [{ "exists": true }] } }), &json!({ "a": [{}, { "id": "1" }] })));
    assert!(!matches(&both, &json!({ "a": "{\"x\":1,\"y\":2}" })), "a string that holds JSON is a string");
    assert!(matches(&json!({ "a.b": [1] }), &json!({ "a": { "b": 1 } })));
    assert!(matches(&json!({ "a": { "b": [1] } }), &json!({ "a.b": 1 })));
    assert!(matches(&json!({ "a.b": [1] }), &json!({ "a.b": 1 })));
    assert!(!matches(&json!({ "a.b": { "c": [1] } }), &json!({ "a": { "b": { "c": 1 } } })));
    assert!(matches(&json!({ "a.b": [1], "a": { "c": [2] } }), &json!({ "a": { "b": 1, "c": 2 } })));
    assert!(matches(&json!({ "a": { "b": [1], "c": [2] } }), &json!({ "a": { "c": 2 }, "a.b": 1 })));
    assert!(matches(&json!({ "a": { "b": [1], "c": [2] } }), &json!({ "a.b": 1, "a": { "c": 2 } })));
    for event in [json!({ "a": 3, "a.b": 1 }), json!({ "a.b": 1, "a": 3 }), json!({ "a.b": 1, "a": [3, 4] })] {
        assert!(matches(&json!({ "a": { "b": [1] } }), &event), "{event}");
        let either = json!({ "$or": [{ "a": [3] }, { "a": { "b": [9] } }] });
        assert!(matches(&either, &event), "{event}");
    }
}

#[test]
fn or() {
    let pattern = json!({ "s": ["x"], "$or": [{ "a": [1] }, { "b": { "c": [{ "numeric": [">", 5] }] } }] });
    assert!(matches(&pattern, &json!({ "s": "x", "a": 1 })));
    assert!(matches(&pattern, &json!({ "s": "x", "a": 2, "b": { "c": 6 } })));
    assert!(!matches(&pattern, &json!({ "s": "x", "a": 2, "b": { "c": 5 } })));
    assert!(!matches(&pattern, &json!({ "s": "y", "a": 1 })));
    let nested = json!({ "o": { "$or": [{ "a": [1] }, { "$or": [{ "b": [2] }, { "c": [{ "exists": false }] }] }] } });
    assert!(matches(&nested, &json!({ "o": { "a": 2, "b": 2, "c": 3 } })));
    assert!(matches(&nested, &json!({})));
    assert!(!matches(&nested, &json!({ "o": { "c": 3 } })));
    let several = json!({ "k": [{ "numeric": [">", 100] }, { "anything-but": "101" }, { "exists": false }] });
    assert!(matches(&several, &json!({ "k": "42" })) && matches(&several, &json!({})));
    assert!(!matches(&several, &json!({ "k": "101" })));
    assert!(matches(&json!({ "$or": ["x"] }), &json!({ "$or": "x" })), "with values it is a name like any other");
}

#[test]
fn with_a_key_given_twice_the_last_one_counts() {
    let twice = r#"{"k": [{"prefix": "us-"}], "k": [{"anything-but": "us-east"}]}"#;
    let filters = Filters::compile(&[twice], Decoding::AsGiven).unwrap();
    assert!(filters.matches(br#"{"k": "eu-central-1"}"#));
    assert!(Filters::compile(&[r#"{"k": [1]}"#], Decoding::AsGiven).unwrap().matches(br#"{"k": 2, "k": 1}"#));
}

#[test]
fn what_is_refused_says_where_and_why() {
    for (text, path, column, reason) in [
        ("", "", 1, "no JSON"),
        ("null", "", 1, "a pattern is an object"),
        ("simple string", "", 1, "no JSON"),
        ("[{\"eventName\": [\"INSERT\"=123}]", "", 25, "no JSON"),
        ("[1]", "", 1, "a pattern is an object"),
        ("{}", "", 1, "empty object"),
        (r#"{"a": {}}"#, "a", 7, "empty object"),
        (r#"{"eventSource": "aws:sqs"}"#, "eventSource", 17, r#"write ["aws:sqs"]"#),
        (r#"{"k": 42}"#, "k", 7, "write [42]"),
        (r#"{"eventSource": []}"#, "eventSource", 17, "empty list"),
        (r#"{"k": ["a", ["b"]]}"#, "k[1]", 13, "no list"),
        (r#"{"k": [{"EXISTS": true}]}"#, "k[0].EXISTS", 19, "write exists"),
        (r#"{"k": [{"NUMERIC": [">", 1]}]}"#, "k[0].NUMERIC", 20, "write numeric"),
        (r#"{"k": [{"unknown": 1}]}"#, "k[0].unknown", 20, "unrecognized match type 'unknown'"),
        (r#"{"k": [{}]}"#, "k[0]", 8, "exactly one of"),
        (r#"{"k": [{"prefix": "a", "suffix": "b"}]}"#, "k[0]", 8, "exactly one of"),
        (r#"{"k": [{"prefix": 1}]}"#, "k[0].prefix", 19, "takes a string, not a number"),
        (r#"{"k": [{"suffix": ["a"]}]}"#, "k[0].suffix", 19, "takes a string, not a list"),
        (r#"{"k": [{"prefix": {"suffix": "a"}}]}"#, "k[0].prefix", 19, "takes a string"),
        (r#"{"k": [{"equals-ignore-case": ["a"]}]}"#, "k[0].equals-ignore-case", 31, "takes a string"),
        (r#"{"k": [{"exists": "true"}]}"#, "k[0].exists", 19, "true or false"),
        (r#"{"k": [{"wildcard": "a**b"}]}"#, "k[0].wildcard", 21, "'**'"),
        (r#"{"k": [{"wildcard": ["a"]}]}"#, "k[0].wildcard", 21, "takes a string"),
        (r#"{"k": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}"#, "k", 7, "too complex"),
        (r#"{"k": [{"anything-but": {"wildcard": ["*aaaaaaaaaa", "b"]}}]}"#, "k", 7, "too complex"),
        (r#"{"k": [{"cidr": "10.0.0.0"}]}"#, "k[0].cidr", 17, "block of addresses"),
        (r#"{"k": [{"cidr": "10.0.0.0/33"}]}"#, "k[0].cidr", 17, "block of addresses"),
        (r#"{"k": [{"cidr": 10}]}"#, "k[0].cidr", 17, "takes a string"),
        (r#"{"k": [{"numeric": 5}]}"#, "k[0].numeric", 20, "takes a list"),
        (r#"{"k": [{"numeric": []}]}"#, "k[0].numeric", 20, "at least one"),
        (r#"{"k": [{"numeric": [">"]}]}"#, "k[0].numeric", 20, "lacks its number"),
        (r#"{"k": [{"numeric": [">", "1"]}]}"#, "k[0].numeric", 20, "takes a number"),
        (r#"{"k": [{"numeric": ["!=", 1]}]}"#, "k[0].numeric", 20, "unrecognized numeric operator '!='"),
        (r#"{"k": [{"numeric": [">", 0, ">", 0]}]}"#, "k[0].numeric", 20, "one lower bound"),
        (r#"{"k": [{"numeric": ["<", 5, ">", 0]}]}"#, "k[0].numeric", 20, "one lower bound"),
        (r#"{"k": [{"numeric": [">", 5, "<", 5]}]}"#, "k[0].numeric", 20, "less than the upper"),
        (r#"{"k": [{"numeric": [">", 0, "<", 5, "<", 6]}]}"#, "k[0].numeric", 20, "one lower bound"),
        (r#"{"k": [{"anything-but": null}]}"#, "k[0].anything-but", 25, "not null"),
        (r#"{"k": [{"anything-but": true}]}"#, "k[0].anything-but", 25, "not a boolean"),
        (r#"{"k": [{"anything-but": []}]}"#, "k[0].anything-but", 25, "at least one"),
        (r#"{"k": [{"anything-but": ["a", null]}]}"#, "k[0].anything-but", 25, "strings only or numbers only"),
        (r#"{"k": [{"anything-but": ["a", 1]}]}"#, "k[0].anything-but", 25, "strings only or numbers only"),
        (r#"{"k": [{"anything-but": {"prefix": ""}}]}"#, "k[0].anything-but", 25, "empty prefix"),
        (r#"{"k": [{"anything-but": {"suffix": [""]}}]}"#, "k[0].anything-but", 25, "empty suffix"),
        (r#"{"k": [{"anything-but": {"prefix": 1}}]}"#, "k[0].anything-but", 25, "takes a string"),
        (r#"{"k": [{"anything-but": {"prefix": {"equals-ignore-case": "a"}}}]}"#, "k[0].anything-but", 25, "string"),
        (r#"{"k": [{"anything-but": {"numeric": ["=", 1]}}]}"#, "k[0].anything-but", 25, "knows no 'numeric'"),
        (r#"{"$or": [{"a": [1]}, {"b": 2}]}"#, "$or[1].b", 28, "write [2]"),
        (r#"{"$or": [{"a": [1]}]}"#, "$or[0].a", 16, "unrecognized match type 'a'"),
        (r#"{"$or": [{"a": [1]}]}"#, "$or[0].a", 16, "$or takes a list of two objects or more"),
        (r#"{"$or": []}"#, "$or", 9, "empty list"),
        ("{\"body\": {\n  \"kind\": \"x\"}}", "body.kind", 11, "write [\"x\"]"),
    ] {
        let error = Pattern::compile(text).expect_err(text);
        assert_eq!(error.path, path, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
        if !error.reason.contains("no JSON") {
            assert_eq!(error.column, column, "{text}: {error}");
        }
    }
    let error = Pattern::compile("{\"body\": {\n  \"kind\": \"x\"}}").unwrap_err();
    assert_eq!(error.line, 2);
    assert!(error.to_string().starts_with("line 2, column 11, at body.kind: "), "{error}");
}

#[test]
fn a_pattern_has_at_most_4096_characters() {
    let pattern = |length: usize| format!(r#"{{"k": ["{}"]}}"#, "é".repeat(length - 11));
    assert_eq!(pattern(MAXIMUM_LENGTH).chars().count(), MAXIMUM_LENGTH);
    assert!(Pattern::compile(&pattern(MAXIMUM_LENGTH)).is_ok());
    assert!(Pattern::compile(&pattern(MAXIMUM_LENGTH + 1)).unwrap_err().reason.contains("4097 characters"));
}

#[test]
fn a_field_is_at_most_100_levels_deep_and_small_stacks_do() {
    let dotted = |levels: usize| format!(r#"{{"{}": [1]}}"#, vec!["a"; levels].join("."));
    let error = Pattern::compile(&dotted(101)).unwrap_err();
    assert!(error.reason.contains("101 levels deep"), "{error}");
    let events = [r#"{"a":"#.repeat(100) + "1" + &"}".repeat(100), dotted(100).replace("[1]", "1")];
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let matched = small.spawn(move || {
        let filters = Filters::compile(&[dotted(100)], Decoding::AsGiven).unwrap();
        events.map(|event| filters.matches(event.as_bytes()) && filters.explain(event.as_bytes()).unwrap().matched)
    });
    assert_eq!(matched.unwrap().join().unwrap(), [true, true]);
}

#[test]
fn any_one_of_several_filters_lets_an_event_through() {
    let filters = Filters::compile(&[r#"{"a": [1]}"#, r#"{"b": [2]}"#], Decoding::AsGiven).unwrap();
    assert!(filters.matches(br#"{"a": 1}"#) && filters.matches(br#"{"b": 2}"#));
    assert!(!filters.matches(br#"{"a": 2, "b": 1}"#));
    assert!(Filters::default().matches(b"not even JSON"), "no filter, no question");
    let error = Filters::compile(&[r#"{"a": [1]}"#, "{}"], Decoding::AsGiven).unwrap_err();
    assert_eq!(error.0, 1);
}
