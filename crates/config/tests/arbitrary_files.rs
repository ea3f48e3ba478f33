//! Whatever a file holds, reading it ends in a configuration and its problems.
use std::path::Path;

use pelton_config::{Loaded, load_text};
use proptest::prelude::*;

const GOOD: &str = "Endpoint: http://localhost:4566
Region: us-east-1
Listen: 127.0.0.1:9400
GracePeriodSeconds: 30
AsyncQueue: arn:aws:sqs:us-east-1:000000000000:events
AsyncInvocation: {DelayScale: 0.5}
Authentication:
  AccessKeys:
    - AccessKeyId: AKIAIOSFODNN7EXAMPLE
      SecretAccessKey: '${NONE:-x}'
      Principal: arn:aws:iam::000000000000:user/me
      Actions: [lambda:*]
Endpoints: {Kinesis: http://localhost:4566, DynamoDB: http://localhost:8000, DynamoDBStreams: http://localhost:8000}
State:
  DynamoDB:
    Table: pelton-state
    LeaseRenewalSeconds: 5
Functions:
  - FunctionName: work
    Command: [python3, app.py]
    Concurrency: 2
    Environment: {Variables: {STAGE: dev, HOME: '${HOME:-/}'}}
  - FunctionName: other
    Runtime: python3.x
    Handler: app.handler
    ReservedConcurrentExecutions: 1
    Aliases: [live]
    DeadLetterConfig: {TargetArn: 'arn:aws:sqs:us-east-1:000000000000:dead'}
    EventInvokeConfig:
      - MaximumRetryAttempts: 1
        MaximumEventAgeInSeconds: 60
      - Qualifier: live
        DestinationConfig:
          OnSuccess: {Destination: 'arn:aws:sns:us-east-1:000000000000:done', Type: SNS}
          OnFailure: {}
  - FunctionName: remote
    DeadLetterConfig:
      TargetArn: arn:aws:sns:us-east-1:000000000000:dead
    EventInvokeConfig:
      FunctionName: 000000000000:function:remote:7
      Qualifier: '7'
      MaximumEventAgeInSeconds: 60
EventSourceMappings:
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    FunctionName: work
    Enabled: true
    BatchSize: 100
    MaximumBatchingWindowInSeconds: 5
    FilterCriteria: {Filters: [{Pattern: '{\"body\": {\"kind\": [1]}}'}]}
    FunctionResponseTypes: [ReportBatchItemFailures]
    ScalingConfig: {MaximumConcurrency: 10}
    DestinationConfig:
      OnSuccess: {Destination: 'arn:aws:sns:us-east-1:000000000000:done'}
      OnFailure: &failure {Destination: 'arn:aws:s3:::failed'}
      OverflowBucket: arn:aws:s3:::large
    MaximumRetryAttempts: 3
    VisibilityHeartbeat: false
    Tags: {team: payments}
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:bills
    FunctionName: 000000000000:function:remote:1
    DestinationConfig: {OnFailure: *failure}
    Tags: [{Key: team, Value: payments}]
  - EventSourceArn: arn:aws:kinesis:us-east-1:000000000000:stream/orders
    FunctionName: work
    StartingPosition: AT_TIMESTAMP
    StartingPositionTimestamp: 1735689600.5
    BatchSize: 1000
    ParallelizationFactor: 2
    BisectBatchOnFunctionError: true
    MaximumRecordAgeInSeconds: 3600
    MaximumRetryAttempts: -1
    TumblingWindowInSeconds: 60
    PollIntervalMilliseconds: 500
  - EventSourceArn: arn:aws:dynamodb:ddblocal:000000000000:table/orders/stream/2025-11-25T15:46:02.123
    FunctionName: work
    StartingPosition: LATEST
    MaximumRetryAttempts: 3
    DestinationConfig: {OnFailure: *failure}
Tests:
  - Name: data
    EventSourceArn: arn:aws:kinesis:us-east-1:000000000000:stream/orders
    Body: x
    MatchedBy: [work]
  - Name: item
    EventSourceArn: arn:aws:dynamodb:ddblocal:000000000000:table/orders/stream/2025-11-25T15:46:02.123
    Event: '{\"eventName\": \"INSERT\"}'
    MatchedBy: [work]
";

/// What stands in for a value: other kinds, empty, out of range, half written.
const VALUES: &[&str] = &[
    "",
    "~",
    "0",
    "-1",
    "99999999999999999999",
    "1.5",
    "true",
    "yes",
    "''",
    "[]",
    "{}",
    "[1, x]",
    "{a: b}",
    "[[]]",
    "*failure",
    "&a b",
    "!Ref x",
    "!!int x",
    "${UNSET}",
    "${",
    "${A:-5}",
    "\"\\u0000\"",
    "arn:aws:sqs:us-east-1:000000000000:orders",
    "arn:aws:kinesis:us-east-1:000000000000:stream/orders/consumer/c:1",
    "arn:aws:dynamodb:us-east-1:000000000000:table/orders",
    "LATEST",
    "2025-01-01",
    "1e999",
    "{Memory: {}}",
    "'",
    "|",
    "- x",
    "ä💧",
    "null",
    "[{}]",
    "[~]",
    "[!x {}]",
];

fn read(text: &str) -> Loaded {
    let loaded = load_text(text, Path::new("pelton.yaml"), &|_| None);
    for problem in &loaded.problems {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
        assert!(problem.line <= text.matches(['\n', '\r']).count() + 1, "{problem}\n{text}");
        assert!(!problem.message.is_empty() && !problem.fix.is_empty(), "{problem}");
        assert!(!problem.fix.contains("fault of Pelton"), "{problem}\n{text}");
    }
    loaded
}

#[test]
fn the_file_that_is_mutated_is_good() {
    let loaded = read(GOOD);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    assert_eq!((loaded.configuration.functions.len(), loaded.configuration.mappings.len()), (2, 4));
}

#[test]
fn every_value_may_be_replaced_by_anything() {
    let lines: Vec<&str> = GOOD.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(": ").or_else(|| line.split_once(':')) else { continue };
        for value in VALUES {
            let mut changed = lines.clone();
            let replaced = format!("{key}: {value}");
            changed[index] = &replaced;
            read(&changed.join("\n"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_read_without_a_panic(text in "(?s).{0,200}") {
        read(&text);
    }

    #[test]
    fn any_yaml_like_text_is_read_without_a_panic(
        text in "([ \\t]{0,3}(- )?(\\? )?[A-Za-z&*!|>%@`'\"$\\{\\}\\[\\],#~-]{0,6}(: ?)?[a-z0-9\\[\\]\\{\\},'\"]{0,4}\\r?\\n){0,12}"
    ) {
        read(&text);
    }

    #[test]
    fn a_good_file_may_be_cut_and_stirred(
        changes in prop::collection::vec((0..GOOD.len(), 0..40_usize, "[ \\n:\\[\\]\\{\\}'\"&*!${}A-Za-z0-9~|>-]{0,4}"), 1..6)
    ) {
        let mut characters: Vec<char> = GOOD.chars().collect();
        for (place, removed, inserted) in changes {
            let start = place.min(characters.len());
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, inserted.chars());
        }
        read(&characters.into_iter().collect::<String>());
    }

    #[test]
    fn lines_may_come_in_any_order(order in Just(GOOD.lines().collect::<Vec<_>>()).prop_shuffle(), length in 1..100_usize) {
        read(&order.into_iter().take(length).collect::<Vec<_>>().join("\n"));
    }
}
