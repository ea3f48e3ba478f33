//! Functions behind the Lambda Invoke API. MiniStack only: LocalStack needs Docker to execute functions.
use pelton_tests::{Backend, Pelton, body, on_ministack};
use serde_json::json;

const CODE: &str = "\
def handler(event, context):
    failed = []
    for record in event['Records']:
        first = record['attributes']['ApproximateReceiveCount'] == '1'
        if record['body'] == 'raise' and first:
            raise ValueError('told to fail')
        if record['body'] == 'partial' and first:
            failed.append({'itemIdentifier': record['messageId']})
    return {'batchItemFailures': failed}
";

async fn succeeds_fails_and_fails_in_part(backend: Backend) {
    let (queue, successes) = (backend.queue(2).await, backend.queue(30).await);
    let name = Backend::name("function");
    let arn = backend.create_function(&name, CODE).await;
    queue.send_all(["good", "raise", "partial"].map(str::to_owned)).await;
    let pelton = Pelton::run(json!({
        "Endpoint": backend.endpoint,
        "EventSourceMappings": [{
            "EventSourceArn": queue.arn, "FunctionName": arn, "BatchSize": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": { "OnSuccess": { "Destination": successes.arn } },
        }],
    }))
    .await;
    queue.is_drained().await;
    let mut succeeded: Vec<(String, u64)> = Vec::new();
    for record in successes.take(3).await.iter().map(body) {
        assert_eq!(record["requestContext"]["functionArn"], arn);
        assert_eq!(record["responseContext"], json!({"statusCode": 200, "executedVersion": "$LATEST"}));
        assert_eq!(record["responsePayload"], json!({"batchItemFailures": []}));
        let text = record["requestPayload"]["Records"][0]["body"].as_str().unwrap().to_owned();
        succeeded.push((text, record["requestContext"]["approximateInvokeCount"].as_u64().unwrap()));
    }
    succeeded.sort();
    assert_eq!(succeeded, [("good".into(), 1), ("partial".into(), 2), ("raise".into(), 2)]);
    let status = pelton.status(&queue);
    assert_eq!((&status["Invoked"], &status["Failed"], &status["Deleted"]), (&json!(5), &json!(2), &json!(3)));
}

/// Not the partial ARN `account:function:name`: MiniStack takes its first part for the name; AWS understands it.
async fn the_name_alone_and_a_qualifier_do_too(backend: Backend) {
    let name = Backend::name("function");
    backend.create_function(&name, CODE).await;
    let queues = [backend.queue(5).await, backend.queue(5).await, backend.queue(5).await];
    let names = [name.clone(), format!("{name}:$LATEST"), Backend::arn("lambda", &format!("function:{name}:$LATEST"))];
    let mappings: Vec<_> = queues
        .iter()
        .zip(&names)
        .map(|(queue, name)| json!({ "EventSourceArn": queue.arn, "FunctionName": name }))
        .collect();
    for queue in &queues {
        queue.send("good").await;
    }
    let _pelton = Pelton::run(json!({ "Endpoint": backend.endpoint, "EventSourceMappings": mappings })).await;
    for queue in &queues {
        queue.is_drained().await;
    }
}

async fn a_missing_function_is_a_problem_until_it_is_created(backend: Backend) {
    let queue = backend.queue(3).await;
    let name = Backend::name("later");
    queue.send("good").await;
    let mapping = json!({ "EventSourceArn": queue.arn, "FunctionName": name });
    let pelton = Pelton::run(json!({ "Endpoint": backend.endpoint, "EventSourceMappings": [mapping] })).await;
    pelton_tests::eventually("the missing function shows", || async {
        pelton.result(&queue).starts_with("PROBLEM: Function call failed:")
    })
    .await;
    assert!(pelton.result(&queue).contains("not found"), "{}", pelton.result(&queue));
    backend.create_function(&name, CODE).await;
    queue.is_drained().await;
    assert_eq!(pelton.result(&queue), "OK");
}

on_ministack!(
    succeeds_fails_and_fails_in_part,
    the_name_alone_and_a_qualifier_do_too,
    a_missing_function_is_a_problem_until_it_is_created,
);
