//! A pattern, a line feed, and an event of any bytes: nothing panics, and the explanation agrees with the verdict.
#![no_main]
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pelton_pattern::{Decoding, Filters};

/// Used where the input brings no pattern of its own, so that most inputs reach the matcher.
const PATTERN: &str = r#"{"body": {"kind": ["a", {"prefix": "b"}], "list": {"n": [{"numeric": [">", 1]}, {"exists": false}]},
    "$or": [{"x.y": [{"anything-but": {"wildcard": "a*b"}}]}, {"z": [null, true, {"cidr": "10.0.0.0/8"}]}]}}"#;

const DECODINGS: [Decoding; 4] = [Decoding::AsGiven, Decoding::Sqs, Decoding::Kinesis, Decoding::DynamoDb];

static FILTERS: LazyLock<[Filters; 4]> =
    LazyLock::new(|| DECODINGS.map(|decoding| Filters::compile(&[PATTERN], decoding).expect("a good pattern")));

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (first, rest) = (parts.next().unwrap_or_default(), parts.next());
    let own = std::str::from_utf8(first).unwrap_or_default();
    for (decoding, known) in DECODINGS.into_iter().zip(&*FILTERS) {
        let filters = Filters::compile(&[own], decoding).unwrap_or_else(|_| known.clone());
        let event = rest.unwrap_or(input);
        let explained = filters.explain(event).is_ok_and(|explanation| explanation.matched);
        assert_eq!(filters.matches(event), explained);
    }
});
