//! Files that are as they should be.
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use pelton_config::{Loaded, Program, Runtime, State, TestEvent, load_text};
use pelton_core::{DestinationArn, StartingPosition, StreamSettings};

fn load(text: &str) -> Loaded {
    load_text(text, Path::new("/etc/pelton/pelton.yaml"), &|name| (name == "HOST").then(|| "localhost".into()))
}

fn good(text: &str) -> Loaded {
    let loaded = load(text);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    loaded
}

#[test]
fn the_shortest_file_gets_awss_defaults() {
    let configuration = good(
        "EventSourceMappings:
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    FunctionName: work
",
    )
    .configuration;
    assert_eq!(configuration.listen.to_string(), "127.0.0.1:9400");
    assert_eq!(configuration.grace_period, Duration::from_secs(30));
    assert_eq!((configuration.endpoint, configuration.region, configuration.ca_bundle), (None, None, None));
    let mapping = &configuration.mappings[0];
    assert_eq!(mapping.function_arn.to_string(), "arn:aws:lambda:us-east-1:000000000000:function:work");
    assert_eq!((mapping.enabled, mapping.batch_size, mapping.batching_window), (true, 10, Duration::ZERO));
    assert_eq!((mapping.report_batch_item_failures, mapping.maximum_concurrency), (false, None));
    assert_eq!((&mapping.on_success, &mapping.on_failure, &mapping.overflow_bucket), (&None, &None, &None));
    assert_eq!((mapping.maximum_retry_attempts, mapping.visibility_heartbeat), (None, true));
    assert!(mapping.tags.is_empty());
    assert_eq!(mapping.stream, None);
    assert_eq!(configuration.state, State::Sqlite { path: "/etc/pelton/pelton.db".into() });
}

/// What GetEventSourceMapping answers for a stream that was mapped with the required fields only.
#[test]
fn the_shortest_mapping_of_a_stream_gets_awss_defaults() {
    for arn in [
        "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
        "arn:aws:kinesis:us-east-1:000000000000:stream/orders/consumer/pelton:1700000000",
        "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2025-11-25T15:46:02.123",
    ] {
        let text = format!(
            "EventSourceMappings: [{{EventSourceArn: '{arn}', FunctionName: work, StartingPosition: TRIM_HORIZON}}]"
        );
        let mapping = good(&text).configuration.mappings.remove(0);
        assert_eq!(mapping.event_source.to_string(), arn);
        assert_eq!(mapping.function_arn.to_string(), "arn:aws:lambda:us-east-1:000000000000:function:work");
        assert_eq!((mapping.batch_size, mapping.batching_window), (100, Duration::ZERO));
        assert_eq!((mapping.maximum_retry_attempts, mapping.on_failure), (None, None));
        let expected = StreamSettings {
            starting_position: StartingPosition::TrimHorizon,
            parallelization_factor: 1,
            bisect_batch_on_function_error: false,
            maximum_record_age: None,
            tumbling_window: Duration::ZERO,
            poll_interval: None,
        };
        assert_eq!(mapping.stream, Some(expected), "{arn}");
    }
}

#[test]
fn every_field_of_a_stream_arrives() {
    let configuration = good(
        "Endpoints: {Kinesis: http://a, DynamoDB: http://b, DynamoDBStreams: http://c}
EventSourceMappings:
  - EventSourceArn: arn:aws:kinesis:us-east-1:000000000000:stream/orders
    FunctionName: work
    StartingPosition: AT_TIMESTAMP
    StartingPositionTimestamp: 1735689600.5
    BatchSize: 10000
    MaximumBatchingWindowInSeconds: 300
    ParallelizationFactor: 10
    BisectBatchOnFunctionError: true
    MaximumRecordAgeInSeconds: 60
    MaximumRetryAttempts: 0
    TumblingWindowInSeconds: 900
    PollIntervalMilliseconds: 60000
    FunctionResponseTypes: [ReportBatchItemFailures]
    FilterCriteria: {Filters: [{Pattern: '{\"data\": {\"kind\": [1]}}'}]}
    DestinationConfig:
      OnSuccess: {Destination: 'arn:aws:sns:us-east-1:000000000000:done'}
      OnFailure: {Destination: 'arn:aws:s3:::failed'}
      OverflowBucket: arn:aws:s3:::large
  - EventSourceArn: arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2025-11-25T15:46:02.123
    FunctionName: work
    StartingPosition: LATEST
    MaximumRecordAgeInSeconds: -1
    MaximumRetryAttempts: -1
    FilterCriteria: {Filters: [{Pattern: '{\"eventName\": [\"INSERT\"]}'}]}
  - EventSourceArn: arn:aws:kinesis:us-east-1:000000000000:stream/orders
    FunctionName: other
    StartingPosition: AT_TIMESTAMP
    StartingPositionTimestamp: 2025-01-01T01:00:00+01:00
    MaximumRecordAgeInSeconds: 604800
    MaximumRetryAttempts: 10000
Tests:
  - {Name: data, EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/orders', Body: '{\"kind\": 1}', MatchedBy: [work, other]}
  - {Name: record, EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/orders', Event: '{\"kinesis\": {\"data\": \"eA==\"}}', MatchedBy: [other]}
  - {Name: item, EventSourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2025-11-25T15:46:02.123', Event: '{\"eventName\": \"MODIFY\"}', MatchedBy: []}
",
    )
    .configuration;
    let endpoints = &configuration.endpoints;
    let urls = [&endpoints.kinesis, &endpoints.dynamodb, &endpoints.dynamodb_streams].map(|url| url.as_deref());
    assert_eq!(urls, [Some("http://a"), Some("http://b"), Some("http://c")]);

    let [kinesis, dynamodb, other] = &configuration.mappings[..] else { panic!("{:?}", configuration.mappings) };
    let expected = StreamSettings {
        starting_position: StartingPosition::AtTimestamp("2025-01-01T00:00:00.5Z".parse().unwrap()),
        parallelization_factor: 10,
        bisect_batch_on_function_error: true,
        maximum_record_age: Some(Duration::from_secs(60)),
        tumbling_window: Duration::from_secs(900),
        poll_interval: Some(Duration::from_secs(60)),
    };
    assert_eq!(kinesis.stream, Some(expected));
    assert_eq!((kinesis.batch_size, kinesis.batching_window), (10_000, Duration::from_secs(300)));
    assert_eq!((kinesis.maximum_retry_attempts, kinesis.report_batch_item_failures), (Some(0), true));
    assert!(matches!(&kinesis.on_success, Some(DestinationArn::Topic(_))));
    assert!(matches!(&kinesis.on_failure, Some(DestinationArn::Bucket(_))));
    assert_eq!(kinesis.overflow_bucket.as_ref().map(|arn| arn.resource()), Some("large"));
    let settings = |mapping: &pelton_core::Mapping| mapping.stream.clone().unwrap();
    assert_eq!(settings(dynamodb).starting_position, StartingPosition::Latest);
    assert_eq!((settings(dynamodb).maximum_record_age, dynamodb.maximum_retry_attempts), (None, None));
    assert_eq!(
        settings(other).starting_position,
        StartingPosition::AtTimestamp("2025-01-01T00:00:00Z".parse().unwrap())
    );
    assert_eq!(
        (settings(other).maximum_record_age, other.maximum_retry_attempts),
        (Some(Duration::from_secs(604_800)), Some(10_000))
    );

    for test in &configuration.tests {
        let TestEvent::Record(record) = &test.event else { panic!("{test:?}") };
        let of_source = configuration.mappings.iter().filter(|mapping| mapping.event_source == test.event_source);
        let matching = of_source.filter(|mapping| mapping.filters.matches(record.as_bytes()));
        assert_eq!(matching.map(|mapping| mapping.id).collect::<BTreeSet<_>>(), test.matched_by, "{}", test.name);
    }
}

#[test]
fn a_function_of_dynamodb_locals_streams_is_where_the_file_is() {
    let arn = "arn:aws:dynamodb:ddblocal:000000000000:table/orders/stream/2025-11-25T15:46:02.123";
    let function = |head: &str, name: &str| {
        let text = format!(
            "{head}EventSourceMappings: [{{EventSourceArn: '{arn}', FunctionName: '{name}', StartingPosition: LATEST}}]"
        );
        good(&text).configuration.mappings[0].function_arn.to_string()
    };
    assert_eq!(function("", "work"), "arn:aws:lambda:us-east-1:000000000000:function:work");
    assert_eq!(function("Region: eu-west-1\n", "work"), "arn:aws:lambda:eu-west-1:000000000000:function:work");
    let elsewhere = "arn:aws:lambda:eu-west-2:000000000000:function:work";
    assert_eq!(function("", elsewhere), elsewhere);
    let text =
        format!("EventSourceMappings: [{{EventSourceArn: '{arn}', FunctionName: work, StartingPosition: LATEST}}]");
    let from_environment = |name: &str| (name == "AWS_REGION").then(|| "eu-west-3".to_owned());
    let loaded = load_text(&text, Path::new("pelton.yaml"), &from_environment);
    assert_eq!(loaded.configuration.mappings[0].function_arn.region(), "eu-west-3");
}

#[test]
fn state_is_kept_where_the_file_says() {
    let state = |state: &str| good(&format!("State: {state}\nEventSourceMappings: []\n")).configuration.state;
    let file = |path: &str| State::Sqlite { path: path.into() };
    assert_eq!(state("{Sqlite: {}}"), file("/etc/pelton/pelton.db"));
    assert_eq!(state("{Sqlite: {Path: state/shards.db}}"), file("/etc/pelton/state/shards.db"));
    assert_eq!(state("{Sqlite: {Path: /var/lib/pelton.db}}"), file("/var/lib/pelton.db"));
    assert_eq!(state("{Memory: {}}"), State::Memory);
    let table =
        |seconds| State::DynamoDb { table: "pelton.state_1-a".into(), lease_renewal: Duration::from_secs(seconds) };
    assert_eq!(state("{DynamoDB: {Table: pelton.state_1-a}}"), table(5));
    assert_eq!(state("{DynamoDB: {Table: pelton.state_1-a, LeaseRenewalSeconds: 60}}"), table(60));
}

#[test]
fn the_properties_of_a_templates_stream_can_be_pasted() {
    let configuration = good(
        "EventSourceMappings:
-   BatchSize: '100'
    BisectBatchOnFunctionError: 'True'
    EventSourceArn: 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders'
    FunctionName: my-function
    MaximumRecordAgeInSeconds: '3600'
    MaximumRetryAttempts: '-1'
    ParallelizationFactor: '2'
    StartingPosition: AT_TIMESTAMP
    StartingPositionTimestamp: '1735689600'
    TumblingWindowInSeconds: '0'
",
    )
    .configuration;
    let stream = configuration.mappings[0].stream.as_ref().unwrap();
    assert_eq!((stream.parallelization_factor, stream.bisect_batch_on_function_error), (2, true));
}

/// As the REST API will: JSON is YAML.
#[test]
fn a_request_in_json_is_read_too() {
    let configuration = good(
        r#"{"EventSourceMappings": [{"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
            "FunctionName": "work", "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1735689600.0,
            "MaximumRetryAttempts": -1, "DestinationConfig": {"OnFailure": {}}, "FilterCriteria": {"Filters": []}}]}"#,
    )
    .configuration;
    let stream = configuration.mappings[0].stream.as_ref().unwrap();
    assert_eq!(stream.starting_position, StartingPosition::AtTimestamp("2025-01-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn every_field_arrives() {
    let configuration = good(
        "Endpoint: http://${HOST}:4566
Endpoints: {SQS: 'http://[::1]:9324', Lambda: https://lambda.internal, SNS: http://a, EventBridge: http://b/path, S3: http://c:1}
Region: eu-central-1
Listen: 0.0.0.0:80
AllowUnauthenticated: true
CaBundle: ca.pem
GracePeriodSeconds: 0
Functions:
  - FunctionName: work
    Command: python3 -m awslambdaric 'app.handler'
    CodeUri: src
    Concurrency: 4
    Timeout: 900
    MemorySize: 10240
    Environment: {Variables: {ACCOUNT: 000000000000, DEBUG: true, EMPTY: '${NOTHING:-}'}}
    Watch: true
  - FunctionName: other
    Runtime: nodejs22.x
    Handler: app.handler
  - FunctionName: third
    Command: [./bin/third, --fast]
    CodeUri: build
EventSourceMappings:
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    FunctionName: arn:aws:lambda:us-east-1:000000000000:function:work:live
    Enabled: false
    BatchSize: 10000
    MaximumBatchingWindowInSeconds: 300
    FilterCriteria: {Filters: [{Pattern: '{\"body\": {\"kind\": [1]}}'}, {Pattern: '{\"body\": [{\"prefix\": \"x\"}]}'}]}
    FunctionResponseTypes: [ReportBatchItemFailures]
    ScalingConfig: {MaximumConcurrency: 1000}
    DestinationConfig:
      OnSuccess: {Destination: 'arn:aws:sns:us-east-1:000000000000:done'}
      OnFailure: {Destination: 'arn:aws:s3:::failed.records'}
      OverflowBucket: arn:aws:s3:::large
    MaximumRetryAttempts: 10000
    VisibilityHeartbeat: false
    Tags: {team: 007, stage: dev}
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders.fifo
    FunctionName: 000000000000:function:remote:1
    DestinationConfig: {OnSuccess: {}, OnFailure: {Destination: 'arn:aws:events:us-east-1:000000000000:event-bus/bus'}}
Tests:
  - Name: one
    EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    Body: '{\"kind\": 1}'
    MatchedBy: ['arn:aws:lambda:us-east-1:000000000000:function:work:live']
  - {Name: none, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:orders.fifo', Event: '{\"body\": \"x\"}', MatchedBy: []}
",
    )
    .configuration;
    assert_eq!(configuration.endpoint.as_deref(), Some("http://localhost:4566"));
    assert_eq!(configuration.endpoints.eventbridge.as_deref(), Some("http://b/path"));
    assert_eq!(configuration.endpoints.sqs.as_deref(), Some("http://[::1]:9324"));
    assert_eq!(configuration.region.as_deref(), Some("eu-central-1"));
    assert_eq!(configuration.ca_bundle.as_deref(), Some(Path::new("/etc/pelton/ca.pem")));
    assert_eq!(configuration.grace_period, Duration::ZERO);

    let [work, other, third] = &configuration.functions[..] else { panic!("{:?}", configuration.functions) };
    let words = ["python3", "-m", "awslambdaric", "app.handler"].map(str::to_owned);
    assert_eq!(work.program, Program::Command(words.to_vec()));
    assert_eq!(work.code_uri, Path::new("/etc/pelton/src"));
    assert_eq!(
        (work.concurrency, work.timeout, work.memory_size, work.watch),
        (4, Duration::from_secs(900), 10240, true)
    );
    let variables: Vec<_> = work.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("ACCOUNT", "000000000000"), ("DEBUG", "true"), ("EMPTY", "")]);
    assert_eq!(other.program, Program::Runtime(Runtime::NodeJs(Some("22".into()))));
    assert_eq!(other.handler.as_deref(), Some("app.handler"));
    assert_eq!(
        (other.concurrency, other.timeout, other.memory_size, other.watch),
        (1, Duration::from_secs(3), 128, false)
    );
    assert_eq!(third.program, Program::Command(vec!["/etc/pelton/build/bin/third".into(), "--fast".into()]));

    let [orders, fifo] = &configuration.mappings[..] else { panic!("{:?}", configuration.mappings) };
    assert_eq!(configuration.local_function(&orders.function), Some(work));
    assert_eq!(configuration.local_function(&fifo.function), None);
    assert!(!orders.enabled && orders.report_batch_item_failures && !orders.visibility_heartbeat);
    assert_eq!((orders.batch_size, orders.batching_window), (10_000, Duration::from_secs(300)));
    assert_eq!((orders.maximum_concurrency, orders.maximum_retry_attempts), (Some(1000), Some(10_000)));
    assert!(matches!(&orders.on_success, Some(DestinationArn::Topic(_))));
    assert!(matches!(&orders.on_failure, Some(DestinationArn::Bucket(_))));
    assert_eq!(orders.overflow_bucket.as_ref().map(|arn| arn.resource()), Some("large"));
    assert_eq!(orders.tags["team"], "007");
    assert_eq!(fifo.on_success, None);
    assert!(matches!(&fifo.on_failure, Some(DestinationArn::EventBus(_))));
    assert_eq!(orders.filters.texts().len(), 2);
    assert!(orders.filters.matches(br#"{"body": "{\"kind\": 1}"}"#) && !orders.filters.matches(br#"{"body": "y"}"#));
    assert!(fifo.filters.is_empty());

    let [one, none] = &configuration.tests[..] else { panic!("{:?}", configuration.tests) };
    assert_eq!((one.name.as_str(), &one.event), ("one", &TestEvent::Record(r#"{"body":"{\"kind\": 1}"}"#.into())));
    assert_eq!(
        (&one.event_source, one.matched_by.iter().collect::<Vec<_>>()),
        (&orders.event_source, vec![&orders.id])
    );
    assert!(none.matched_by.is_empty() && none.event == TestEvent::Record(r#"{"body": "x"}"#.into()));
}

#[test]
fn the_properties_of_a_template_can_be_pasted() {
    // As SAM and CloudFormation write them: quoted numbers, booleans as texts, tags as a list.
    let configuration = good(
        "EventSourceMappings:
-   BatchSize: '100'
    Enabled: 'True'
    EventSourceArn: 'arn:aws:sqs:eu-west-1:123456789012:my-queue'
    FunctionName: arn:aws:lambda:eu-west-1:123456789012:function:my-function
    FunctionResponseTypes:
    - ReportBatchItemFailures
    MaximumBatchingWindowInSeconds: 5
    ScalingConfig:
        MaximumConcurrency: 10
    Tags:
    - Key: team
      Value: payments
",
    )
    .configuration;
    let mapping = &configuration.mappings[0];
    assert_eq!((mapping.batch_size, mapping.maximum_concurrency), (100, Some(10)));
    assert_eq!(mapping.tags["team"], "payments");
}

#[test]
fn anchors_and_an_empty_list_of_mappings_are_fine() {
    assert!(good("EventSourceMappings: []").configuration.mappings.is_empty());
    let configuration = good(
        "EventSourceMappings:
- EventSourceArn: arn:aws:sqs:us-east-1:000000000000:one
  FunctionName: &function work
  Tags: &tags {a: b}
- EventSourceArn: arn:aws:sqs:us-east-1:000000000000:two
  FunctionName: *function
  Tags: *tags
",
    )
    .configuration;
    assert_eq!(configuration.mappings[1].tags["a"], "b");
}

#[test]
fn the_good_part_of_a_bad_file_survives() {
    let loaded = load(
        "Region: nowhere
Functions:
  - FunctionName: bad
    Command: run
    Timeout: 0
  - FunctionName: good
    Command: run
EventSourceMappings:
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:one
    FunctionName: good
    BatchSize: 0
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:two
    FunctionName: good
  -
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:three
    FunctionName: bad
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:four
    FunctionName: remote
",
    );
    let paths: Vec<&str> = loaded.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["Region", "Functions[0].Timeout", "EventSourceMappings[0].BatchSize", "EventSourceMappings[2]"]);
    assert_eq!(loaded.configuration.region, None);
    assert_eq!(loaded.configuration.functions.len(), 1);
    let sources: Vec<&str> =
        loaded.configuration.mappings.iter().map(|mapping| mapping.event_source.resource()).collect();
    assert_eq!(sources, ["two", "four"]);
    let problem =
        loaded.mapping_problem(loaded.configuration.mappings[1].id, "FunctionName", "gone".into(), "create it".into());
    assert_eq!(
        problem.to_string(),
        "/etc/pelton/pelton.yaml:18:19: EventSourceMappings[4].FunctionName: remote\n  gone\n  fix: create it"
    );
    let problem = loaded.function_problem("good", "CodeUri", "gone".into(), "create it".into());
    assert_eq!((problem.line, problem.column, problem.path.as_str()), (6, 5, "Functions[1].CodeUri"));
}
