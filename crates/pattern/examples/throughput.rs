//! How many small events a second one core matches, as `cargo xtask bench` reports it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program for people that
    measures real time"
)]
use std::hint::black_box;
use std::time::{Duration, Instant};

use pelton_pattern::{Decoding, Filters};

const TIME: Duration = Duration::from_secs(2);

fn main() {
    let body = r#"{\"kind\":\"order\",\"region\":\"eu-west-1\",\"amount\":120,\"customer\":{\"id\":4711}}"#;
    let event = format!(
        r#"{{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","body":"{body}","eventSource":"aws:sqs","awsRegion":"eu"}}"#
    );
    let one = [r#"{"body": {"kind": ["order"], "amount": [{"numeric": [">", 100]}]}}"#];
    let five = [
        r#"{"body": {"kind": ["a"]}}"#,
        r#"{"body": {"kind": ["b"]}}"#,
        r#"{"body": {"region": [{"prefix": "us-"}]}}"#,
        r#"{"body": {"amount": [{"numeric": ["<", 0]}]}}"#,
        r#"{"body": {"customer": {"id": [4711]}}}"#,
    ];
    let without_body = [r#"{"eventSource": ["aws:sqs"]}"#];
    let plain = r#"{"kind":"order","region":"eu-west-1","amount":120,"customer":{"id":4711}}"#;
    let of_plain = [r#"{"kind": ["order"], "amount": [{"numeric": [">", 100]}]}"#];
    report("small event, one filter", &of_plain, Decoding::AsGiven, plain);
    report("SQS message, one filter on its body", &one, Decoding::Sqs, &event);
    report("SQS message, five filters on its body", &five, Decoding::Sqs, &event);
    report("SQS message, no filter on its body", &without_body, Decoding::Sqs, &event);
}

fn report(what: &str, patterns: &[&str], decoding: Decoding, event: &str) {
    let filters = Filters::compile(patterns, decoding).unwrap();
    assert!(filters.matches(event.as_bytes()));
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < TIME {
        for _ in 0..1_000 {
            black_box(filters.matches(black_box(event.as_bytes())));
        }
        count += 1_000;
    }
    println!("{:.0}\tevents/s\t{what} ({} bytes)", count as f64 / start.elapsed().as_secs_f64(), event.len());
}
