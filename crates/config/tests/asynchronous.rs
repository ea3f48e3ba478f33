//! What a file says of asynchronous invocation.
mod common;

use std::path::Path;
use std::time::Duration;

use common::describe;
use pelton_config::{Configuration, load_text};
use pelton_core::EventInvokeConfig;

fn good(text: &str) -> Configuration {
    let loaded = load_text(text, Path::new("pelton.yaml"), &|name| (name == "QUEUE").then(|| "dead".into()));
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    loaded.configuration
}

#[test]
fn a_file_without_any_of_it_gets_awss_defaults() {
    let configuration = good("Functions: [{FunctionName: work, Command: run}]");
    assert_eq!((configuration.async_queue, configuration.delay_scale), (None, 1.0));
    assert_eq!(configuration.function_settings, []);
    let function = &configuration.functions[0];
    assert_eq!((&function.aliases[..], function.reserved_concurrency), (&[][..], None));
    assert!(configuration.mappings.is_empty(), "none is needed");
}

#[test]
fn everything_about_a_local_function_arrives() {
    let configuration = good(
        "AsyncQueue: arn:aws:sqs:us-east-1:000000000000:events
AsyncInvocation: {DelayScale: 0.01}
Functions:
  - FunctionName: work
    Command: run
    ReservedConcurrentExecutions: 0
    Aliases: [live, blue-2]
    DeadLetterConfig: {TargetArn: 'arn:aws:sqs:us-east-1:000000000000:${QUEUE}'}
    EventInvokeConfig:
      - MaximumRetryAttempts: 1
        MaximumEventAgeInSeconds: 60
        DestinationConfig:
          OnSuccess: {Destination: 'arn:aws:lambda:us-east-1:000000000000:function:other'}
          OnFailure: {Destination: 'arn:aws:s3:::failed'}
      - Qualifier: live
        MaximumEventAgeInSeconds: 21600
",
    );
    assert_eq!(configuration.async_queue.as_ref().unwrap().resource(), "events");
    assert_eq!(configuration.delay_scale, 0.01);
    let function = &configuration.functions[0];
    assert_eq!(
        (&function.aliases[..], function.reserved_concurrency),
        (&["live".into(), "blue-2".into()][..], Some(0))
    );
    let dead = configuration.dead_letter_queue("work").unwrap();
    assert_eq!(dead.to_string(), "arn:aws:sqs:us-east-1:000000000000:dead");
    let config = configuration.event_invoke_config("work", "$LATEST").unwrap();
    assert_eq!((config.maximum_retry_attempts, config.maximum_event_age), (Some(1), Some(Duration::from_secs(60))));
    assert_eq!(config.on_success.as_ref().unwrap().arn().resource(), "function:other");
    assert_eq!(config.on_failure.as_ref().unwrap().to_string(), "arn:aws:s3:::failed");
    let live =
        EventInvokeConfig { maximum_event_age: Some(Duration::from_secs(21_600)), ..EventInvokeConfig::default() };
    assert_eq!(configuration.event_invoke_config("work", "live"), Some(&live), "nothing is inherited");
    for (name, qualifier) in [("work", "blue-2"), ("other", "$LATEST")] {
        assert_eq!(configuration.event_invoke_config(name, qualifier), None);
    }
    assert_eq!(configuration.dead_letter_queue("other"), None);
}

#[test]
fn functions_at_lambda_have_settings_and_no_process() {
    for (name, bare) in [
        ("work", "work"),
        ("111122223333:function:work", "work"),
        ("arn:aws:lambda:eu-west-1:111122223333:function:work", "work"),
    ] {
        let configuration = good(&format!(
            "Functions:
  - FunctionName: '{name}'
    DeadLetterConfig: {{TargetArn: 'arn:aws:sns:us-east-1:000000000000:dead'}}
    EventInvokeConfig: {{Qualifier: '7', MaximumRetryAttempts: 0}}
"
        ));
        assert!(configuration.functions.is_empty());
        assert_eq!(configuration.function_settings[0].function.as_str(), name);
        assert_eq!(configuration.event_invoke_config(bare, "7").unwrap().maximum_retry_attempts, Some(0));
        assert_eq!(configuration.event_invoke_config(bare, "$LATEST"), None);
        assert_eq!(configuration.dead_letter_queue(bare).unwrap().arn().service(), "sns");
    }
}

/// Properties of `AWS::Lambda::EventInvokeConfig`, and `EventInvokeConfig` of `AWS::Serverless::Function`.
#[test]
fn blocks_of_templates_can_be_pasted() {
    let configuration = good(
        "Functions:
  - FunctionName: work
    EventInvokeConfig:
      FunctionName: work
      Qualifier: $LATEST
      MaximumRetryAttempts: 1
      MaximumEventAgeInSeconds: 300
      DestinationConfig:
        OnFailure:
          Destination: arn:aws:sqs:us-east-2:123456789012:dlq
  - FunctionName: sam
    Command: run
    EventInvokeConfig:
      MaximumEventAgeInSeconds: 70
      MaximumRetryAttempts: 1
      DestinationConfig:
        OnSuccess:
          Type: SNS
          Destination: arn:aws:sns:us-west-2:012345678901:done
        OnFailure:
          Type: S3
          Destination: arn:aws:s3:::failed
  - FunctionName: arn:aws:lambda:us-east-2:123456789012:function:third
    EventInvokeConfig:
      FunctionName: arn:aws:lambda:us-east-2:123456789012:function:third:live
      DestinationConfig: {OnSuccess: {}}
",
    );
    let failure = |name, qualifier| configuration.event_invoke_config(name, qualifier).unwrap().on_failure.clone();
    assert_eq!(failure("work", "$LATEST").unwrap().arn().resource(), "dlq");
    assert_eq!(failure("sam", "$LATEST").unwrap().arn().resource(), "failed");
    let third = configuration.event_invoke_config("third", "live");
    assert_eq!(third, Some(&EventInvokeConfig::default()), "a side without a destination is a setting");
}

/// Each stands alone in a file.
const FILES: &[(&str, &str)] = &[
    ("queue that is none", "AsyncQueue: events"),
    ("queue of another service", "AsyncQueue: arn:aws:sns:us-east-1:000000000000:events"),
    ("queue with a bad name", "AsyncQueue: arn:aws:sqs:us-east-1:000000000000:a/b"),
    ("queue that is FIFO", "AsyncQueue: arn:aws:sqs:us-east-1:000000000000:events.fifo"),
    ("queue without a Region", "AsyncQueue: arn:aws:sqs::000000000000:events"),
    ("scale of nothing", "AsyncInvocation: {DelayScale: 0}"),
    ("scale too large", "AsyncInvocation: {DelayScale: 1.5}"),
    ("scales that are no numbers", "AsyncInvocation: {DelayScale: fast}"),
    ("scale that is not a number", "AsyncInvocation: {DelayScale: NaN}"),
    ("scale misspelt", "AsyncInvocation: {DelayScal: 0.1}"),
    ("no function", "Functions: [{DeadLetterConfig: {TargetArn: 'arn:aws:sqs:us-east-1:000000000000:d'}}]"),
    (
        "the same function twice",
        "Functions:\n- {FunctionName: work, Command: run}\n- {FunctionName: work, EventInvokeConfig: {MaximumRetryAttempts: 0}}\n- {FunctionName: 'arn:aws:lambda:us-east-1:000000000000:function:work', EventInvokeConfig: {MaximumRetryAttempts: 0}}",
    ),
    (
        "functions at Lambda with what only processes have",
        "Functions:\n- {FunctionName: work, EventInvokeConfig: {MaximumRetryAttempts: 0}, Aliases: [live], ReservedConcurrentExecutions: 1, Handler: app.handler, Timeout: 3}",
    ),
    (
        "functions at Lambda with names that are none",
        "Functions:\n- {FunctionName: a b, EventInvokeConfig: {MaximumRetryAttempts: 0}}\n- {FunctionName: 'work:live', EventInvokeConfig: {MaximumRetryAttempts: 0}}\n- {FunctionName: 'arn:aws:sqs:us-east-1:000000000000:q', EventInvokeConfig: {MaximumRetryAttempts: 0}}",
    ),
    (
        "a destination that is a version of a local function",
        "Functions:\n- {FunctionName: work, Command: run, Aliases: [live]}\n- FunctionName: other\n  EventInvokeConfig:\n  - DestinationConfig:\n      OnSuccess: {Destination: 'arn:aws:lambda:us-east-1:000000000000:function:work:live'}\n      OnFailure: {Destination: 'arn:aws:lambda:us-east-1:000000000000:function:work:1'}",
    ),
    (
        "a local function named by its ARN",
        "Functions:\n- {FunctionName: 'arn:aws:lambda:us-east-1:000000000000:function:work', Command: run, EventInvokeConfig: {MaximumRetryAttempts: 0}}",
    ),
];

/// Each is put below a local function `work` that has the alias `live`.
const FIELDS: &[(&str, &str)] = &[
    ("concurrency below nothing", "ReservedConcurrentExecutions: -1"),
    ("concurrency that is no number", "ReservedConcurrentExecutions: many"),
    ("SAM's dead-letter queue", "DeadLetterQueue: {Type: SQS, TargetArn: 'arn:aws:sqs:us-east-1:000000000000:d'}"),
    ("SAM's alias", "AutoPublishAlias: live"),
    ("dead letters to nobody", "DeadLetterConfig: {}"),
    ("dead letters to no value", "DeadLetterConfig:\n  TargetArn:"),
    ("dead letters to nothing", "DeadLetterConfig: {TargetArn: ''}"),
    ("dead letters to a name", "DeadLetterConfig: {TargetArn: dead}"),
    ("dead letters to a function", "DeadLetterConfig: {TargetArn: 'arn:aws:lambda:us-east-1:000000000000:function:f'}"),
    ("dead letters to a role", "DeadLetterConfig: {TargetArn: 'arn:aws:iam::000000000000:role/r'}"),
    ("dead letters to a FIFO queue", "DeadLetterConfig: {TargetArn: 'arn:aws:sqs:us-east-1:000000000000:d.fifo'}"),
    ("dead letters to a FIFO topic", "DeadLetterConfig: {TargetArn: 'arn:aws:sns:us-east-1:000000000000:d.fifo'}"),
    ("dead letters to a queue nowhere", "DeadLetterConfig: {TargetArn: 'arn:aws:sqs:us-east-1::d'}"),
    ("config of nothing", "EventInvokeConfig: {}"),
    ("config of a qualifier alone", "EventInvokeConfig: {Qualifier: live}"),
    ("no configs", "EventInvokeConfig: []"),
    ("configs of nothing", "EventInvokeConfig: [{MaximumRetryAttempts: 0}, {}, text]"),
    ("config that is a text", "EventInvokeConfig: none"),
    ("retries below none", "EventInvokeConfig: {MaximumRetryAttempts: -1}"),
    ("too many retries", "EventInvokeConfig: {MaximumRetryAttempts: 3}"),
    ("age too short", "EventInvokeConfig: {MaximumEventAgeInSeconds: 59}"),
    ("age too long in a list", "EventInvokeConfig:\n- {MaximumEventAgeInSeconds: 21601}"),
    ("config of another function", "EventInvokeConfig: {FunctionName: other, MaximumRetryAttempts: 0}"),
    ("config of no function", "EventInvokeConfig: {FunctionName: 'a b', MaximumRetryAttempts: 0}"),
    (
        "config of two qualifiers",
        "EventInvokeConfig: {FunctionName: 'work:live', Qualifier: $LATEST, MaximumRetryAttempts: 0}",
    ),
    ("qualifier that is none", "EventInvokeConfig: {Qualifier: 'a:b', MaximumRetryAttempts: 0}"),
    ("qualifier that is empty", "EventInvokeConfig: {Qualifier: '', MaximumRetryAttempts: 0}"),
    ("version of a local function", "EventInvokeConfig: {Qualifier: 1, MaximumRetryAttempts: 0}"),
    (
        "two configs of a qualifier",
        "EventInvokeConfig:\n- {MaximumRetryAttempts: 0}\n- {Qualifier: live, MaximumRetryAttempts: 0}\n- {Qualifier: $LATEST, MaximumRetryAttempts: 0}\n- {FunctionName: 'work:live', MaximumRetryAttempts: 0}",
    ),
    (
        "function as its own destination",
        "EventInvokeConfig: {DestinationConfig: {OnFailure: {Destination: 'arn:aws:lambda:us-east-1:000000000000:function:work:live'}}}",
    ),
    ("bucket on success", "EventInvokeConfig: {DestinationConfig: {OnSuccess: {Destination: 'arn:aws:s3:::bucket'}}}"),
    ("bucket for large records", "EventInvokeConfig: {DestinationConfig: {OverflowBucket: 'arn:aws:s3:::bucket'}}"),
    (
        "destinations that are none",
        "EventInvokeConfig:\n  DestinationConfig:\n    OnSuccess: {Destination: done}\n    OnFailure: {Destination: 'arn:aws:iam::000000000000:role/r'}",
    ),
    (
        "destination without a Region",
        "EventInvokeConfig: {DestinationConfig: {OnFailure: {Destination: 'arn:aws:sqs::000000000000:d'}}}",
    ),
    ("SAM's destination without an ARN", "EventInvokeConfig: {DestinationConfig: {OnSuccess: {Type: SQS}}}"),
    (
        "SAM's destination of another type",
        "EventInvokeConfig: {DestinationConfig: {OnSuccess: {Type: SNS, Destination: 'arn:aws:sqs:us-east-1:000000000000:d'}}}",
    ),
    (
        "SAM's destination of no type",
        "EventInvokeConfig: {DestinationConfig: {OnSuccess: {Type: Queue, Destination: 'arn:aws:sqs:us-east-1:000000000000:d'}}}",
    ),
    (
        "a whole resource",
        "EventInvokeConfig:\n  Type: AWS::Lambda::EventInvokeConfig\n  Properties: {MaximumRetryAttempts: 0}",
    ),
    ("fields that AWS answers with", "EventInvokeConfig: {MaximumRetryAttempts: 0, FunctionArn: a, LastModified: 1}"),
];

#[test]
fn every_bad_file_is_told_exactly_what_is_wrong() {
    let all: String = FILES.iter().map(|(name, text)| describe(name, text) + "\n").collect();
    insta::assert_snapshot!(all);
}

#[test]
fn every_bad_field_of_a_function_is_told_exactly_what_is_wrong() {
    let describe = |(name, fields): &(&str, &str)| {
        let fields: String = fields.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!("Functions:\n  - FunctionName: work\n    Command: run\n    Aliases: [live]\n{fields}");
        describe(name, &text) + "\n"
    };
    let all: String = FIELDS.iter().map(describe).collect();
    insta::assert_snapshot!(all);
}

#[test]
fn every_bad_alias_is_told_exactly_what_is_wrong() {
    let long = "a".repeat(129);
    let text = format!(
        "Functions: [{{FunctionName: work, Command: run, Aliases: [live, $LATEST, '7', a b, '', live, {long}]}}]"
    );
    insta::assert_snapshot!(describe("aliases", &text));
    let text = "Functions:\n- {FunctionName: work, Command: run, Aliases: ['7'], EventInvokeConfig: {Qualifier: '7', MaximumRetryAttempts: 0}}";
    insta::assert_snapshot!(describe("a config of an alias that is none is no second problem", text));
}
