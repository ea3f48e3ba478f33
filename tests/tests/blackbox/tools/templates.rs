//! Blocks of a SAM or CloudFormation template, pasted into `pelton.yaml` as they are.
use pelton_tests::{Backend, Function, Pelton, body, on_both_backends};
use serde_json::{Value, json};

use super::{lambda, reported};

/// Values stand where a template has `!GetAtt` and `!Ref`.
const TEMPLATE: &str = "\
Resources:
  WorkFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: work
      Runtime: python3.x
      Handler: app.handler
      CodeUri: CODE
      MemorySize: 256
      Timeout: 20
      ReservedConcurrentExecutions: 1
      Environment:
        Variables:
          STAGE: test
      EventInvokeConfig:
        MaximumEventAgeInSeconds: 3600
        MaximumRetryAttempts: 1
        DestinationConfig:
          OnSuccess:
            Type: SQS
            Destination: REPORTS
          OnFailure:
            Type: SQS
            Destination: REPORTS
  OtherFunction:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: other
      Runtime: python3.x
      Handler: app.handler
      Timeout: 20
      DeadLetterConfig:
        TargetArn: DEAD
  OtherConfig:
    Type: AWS::Lambda::EventInvokeConfig
    Properties:
      FunctionName: other
      MaximumRetryAttempts: 0
      Qualifier: $LATEST
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      BatchSize: 5
      Enabled: true
      EventSourceArn: QUEUE
      FilterCriteria:
        Filters:
          - Pattern: '{\"body\": {\"id\": [{\"exists\": true}]}}'
      FunctionName: FUNCTION
      FunctionResponseTypes:
        - ReportBatchItemFailures
      ScalingConfig:
        MaximumConcurrency: 2
      Tags:
        - Key: team
          Value: orders
";

/// The lines under `Properties` of a resource, without their indentation.
fn properties(resource: &str) -> Vec<&'static str> {
    let mut lines = TEMPLATE.lines().skip_while(|line| *line != format!("  {resource}:"));
    lines.find(|line| *line == "    Properties:").unwrap();
    lines.map_while(|line| line.strip_prefix("      ")).collect()
}

/// A block as an item of a list.
fn item(block: &[&str]) -> String {
    block.iter().enumerate().map(|(i, line)| format!("  {} {line}\n", if i == 0 { '-' } else { ' ' })).collect()
}

async fn blocks_of_templates_work_as_they_are(backend: Backend) {
    let (function, queue) = (Function::new(), backend.queue(30).await);
    let (reports, dead) = (backend.queue(30).await, backend.queue(30).await);
    let other = properties("OtherConfig").iter().map(|line| format!("      {line}\n")).collect::<String>();
    // What `CodeUri` is for a local process is not in a template of CloudFormation.
    let text = format!(
        "Region: us-east-1\nListen: 127.0.0.1:0\nEndpoint: {}\nAsyncInvocation: {{DelayScale: 0.01}}\nFunctions:\n{}{}    \
         CodeUri: CODE\n    EventInvokeConfig:\n{other}EventSourceMappings:\n{}",
        backend.endpoint,
        item(&properties("WorkFunction")),
        item(&properties("OtherFunction")),
        item(&properties("Mapping")),
    );
    let entry = function.entry();
    let text = text.replace("CODE", entry["CodeUri"].as_str().unwrap()).replace("REPORTS", &reports.arn);
    let text = text.replace("DEAD", &dead.arn).replace("QUEUE", &queue.arn);
    let text = text.replace("FUNCTION", &Backend::arn("lambda", "function:work"));
    let pelton = Pelton::run_text(&text).await;

    queue.send_all([json!({ "id": 1 }), json!({ "nothing": true })].map(|order| order.to_string())).await;
    queue.is_drained().await;
    let status = pelton.status(&queue);
    assert_eq!((&status["Invoked"], &status["Filtered"]), (&json!(1), &json!(1)), "{status}");
    let client = lambda(&backend, &pelton);
    let listed = client.list_event_source_mappings().function_name("work").send().await.unwrap();
    let [mapping] = listed.event_source_mappings() else { panic!("{listed:?}") };
    assert_eq!((mapping.batch_size(), mapping.scaling_config().unwrap().maximum_concurrency()), (Some(5), Some(2)));
    let shown = client.get_function().function_name("work").send().await.unwrap();
    assert_eq!(shown.configuration().unwrap().memory_size(), Some(256));
    assert_eq!(shown.concurrency().unwrap().reserved_concurrent_executions(), Some(1));
    let shown = client.get_function_configuration().function_name("other").send().await.unwrap();
    assert_eq!(shown.dead_letter_config().unwrap().target_arn(), Some(dead.arn.as_str()));
    let config = client.get_function_event_invoke_config().function_name("work").send().await.unwrap();
    assert_eq!((config.maximum_event_age_in_seconds(), config.maximum_retry_attempts()), (Some(3600), Some(1)));

    let good = pelton.invoke_later("work", &json!({ "id": 2 })).await;
    let bad = pelton.invoke_later("work", &json!({ "do": "fail" })).await;
    let mut records: Vec<Value> = reports.take(2).await.iter().map(body).collect();
    reported(&mut records, &[&good, &bad]);
    pelton.invoke_later("other", &json!({ "do": "fail" })).await;
    let letter = dead.take(1).await.remove(0);
    assert_eq!(body(&letter), json!({ "do": "fail" }));
    // One batch, one event, one with its retry, and one without.
    assert_eq!(function.is_done(5).await.len(), 5);
}

on_both_backends!(blocks_of_templates_work_as_they_are);
