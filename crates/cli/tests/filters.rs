//! `pelton filter test` and `pelton test`, as a person runs them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use assert_cmd::Command;

/// Exit status, stdout, stderr.
fn pelton(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output =
        Command::cargo_bin("pelton").unwrap().current_dir(folder).env_clear().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn filter_test(pattern: &str, event: &str, more: &[&str]) -> (i32, String, String) {
    pelton(Path::new("/"), &[&["filter", "test", "--pattern", pattern, "--event", event], more].concat())
}

const ORDERS: &str = r#"{"body": {"kind": ["order"]}}"#;

#[test]
fn a_match_is_0_and_names_the_leaf() {
    let (status, out, error) = filter_test(r#"{"kind": ["order"]}"#, r#"{"kind": "order", "n": 1}"#, &[]);
    assert_eq!((status, out.as_str()), (0, "match\n  kind is \"order\", which fits [\"order\"]\n"), "{error}");
}

#[test]
fn no_match_is_1_and_names_the_leaf() {
    let (status, out, _) = filter_test(r#"{"kind": ["order"]}"#, r#"{"kind": "noise"}"#, &[]);
    assert_eq!((status, out.as_str()), (1, "no match\n  kind is \"noise\", which does not fit [\"order\"]\n"));
}

#[test]
fn an_invalid_pattern_or_event_is_2_with_place_and_reason() {
    let (status, out, error) = filter_test(r#"{"kind": "order"}"#, "{}", &[]);
    assert_eq!((status, out.as_str()), (2, ""));
    assert_eq!(
        error,
        "pelton: Invalid filter pattern definition. pattern 1: line 1, column 10, at kind: a field takes a list of \
         values or an object, not a string: write [\"order\"]\n"
    );
    let (status, out, error) = filter_test(r#"{"kind": ["order"]}"#, "{\n\"kind\":}", &[]);
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(error.contains("line 2 column 8"), "{error}");
    let (status, _, error) = filter_test("@/missing", "{}", &[]);
    assert!(status == 2 && error.contains("can't read the pattern from /missing"), "{error}");
}

#[test]
fn the_source_decodes_the_payload_and_without_it_nothing_does() {
    let message = r#"{"body": "{\"kind\": \"order\"}"}"#;
    assert_eq!(filter_test(ORDERS, message, &[]).0, 1);
    assert_eq!(filter_test(ORDERS, message, &["--source", "sqs"]).0, 0);
    assert_eq!(filter_test(ORDERS, r#"{"body": {"kind": "order"}}"#, &[]).0, 0);
    let record = r#"{"kinesis": {"data": "eyJraW5kIjoib3JkZXIifQ=="}}"#;
    assert_eq!(filter_test(r#"{"data": {"kind": ["order"]}}"#, record, &["--source", "kinesis"]).0, 0);
    let record = r#"{"eventName": "INSERT", "dynamodb": {"Keys": {"k": {"S": "v"}}}}"#;
    assert_eq!(filter_test(r#"{"dynamodb": {"Keys": {"k": {"S": ["v"]}}}}"#, record, &["--source", "dynamodb"]).0, 0);
}

#[test]
fn files_and_several_patterns() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pattern.json"), ORDERS).unwrap();
    std::fs::write(folder.path().join("event.json"), r#"{"body": {"kind": "order"}}"#).unwrap();
    let arguments = ["filter", "test", "--pattern", r#"{"a": [1]}"#, "--pattern", "@pattern.json"];
    let (status, out, _) = pelton(folder.path(), &[&arguments[..], &["--event", "@event.json"]].concat());
    assert_eq!(status, 0);
    let expected = "match\n  filter 1: a is missing, which does not fit [1]\n  \
                    filter 2: body.kind is \"order\", which fits [\"order\"]\n";
    assert_eq!(out, expected);
}

const FILE: &str = r#"
EventSourceMappings:
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    FunctionName: work
    FilterCriteria: { Filters: [{ Pattern: '{"body": {"amount": [{"numeric": [">", 100]}]}}' }] }
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    FunctionName: audit
Tests:
  - Name: large orders reach both
    EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    Body: '{"amount": 120}'
    MatchedBy: [work, audit]
  - Name: the file
    EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    EventFile: events/small.json
    MatchedBy: [audit]
"#;

fn folder(file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pelton.yaml"), file).unwrap();
    std::fs::create_dir(folder.path().join("events")).unwrap();
    std::fs::write(folder.path().join("events/small.json"), r#"{"body": "{\"amount\": 20}"}"#).unwrap();
    folder
}

#[test]
fn tests_that_pass_are_0() {
    let folder = folder(FILE);
    let (status, out, error) = pelton(folder.path(), &["test"]);
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(out, "ok      large orders reach both\nok      the file\n2 passed, 0 failed\n");
}

#[test]
fn tests_that_fail_are_1_and_say_why() {
    let folder = folder(&FILE.replace("MatchedBy: [audit]", "MatchedBy: [work]").replace("120", "100"));
    let (status, out, _) = pelton(folder.path(), &["test", "-c", "pelton.yaml"]);
    assert_eq!(status, 1);
    let expected = "FAILED  large orders reach both
        work: should match, but doesn't
          no match
            body.amount is 100, which does not fit [{\"numeric\":[\">\",100]}]
FAILED  the file
        work: should match, but doesn't
          no match
            body.amount is 20, which does not fit [{\"numeric\":[\">\",100]}]
        audit: should not match, but does
          match
            there is no filter, so everything matches
0 passed, 2 failed
";
    assert_eq!(out, expected);
}

#[test]
fn a_file_with_problems_or_without_tests_is_2() {
    let broken = folder(&FILE.replace("[\">\", 100]", "[\">\"]"));
    let (status, out, error) = pelton(broken.path(), &["test"]);
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(error.contains("at body.amount[0].numeric: '>' lacks its number"), "{error}");
    let empty = folder("EventSourceMappings: []\n");
    let (status, _, error) = pelton(empty.path(), &["test"]);
    assert!(status == 2 && error.contains("has no `Tests`"), "{error}");
    let missing = folder(&FILE.replace("small.json", "other.json"));
    let (status, out, _) = pelton(missing.path(), &["test"]);
    assert!(status == 1 && out.contains("events/other.json can't be read"), "{out}");
}
