//! The AWS SDK for Rust, with its paginators and waiters.
use std::time::Duration;

use aws_sdk_lambda::client::Waiters as _;
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{DestinationConfig, InvocationType, LogType, OnFailure, OnSuccess};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pelton_tests::{Backend, Function, body, on_ministack};
use serde_json::{Value, json};

use super::{lambda, reported, start, waits};

const PATIENCE: Duration = Duration::from_secs(30);

fn payload(answer: &InvokeOutput) -> Value {
    serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap()
}

async fn mappings_are_made_changed_and_deleted(backend: Backend) {
    let (queue, other, function) = (backend.queue(30).await, backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let mut ids = Vec::new();
    for source in [&queue, &other] {
        let create = client.create_event_source_mapping().event_source_arn(&source.arn).function_name("work");
        let created = create.tags("team", "a").tags("stage", "dev").send().await.unwrap();
        assert_eq!((created.state(), created.batch_size()), (Some("Creating"), Some(10)));
        assert!(created.request_id().is_some() && created.last_modified().unwrap().secs() > 1_700_000_000);
        ids.push(created.uuid.unwrap());
    }
    for id in &ids {
        waits(&client, id, &["Creating"], &["Enabled"]).await;
    }
    let mut pages = client.list_event_source_mappings().function_name("work").into_paginator().page_size(1).send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(page.event_source_mappings().len(), 1);
        listed.push(page.event_source_mappings()[0].uuid().unwrap().to_owned());
    }
    listed.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(listed, sorted);
    let update = client.update_event_source_mapping().uuid(&ids[0]).batch_size(2).send().await.unwrap();
    assert_eq!((update.state(), update.batch_size()), (Some("Updating"), Some(2)));
    let found = waits(&client, &ids[0], &["Updating"], &["Enabled"]).await.unwrap();
    let arn = found.event_source_mapping_arn().unwrap();
    client.tag_resource().resource(arn).tags("stage", "prod").send().await.unwrap();
    client.untag_resource().resource(arn).tag_keys("team").send().await.unwrap();
    let tags = client.list_tags().resource(arn).send().await.unwrap();
    assert_eq!(tags.tags.unwrap(), [("stage".to_owned(), "prod".to_owned())].into());
    client.delete_event_source_mapping().uuid(&ids[1]).send().await.unwrap();
    waits(&client, &ids[1], &["Deleting"], &[]).await;
    queue.send("of the one that was kept").await;
    other.send("nobody reads this").await;
    function.is_done(1).await;
    queue.is_drained().await;
    assert_eq!(other.counts().await, (1, 0));
}

async fn waiters_are_content_with_local_functions(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    client.wait_until_function_exists().function_name("work").wait(PATIENCE).await.unwrap();
    client.wait_until_function_active().function_name("work").wait(PATIENCE).await.unwrap();
    client.wait_until_function_active_v2().function_name("work:live").wait(PATIENCE).await.unwrap();
    client.wait_until_function_updated().function_name("work").wait(PATIENCE).await.unwrap();
    client.wait_until_function_updated_v2().function_name("work").wait(PATIENCE).await.unwrap();
    let missing = client.wait_until_function_active_v2().function_name("missing").wait(PATIENCE).await;
    let error = missing.expect_err("nothing to wait for");
    assert!(format!("{error:?}").contains("ResourceNotFoundException"), "{error:?}");

    let mut functions = client.list_functions().into_paginator().items().send();
    let first = functions.next().await.unwrap().unwrap();
    assert_eq!((first.function_name(), first.timeout()), (Some("work"), Some(20)));
    let permission = client.add_permission().function_name("work").statement_id("sns").principal("sns.amazonaws.com");
    permission.action("lambda:InvokeFunction").send().await.unwrap();
    let policy = client.get_policy().function_name("work").send().await.unwrap();
    assert!(policy.policy().unwrap().contains(r#""Principal":{"Service":"sns.amazonaws.com"}"#), "{policy:?}");
    client.remove_permission().function_name("work").statement_id("sns").send().await.unwrap();
    let gone = client.get_policy().function_name("work").send().await.unwrap_err();
    assert!(gone.into_service_error().is_resource_not_found_exception());
}

async fn functions_are_invoked_in_all_types_and_told_whom_to_report_to(backend: Backend) {
    let (function, reports) = (Function::new(), backend.queue(30).await);
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let invoke = |order: Value| client.invoke().function_name("work").payload(Blob::new(order.to_string()));
    let good = invoke(json!({ "id": 1 })).log_type(LogType::Tail).send().await.unwrap();
    assert_eq!((good.status_code(), good.executed_version(), good.function_error()), (200, Some("$LATEST"), None));
    assert_eq!(payload(&good), json!({ "did": { "id": 1 } }));
    let log = String::from_utf8(STANDARD.decode(good.log_result().unwrap()).unwrap()).unwrap();
    assert!(log.starts_with(&format!("START RequestId: {} ", good.request_id().unwrap())), "{log}");
    let bad = invoke(json!({ "do": "fail" })).qualifier("live").send().await.unwrap();
    assert_eq!((bad.status_code(), bad.function_error()), (200, Some("Unhandled")));
    assert_eq!(payload(&bad)["errorMessage"], "told to fail");
    let dry = invoke(json!({})).invocation_type(InvocationType::DryRun).send().await.unwrap();
    assert_eq!(dry.status_code(), 204);
    let missing = client.invoke().function_name("missing").invocation_type(InvocationType::Event).send().await;
    let error = missing.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");

    let to = DestinationConfig::builder()
        .on_success(OnSuccess::builder().destination(&reports.arn).build())
        .on_failure(OnFailure::builder().destination(&reports.arn).build())
        .build();
    let put = client.put_function_event_invoke_config().function_name("work").destination_config(to.clone());
    put.maximum_retry_attempts(2).send().await.unwrap();
    let live = client.put_function_event_invoke_config().function_name("work").qualifier("live");
    live.maximum_event_age_in_seconds(60).send().await.unwrap();
    let update = client.update_function_event_invoke_config().function_name("work").maximum_retry_attempts(1);
    update.send().await.unwrap();
    let found = client.get_function_event_invoke_config().function_name("work").send().await.unwrap();
    assert_eq!((found.maximum_retry_attempts(), found.destination_config()), (Some(1), Some(&to)));
    let pages = client.list_function_event_invoke_configs().function_name("work").into_paginator().page_size(1);
    let listed = pages.items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let ages: Vec<_> = listed.iter().map(|config| config.maximum_event_age_in_seconds()).collect();
    assert_eq!(ages, [None, Some(60)]);
    let delete = || client.delete_function_event_invoke_config().function_name("work").qualifier("live").send();
    delete().await.unwrap();
    assert_eq!(delete().await.unwrap_err().code(), Some("ResourceNotFoundException"));

    let mut ids = Vec::new();
    for order in [json!({ "id": 2 }), json!({ "do": "fail" })] {
        let accepted = invoke(order).invocation_type(InvocationType::Event).send().await.unwrap();
        assert_eq!((accepted.status_code(), accepted.executed_version()), (202, None));
        ids.push(accepted.request_id().unwrap().to_owned());
    }
    let mut records: Vec<Value> = reports.take(2).await.iter().map(body).collect();
    reported(&mut records, &[&ids[0], &ids[1]]);
    // Two that were waited for, one that went well, and one with its retry.
    assert_eq!(function.is_done(5).await.len(), 5);
}

on_ministack!(
    mappings_are_made_changed_and_deleted,
    waiters_are_content_with_local_functions,
    functions_are_invoked_in_all_types_and_told_whom_to_report_to,
);
