//! Files with something wrong, and exactly what is said about each. The snapshot shows every file with its problems.
mod common;

use std::path::Path;

use common::{describe, environment};
use pelton_config::{LoadError, load, load_text};

const FILES: &[(&str, &str)] = &[
    ("empty", ""),
    ("only a comment", "# nothing yet\n"),
    ("a list at the top", "- EventSourceMappings\n"),
    ("a text at the top", "hello\n"),
    ("mappings without a value", "EventSourceMappings:\n"),
    ("several documents", "EventSourceMappings: []\n---\nEventSourceMappings: []\n"),
    ("a tab as indentation", "EventSourceMappings:\n\t- FunctionName: work\n"),
    ("a bracket that is never closed", "EventSourceMappings: [\n"),
    ("wrong indentation", "Endpoints:\n  SQS: http://a\n Lambda: http://b\n"),
    ("a quote that is never closed", "Region: 'us-east-1\nEventSourceMappings: []\n"),
    (
        "tests of filters",
        "EventSourceMappings: [{EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: work}]\nTests:\n- {}\n- {Name: two events, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', Body: a, Event: '{}', MatchedBy: []}\n- {Name: no event, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', MatchedBy: []}\n- {Name: no JSON, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', Event: '{', MatchedBy: []}\n- {Name: no such source, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:r', Body: a, MatchedBy: []}\n- {Name: no such function, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', Body: a, MatchedBy: [work, other]}\n- {Name: no ARN, EventSourceArn: q, Body: a, MatchedBy: []}\n",
    ),
    ("an unknown alias", "EventSourceMappings: *nothing\n"),
    ("an alias inside of what it refers to", "EventSourceMappings: &all [*all]\n"),
    ("a key given twice", "Region: us-east-1\nRegion: us-west-2\nEventSourceMappings: []\n"),
    ("a list as a key", "? [a, b]\n: c\n"),
    (
        "a merge key",
        "EventSourceMappings:\n- &one\n  EventSourceArn: arn:aws:sqs:us-east-1:000000000000:q\n  FunctionName: f\n- <<: *one\n  FunctionName: g\n",
    ),
    ("misspelt at the top", "EventSourceMapings: []\n"),
    ("an unknown key at the top", "Plugins: []\nEventSourceMappings: []\n"),
    ("state that is a path", "State: ./state\nEventSourceMappings: []\n"),
    ("state of no kind", "State: {}\nEventSourceMappings: []\n"),
    ("state of an unknown kind", "State: {Sqlit: {Path: a}}\nEventSourceMappings: []\n"),
    ("state of two kinds", "State: {Sqlite: {Path: a}, DynamoDB: {Table: pelton}}\nEventSourceMappings: []\n"),
    ("state of three kinds", "State: {Sqlite: {}, Memory: {}, DynamoDB: {Table: pelton}}\nEventSourceMappings: []\n"),
    ("state in an empty path", "State: {Sqlite: {Path: ''}}\nEventSourceMappings: []\n"),
    ("state in memory with a path", "State: {Memory: {Path: a}}\nEventSourceMappings: []\n"),
    ("state in memory without braces", "State:\n  Memory:\nEventSourceMappings: []\n"),
    ("state in a table without a name", "State: {DynamoDB: {LeaseRenewalSeconds: 5}}\nEventSourceMappings: []\n"),
    ("state in a table with a short name", "State: {DynamoDB: {Table: ab}}\nEventSourceMappings: []\n"),
    (
        "state in a table with an ARN",
        "State: {DynamoDB: {Table: 'arn:aws:dynamodb:us-east-1:000000000000:table/pelton'}}\nEventSourceMappings: []\n",
    ),
    (
        "a lease that is too short",
        "State: {DynamoDB: {Table: pelton, LeaseRenewalSeconds: 0}}\nEventSourceMappings: []\n",
    ),
    (
        "a lease that is too long",
        "State: {DynamoDB: {Table: pelton, LeaseRenewalSeconds: 61}}\nEventSourceMappings: []\n",
    ),
    (
        "a CloudFormation template",
        "Resources:\n  Mapping:\n    Type: AWS::Lambda::EventSourceMapping\nEventSourceMappings: []\n",
    ),
    (
        "endpoints that are no URLs",
        "Endpoint: localhost:4566\nEndpoints: {SQS: 'http://', Lambda: 'http://a:99999', SNS: 'http://a b', S3: ftp://a, Kinesis: kinesis, DynamoDB: ':8000', DynamoDBStreams: 'http:///'}\nEventSourceMappings: []\n",
    ),
    (
        "an unknown service",
        "Endpoints: {SQSS: http://a, Dynamo: http://b, CloudWatch: http://c}\nEventSourceMappings: []\n",
    ),
    ("a Region that is none", "Region: localhost\nEventSourceMappings: []\n"),
    ("addresses to listen on", "Listen: localhost:9400\nEventSourceMappings: []\n"),
    ("a grace period out of range", "GracePeriodSeconds: 901\nEventSourceMappings: []\n"),
    ("a negative grace period", "GracePeriodSeconds: -1\nEventSourceMappings: []\n"),
    ("an empty CA bundle", "CaBundle: ''\nEventSourceMappings: []\n"),
    ("an unset variable", "Endpoint: http://${HOST}:${PORT}\nEventSourceMappings: []\n"),
    ("malformed variables", "Endpoint: http://${HOST\nRegion: ${A B}\nEventSourceMappings: []\n"),
    ("a variable with a bad value", "GracePeriodSeconds: ${WORD}\nEventSourceMappings: []\n"),
    ("a mapping that is a text", "EventSourceMappings: [work]\n"),
    ("mappings that are a map", "EventSourceMappings:\n  EventSourceArn: arn:aws:sqs:us-east-1:000000000000:q\n"),
    ("an empty mapping", "EventSourceMappings: [{}]\n"),
    ("a mapping without values", "EventSourceMappings:\n- EventSourceArn:\n  FunctionName:\n  BatchSize:\n"),
    (
        "sources that are no ARNs",
        "EventSourceMappings:\n- {EventSourceArn: orders, FunctionName: f}\n- {EventSourceArn: 'https://sqs.us-east-1.amazonaws.com/000000000000/q', FunctionName: f}\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:0:q', FunctionName: f}\n- {EventSourceArn: 'arn:aws:sqs::000000000000:q', FunctionName: f}\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q/r', FunctionName: f}\n",
    ),
    (
        "sources that no mapping reads",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:sns:us-east-1:000000000000:topic', FunctionName: f}\n- {EventSourceArn: 'arn:aws:s3:::bucket', FunctionName: f}\n",
    ),
    (
        "sources of later versions",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:kafka:us-east-1:000000000000:cluster/c/1', FunctionName: f}\n- {EventSourceArn: 'arn:aws:mq:us-east-1:000000000000:broker:b', FunctionName: f}\n- {EventSourceArn: 'arn:aws:rds:us-east-1:000000000000:cluster:c', FunctionName: f}\n",
    ),
    (
        "sources that are nearly Kinesis streams",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:orders', FunctionName: f}\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/a!', FunctionName: f}\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c', FunctionName: f}\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1::stream/s', FunctionName: f}\n- {EventSourceArn: 'arn:aws:kinesis:ddblocal:000000000000:stream/s', FunctionName: f}\n",
    ),
    (
        "sources that are nearly DynamoDB streams",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders', FunctionName: f}\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/index/i', FunctionName: f}\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:global-table/t', FunctionName: f}\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/1', FunctionName: f}\n- {EventSourceArn: 'arn:aws:dynamodb:local:000000000000:table/orders/stream/1', FunctionName: f}\n",
    ),
    (
        "streams without the fields they need",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s', FunctionName: f}\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/1', FunctionName: f}\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/t', FunctionName: f, StartingPosition: }\n",
    ),
    (
        "starting positions that are none",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s', FunctionName: f, StartingPosition: invalid}\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s', FunctionName: f, StartingPosition: latest}\n",
    ),
    (
        "a DynamoDB stream from a time on",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/1', FunctionName: f, StartingPosition: AT_TIMESTAMP, StartingPositionTimestamp: 1}\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/1', FunctionName: f, StartingPosition: AT_TIMESTAMP}\n",
    ),
    (
        "the same streams twice",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s', FunctionName: f, StartingPosition: LATEST}\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s', FunctionName: f, StartingPosition: TRIM_HORIZON}\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/1', FunctionName: 'f:1', StartingPosition: LATEST}\n- {EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/1', FunctionName: 'f:1', StartingPosition: LATEST}\n",
    ),
    (
        "a poll interval for records that are pushed",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1', FunctionName: f, StartingPosition: LATEST, PollIntervalMilliseconds: 200}\n",
    ),
    (
        "tests of filters on streams",
        "EventSourceMappings:\n- {EventSourceArn: &kinesis 'arn:aws:kinesis:us-east-1:000000000000:stream/s', FunctionName: f, StartingPosition: LATEST}\n- {EventSourceArn: &dynamodb 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/1', FunctionName: f, StartingPosition: LATEST}\nTests:\n- {Name: no Kinesis record, EventSourceArn: *kinesis, Event: '{\"data\": \"aGVsbG8=\"}', MatchedBy: []}\n- {Name: no JSON, EventSourceArn: *kinesis, Event: '{', MatchedBy: []}\n- {Name: no body, EventSourceArn: *dynamodb, Body: a, MatchedBy: []}\n- {Name: no JSON, EventSourceArn: *dynamodb, Event: '{', MatchedBy: []}\n",
    ),
    (
        "functions that are none",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: a b}\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: 'f:'}\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: 'arn:aws:sqs:us-east-1:000000000000:q'}\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: '12:function:f'}\n",
    ),
    (
        "a function in another Region",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: 'arn:aws:lambda:eu-west-1:000000000000:function:f'}\n",
    ),
    (
        "the same mapping twice",
        "EventSourceMappings:\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: f}\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: g}\n- {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: 'arn:aws:lambda:us-east-1:000000000000:function:f'}\n",
    ),
    (
        "CloudFormation functions",
        "EventSourceMappings:\n- EventSourceArn: !GetAtt Queue.Arn\n  FunctionName: {Ref: Function}\n- EventSourceArn: {'Fn::GetAtt': [Queue, Arn]}\n  FunctionName: [f]\n",
    ),
    (
        "a whole resource of a template",
        "EventSourceMappings:\n- Type: AWS::Lambda::EventSourceMapping\n  Properties: {BatchSize: 1}\n",
    ),
    (
        "an event of a SAM template",
        "EventSourceMappings:\n- {Queue: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: f}\n",
    ),
    ("a function without a name", "EventSourceMappings: []\nFunctions: [{Command: run}]\n"),
    (
        "functions with bad names",
        "EventSourceMappings: []\nFunctions:\n- {FunctionName: 'f:1', Command: run}\n- {FunctionName: a.b, Command: run}\n- {FunctionName: '', Command: run}\n",
    ),
    (
        "two functions of one name",
        "EventSourceMappings: []\nFunctions:\n- {FunctionName: f, Command: run}\n- {FunctionName: f, Command: walk}\n",
    ),
    (
        "functions with nothing to start",
        "EventSourceMappings: []\nFunctions:\n- {FunctionName: a}\n- {FunctionName: b, Command: ''}\n- {FunctionName: c, Command: []}\n- {FunctionName: d, Command: [run, {a: b}]}\n- {FunctionName: e, Command: \"run 'away\"}\n",
    ),
    (
        "functions with two programs, or half of one",
        "EventSourceMappings: []\nFunctions:\n- {FunctionName: a, Command: run, Runtime: python3.x, Handler: a.b}\n- {FunctionName: b, Runtime: nodejs.x}\n- {FunctionName: c, Runtime: ruby3.3, Handler: a.b}\n- {FunctionName: d, Runtime: python2.7, Handler: a.b}\n",
    ),
    (
        "numbers of a function",
        "EventSourceMappings: []\nFunctions:\n- {FunctionName: a, Command: run, Timeout: 0, MemorySize: 64, Concurrency: 0}\n- {FunctionName: b, Command: run, Timeout: 901, MemorySize: 20000, Concurrency: 1001}\n- {FunctionName: c, Command: run, Timeout: 30s, MemorySize: 1e3, Concurrency: 1.0}\n",
    ),
    (
        "the environment of a function",
        "EventSourceMappings: []\nFunctions:\n- {FunctionName: a, Command: run, Environment: {STAGE: dev}}\n- {FunctionName: b, Command: run, Environment: {Variables: {AWS_LAMBDA_RUNTIME_API: x, 1A: x, B: , C: [x]}}}\n- {FunctionName: c, Command: run, Environment: [A=b]}\n",
    ),
    (
        "fields of a function that make no sense here",
        "EventSourceMappings: []\nFunctions: [{FunctionName: a, Command: run, Role: r, Layers: [], Wacth: true}]\n",
    ),
];

/// Each is put below a mapping that has a source and a function.
const FIELDS: &[(&str, &str)] = &[
    ("batch of none", "BatchSize: 0"),
    ("batch too large", "BatchSize: 10001"),
    ("batch far too large", "BatchSize: 99999999999999999999"),
    ("batch below zero", "BatchSize: -99999999999999999999"),
    ("batch of words", "BatchSize: ten"),
    ("batch with a fraction", "BatchSize: 1.5"),
    ("batch as a list", "BatchSize: [1]"),
    ("large batch without a window", "BatchSize: 11"),
    ("large batch with a window of none", "BatchSize: 10000\nMaximumBatchingWindowInSeconds: 0"),
    ("window too long", "MaximumBatchingWindowInSeconds: 301"),
    ("large batch with a bad window", "BatchSize: 11\nMaximumBatchingWindowInSeconds: 1s"),
    ("YAML 1.1 booleans", "Enabled: yes\nVisibilityHeartbeat: off"),
    ("boolean that is none", "Enabled: maybe"),
    ("misspelt", "BatchSiz: 5\nbatchSize: 5\nScalingConfg: {}"),
    ("unknown", "Colour: red"),
    (
        "filters that are none",
        "FilterCriteria:\n  Filters:\n  - {Pattern: 'null'}\n  - {Pattern: simple string}\n  - {Pattern: '{\"eventSource\": \"aws:sqs\"}'}\n  - {Pattern: '{\"body\": {\"kind\": []}}'}\n  - {Pattern: '{\"body\": {\"n\": [{\"numeric\": [\">\", 0, \">\", 0]}]}}'}",
    ),
    (
        "a filter without a pattern",
        "FilterCriteria: {Filters: [{}, {Pattern:}, {Patern: '{}'}, {Pattern: {body: [a]}}]}",
    ),
    (
        "six filters",
        "FilterCriteria:\n  Filters: [{Pattern: '{\"a\":[1]}'}, {Pattern: '{\"a\":[1]}'}, {Pattern: '{\"a\":[1]}'}, {Pattern: '{\"a\":[1]}'}, {Pattern: '{\"a\":[1]}'}, {Pattern: '{\"a\":[1]}'}]",
    ),
    ("filters in the wrong place", "FilterCriteria: [{Pattern: '{}'}]"),
    ("response type unknown", "FunctionResponseTypes: [ReportItemFailures]"),
    ("response types too many", "FunctionResponseTypes: [ReportBatchItemFailures, ReportBatchItemFailures]"),
    ("response types without a list", "FunctionResponseTypes: ReportBatchItemFailures"),
    ("concurrency too low", "ScalingConfig: {MaximumConcurrency: 1}"),
    ("concurrency too high", "ScalingConfig: {MaximumConcurrency: 1001}"),
    ("concurrency misspelt", "ScalingConfig: {MaxConcurrency: 5}"),
    ("destination without its map", "DestinationConfig: {OnFailure: 'arn:aws:sqs:us-east-1:000000000000:d'}"),
    ("destination that is no ARN", "DestinationConfig: {OnFailure: {Destination: dead-letters}}"),
    (
        "destinations of other services",
        "DestinationConfig:\n  OnSuccess: {Destination: 'arn:aws:iam::000000000000:role/r'}\n  OnFailure: {Destination: 'arn:aws:events:us-east-1:000000000000:rule/r'}",
    ),
    ("bucket on success", "DestinationConfig: {OnSuccess: {Destination: 'arn:aws:s3:::bucket'}}"),
    ("bucket with a key", "DestinationConfig: {OnFailure: {Destination: 'arn:aws:s3:::bucket/key'}}"),
    ("destination without a Region", "DestinationConfig: {OnFailure: {Destination: 'arn:aws:sqs::000000000000:d'}}"),
    (
        "function as its own destination",
        "DestinationConfig: {OnSuccess: {Destination: 'arn:aws:lambda:us-east-1:000000000000:function:work:live'}}",
    ),
    (
        "source as its own destination",
        "DestinationConfig: {OnFailure: {Destination: 'arn:aws:sqs:us-east-1:000000000000:orders'}}",
    ),
    (
        "destinations that are empty or have gaps",
        "DestinationConfig: {OnSuccess: {Destination: ''}, OnFailure: {Destination: 'arn:aws:sqs:us-east-1:000000000000:a b'}}",
    ),
    ("Kafka as a destination", "DestinationConfig: {OnFailure: {Destination: 'kafka://topic'}}"),
    (
        "overflow into a queue",
        "DestinationConfig: {OnSuccess: {Destination: 'arn:aws:sns:us-east-1:000000000000:t'}, OverflowBucket: 'arn:aws:sqs:us-east-1:000000000000:d'}",
    ),
    ("overflow of nothing", "DestinationConfig: {OverflowBucket: 'arn:aws:s3:::bucket'}"),
    ("retries without a destination", "MaximumRetryAttempts: 3"),
    (
        "retries out of range",
        "MaximumRetryAttempts: -1\nDestinationConfig: {OnFailure: {Destination: 'arn:aws:s3:::bucket'}}",
    ),
    ("tags that are none", "Tags: team"),
    ("tag without a value", "Tags: {team: }"),
    ("tags as half a list", "Tags: [{Key: a}, {Key: b, Value: c}, {Key: b, Value: d}]"),
    ("tag with an empty key", "Tags: {'': a}"),
    (
        "fields of streams",
        "StartingPosition: LATEST\nStartingPositionTimestamp: 1\nParallelizationFactor: 1\nBisectBatchOnFunctionError: false\nMaximumRecordAgeInSeconds: -1\nTumblingWindowInSeconds: 0\nPollIntervalMilliseconds: 200",
    ),
    (
        "fields of other sources",
        "Topics: [a]\nQueues: [a]\nSelfManagedEventSource: {}\nSourceAccessConfigurations: []\nDocumentDBEventSourceConfig: {}",
    ),
    (
        "fields of later versions",
        "ProvisionedPollerConfig: {MinimumPollers: 2}\nKmsKeyArn: k\nMetricsConfig: {Metrics: [EventCount]}\nLoggingConfig: {}",
    ),
    ("fields that AWS answers with", "UUID: 1\nState: Enabled\nLastModified: 1\nFunctionArn: a"),
];

/// Each is put below a mapping that has a Kinesis stream, a function and `StartingPosition: AT_TIMESTAMP`.
const STREAM_FIELDS: &[(&str, &str)] = &[
    ("no time to begin at", ""),
    ("times that are none", "StartingPositionTimestamp: yesterday"),
    ("time without an offset", "StartingPositionTimestamp: 2025-01-01T00:00:00"),
    ("time before 1970", "StartingPositionTimestamp: -1"),
    ("time as a list", "StartingPositionTimestamp: [1]"),
    ("batch too large", "StartingPositionTimestamp: 1\nBatchSize: 10001"),
    ("window too long", "StartingPositionTimestamp: 1\nMaximumBatchingWindowInSeconds: 301"),
    ("factor too low", "StartingPositionTimestamp: 1\nParallelizationFactor: 0"),
    ("factor too high", "StartingPositionTimestamp: 1\nParallelizationFactor: 11"),
    ("bisecting maybe", "StartingPositionTimestamp: 1\nBisectBatchOnFunctionError: maybe"),
    ("record age below none", "StartingPositionTimestamp: 1\nMaximumRecordAgeInSeconds: -2"),
    ("record age of nothing", "StartingPositionTimestamp: 1\nMaximumRecordAgeInSeconds: 0"),
    ("record age too short", "StartingPositionTimestamp: 1\nMaximumRecordAgeInSeconds: 59"),
    ("record age too long", "StartingPositionTimestamp: 1\nMaximumRecordAgeInSeconds: 604801"),
    ("retries below none", "StartingPositionTimestamp: 1\nMaximumRetryAttempts: -2"),
    ("too many retries", "StartingPositionTimestamp: 1\nMaximumRetryAttempts: 10001"),
    ("tumbling window too long", "StartingPositionTimestamp: 1\nTumblingWindowInSeconds: 901"),
    ("polls too often", "StartingPositionTimestamp: 1\nPollIntervalMilliseconds: 199"),
    ("polls too seldom", "StartingPositionTimestamp: 1\nPollIntervalMilliseconds: 60001"),
    (
        "fields of queues",
        "StartingPositionTimestamp: 1\nScalingConfig: {MaximumConcurrency: 2}\nVisibilityHeartbeat: true",
    ),
    ("a filter that is none", "StartingPositionTimestamp: 1\nFilterCriteria: {Filters: [{Pattern: '{\"data\": 1}'}]}"),
    (
        "bucket on success",
        "StartingPositionTimestamp: 1\nDestinationConfig: {OnSuccess: {Destination: 'arn:aws:s3:::bucket'}}",
    ),
];

#[test]
fn every_bad_file_is_told_exactly_what_is_wrong() {
    let all: String = FILES.iter().map(|(name, text)| describe(name, text) + "\n").collect();
    insta::assert_snapshot!(all);
}

#[test]
fn every_bad_field_of_a_mapping_is_told_exactly_what_is_wrong() {
    let all: String = FIELDS.iter().map(|(name, fields)| describe(name, &mapping("orders", fields)) + "\n").collect();
    insta::assert_snapshot!(all);
}

#[test]
fn every_bad_field_of_a_stream_is_told_exactly_what_is_wrong() {
    let stream = |fields: &str| {
        mapping("orders", &format!("StartingPosition: AT_TIMESTAMP\n{fields}")).replace(
            "arn:aws:sqs:us-east-1:000000000000:orders",
            "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
        )
    };
    let all: String = STREAM_FIELDS.iter().map(|(name, fields)| describe(name, &stream(fields)) + "\n").collect();
    insta::assert_snapshot!(all);
}

#[test]
fn a_stream_is_not_read_from_a_time_to_come() {
    for (time, fix) in [
        ("2999-01-01T00:00:00Z", "write a time that has gone by, or StartingPosition: LATEST"),
        ("1735689600000", "write seconds since 1970, not milliseconds, that have gone by"),
    ] {
        let text = format!(
            "EventSourceMappings: [{{EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s', FunctionName: f, \
             StartingPosition: AT_TIMESTAMP, StartingPositionTimestamp: '{time}'}}]"
        );
        let loaded = load_text(&text, Path::new("pelton.yaml"), &environment);
        let [problem] = &loaded.problems[..] else { panic!("{:?}", loaded.problems) };
        assert!(
            problem.message.starts_with("StartingPositionTimestamp cannot be in the future: it is now 2"),
            "{problem}"
        );
        assert_eq!(
            (problem.path.as_str(), problem.fix.as_str()),
            ("EventSourceMappings[0].StartingPositionTimestamp", fix)
        );
    }
}

#[test]
fn a_fifo_queue_has_limits_of_its_own() {
    let all: String = ["BatchSize: 11", "BatchSize: 11\nMaximumBatchingWindowInSeconds: 1"]
        .map(|fields| describe("FIFO queue", &mapping("orders.fifo", fields)) + "\n")
        .concat();
    insta::assert_snapshot!(all);
}

#[test]
fn more_than_fifty_tags_are_too_many() {
    let tags: Vec<String> = (0..51).map(|number| format!("t{number}: v")).collect();
    let text = mapping("orders", &format!("Tags: {{{}}}", tags.join(", ")));
    let loaded = load_text(&text, Path::new("pelton.yaml"), &environment);
    let [problem] = &loaded.problems[..] else { panic!("{:?}", loaded.problems) };
    assert_eq!(problem.message, "Number of tags exceeds resource tag limit.");
    assert_eq!(problem.fix, "keep at most 50 of the 51 tags");
}

fn mapping(queue: &str, fields: &str) -> String {
    let fields: String = fields.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "EventSourceMappings:\n  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:{queue}\n    FunctionName: work\n{fields}"
    )
}

#[test]
fn files_that_cost_too_much_are_refused() {
    let only_message = |text: &str| {
        let loaded = load_text(text, Path::new("pelton.yaml"), &environment);
        let [problem] = &loaded.problems[..] else { panic!("{:?}", loaded.problems) };
        problem.message.clone()
    };
    assert_eq!(only_message(&"[".repeat(100_000)), "the file nests deeper than 32 levels");
    assert_eq!(only_message(&"- ".repeat(100_000)), "the file nests deeper than 32 levels");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert_eq!(only_message(&bomb), "the file holds more than 100000 values, aliases expanded");
}

#[test]
fn a_long_value_is_shortened() {
    let text = mapping("orders", &format!("BatchSize: {}", "9".repeat(100_000)));
    let loaded = load_text(&text, Path::new("pelton.yaml"), &environment);
    assert!(loaded.problems[0].to_string().len() < 600, "{}", loaded.problems[0]);
}

#[test]
fn files_that_cannot_be_read_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pelton.yaml");
    let error = load(&path, &environment).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
    assert!(error.to_string().contains("pelton.yaml: No such file"), "{error}");

    std::fs::write(&path, b"Region: us-east-1\nEndpoint: \xff\n").unwrap();
    let error = load(&path, &environment).unwrap_err();
    assert!(error.to_string().ends_with("is not UTF-8 text: invalid bytes in line 2"), "{error}");

    std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(load(&path, &environment).unwrap_err(), LoadError::TooLarge(_)));

    assert!(matches!(load(folder.path(), &environment).unwrap_err(), LoadError::Read { .. }));
}
