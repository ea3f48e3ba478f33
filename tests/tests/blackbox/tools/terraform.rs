//! The calls that Terraform's AWS provider makes, in its order, from `internal/service/lambda` of its public source.
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::operation::get_function_event_invoke_config::GetFunctionEventInvokeConfigOutput;
use aws_sdk_lambda::types::{
    DestinationConfig, Filter, FilterCriteria, OnFailure, OnSuccess, PackageType, ScalingConfig, State,
};
use pelton_tests::{Backend, Function, on_localstack, on_ministack};
use serde_json::{Value, json};

use super::{lambda, start, waits};

/// The calls of the AWS provider for `aws_lambda_event_source_mapping`: create, wait, read, update, wait, read, tags,
/// delete, wait.
async fn a_mapping_is_applied_changed_and_destroyed(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let pattern = Filter::builder().pattern(r#"{"body":["yes"]}"#).build();
    let created = client
        .create_event_source_mapping()
        .enabled(true)
        .function_name(Backend::arn("lambda", "function:work"))
        .event_source_arn(&queue.arn)
        .batch_size(5)
        .filter_criteria(FilterCriteria::builder().filters(pattern).build())
        .scaling_config(ScalingConfig::builder().maximum_concurrency(2).build())
        .tags("Name", "orders")
        .send()
        .await
        .unwrap();
    let id = created.uuid().unwrap();
    let enabled = ["Disabled", "Enabled"];
    let read = async |pending: &[&str]| {
        let found = waits(&client, id, pending, &enabled).await.unwrap();
        let tags = client.list_tags().resource(found.event_source_mapping_arn().unwrap()).send().await.unwrap();
        (found, tags.tags.unwrap_or_default())
    };
    let (found, tags) = read(&["Creating", "Disabling", "Enabling"]).await;
    assert_eq!((found.batch_size(), found.state()), (Some(5), Some("Enabled")));
    assert_eq!(found.function_arn(), Some(Backend::arn("lambda", "function:work").as_str()));
    assert_eq!(tags.get("Name").map(String::as_str), Some("orders"));
    // A plan without a difference reads again, and sees the same.
    assert_eq!(read(&[]).await.0.filter_criteria(), found.filter_criteria());

    let changed = client.update_event_source_mapping().uuid(id).batch_size(20).maximum_batching_window_in_seconds(1);
    let changed = changed
        .filter_criteria(FilterCriteria::builder().build())
        .scaling_config(ScalingConfig::builder().build())
        .send();
    changed.await.unwrap();
    let (found, _) = read(&["Disabling", "Enabling", "Updating"]).await;
    assert_eq!((found.batch_size(), found.filter_criteria(), found.scaling_config()), (Some(20), None, None));
    for is_enabled in [false, true] {
        client.update_event_source_mapping().uuid(id).enabled(is_enabled).send().await.unwrap();
        let (found, _) = read(&["Disabling", "Enabling", "Updating"]).await;
        assert_eq!(found.state(), Some(if is_enabled { "Enabled" } else { "Disabled" }));
    }
    let arn = found.event_source_mapping_arn().unwrap();
    client.untag_resource().resource(arn).tag_keys("Name").send().await.unwrap();
    client.tag_resource().resource(arn).tags("stage", "prod").send().await.unwrap();
    let (_, tags) = read(&[]).await;
    assert_eq!(tags, [("stage".to_owned(), "prod".to_owned())].into());

    client.delete_event_source_mapping().uuid(id).send().await.unwrap();
    assert_eq!(waits(&client, id, &["Deleting"], &[]).await.map(|found| found.uuid), None);
    let again = client.delete_event_source_mapping().uuid(id).send().await.unwrap_err();
    assert_eq!(again.code(), Some("ResourceNotFoundException"));
}

/// `resourceFunctionEventInvokeConfigRead`: `None` takes the resource out of the state.
async fn config(
    client: &Client,
    function: &str,
    qualifier: Option<&str>,
) -> Option<GetFunctionEventInvokeConfigOutput> {
    let get = client.get_function_event_invoke_config().function_name(function);
    match get.set_qualifier(qualifier.map(str::to_owned)).send().await {
        Ok(found) => Some(found),
        Err(error) => {
            assert_eq!(error.code(), Some("ResourceNotFoundException"));
            None
        }
    }
}

/// `flattenFunctionEventInvokeConfigDestinationConfig`: where both sides have none, there is no block.
fn destinations(found: &GetFunctionEventInvokeConfigOutput) -> (Option<&str>, Option<&str>) {
    let config = found.destination_config().unwrap();
    (config.on_success().and_then(|to| to.destination()), config.on_failure().and_then(|to| to.destination()))
}

/// `aws_lambda_function_event_invoke_config`: put, get; a plan; put, get; delete, and get until it isn't there. Its
/// `maximum_retry_attempts` has the default 2 and is always sent; a side without a block is not.
async fn an_event_invoke_config_is_applied_changed_and_destroyed(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let queue = Backend::arn("sqs", "reports");
    for (name, qualifier) in
        [("work".to_owned(), None), (Backend::arn("lambda", "function:work"), None), ("work".into(), Some("live"))]
    {
        let put = || {
            let put = client.put_function_event_invoke_config().function_name(&name);
            put.set_qualifier(qualifier.map(str::to_owned)).maximum_retry_attempts(2)
        };
        let failure = OnFailure::builder().destination(&queue).build();
        let to = DestinationConfig::builder().on_failure(failure.clone()).build();
        put().destination_config(to).maximum_event_age_in_seconds(60).send().await.unwrap();
        for _ in ["the end of the apply", "a plan without a difference"] {
            let found = config(&client, &name, qualifier).await.unwrap();
            assert_eq!(destinations(&found), (None, Some(queue.as_str())));
            assert_eq!((found.maximum_event_age_in_seconds(), found.maximum_retry_attempts()), (Some(60), Some(2)));
        }
        let success = OnSuccess::builder().destination(&queue).build();
        let both = DestinationConfig::builder().on_failure(failure).on_success(success).build();
        put().destination_config(both).maximum_retry_attempts(0).send().await.unwrap();
        let found = config(&client, &name, qualifier).await.unwrap();
        assert_eq!(destinations(&found), (Some(queue.as_str()), Some(queue.as_str())));
        assert_eq!((found.maximum_event_age_in_seconds(), found.maximum_retry_attempts()), (None, Some(0)));
        // The block was taken out.
        put().send().await.unwrap();
        let found = config(&client, &name, qualifier).await.unwrap();
        assert_eq!((destinations(&found), found.maximum_retry_attempts()), ((None, None), Some(2)));

        let delete = || {
            let delete = client.delete_function_event_invoke_config().function_name(&name);
            delete.set_qualifier(qualifier.map(str::to_owned)).send()
        };
        delete().await.unwrap();
        assert_eq!(config(&client, &name, qualifier).await, None);
        assert_eq!(delete().await.unwrap_err().code(), Some("ResourceNotFoundException"), "which counts as deleted");
    }
}

/// Data source `aws_lambda_function`, on a local function: its versions, page by page, of which the last is the latest; the
/// function; and for a function of a package its code signing.
async fn the_data_source_of_a_function_reads_a_local_one(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let versions = client.list_versions_by_function().function_name("work").into_paginator().page_size(50);
    let versions = versions.items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    // Nothing is published, and so the function is asked for without a qualifier.
    assert_eq!(versions.last().unwrap().version(), Some("$LATEST"));
    for qualifier in [None, Some("live".to_owned())] {
        let found = client.get_function().function_name("work").set_qualifier(qualifier.clone()).send().await.unwrap();
        assert!(found.code().is_some(), "without it there is no result");
        let shown = found.configuration().unwrap();
        let arn = Backend::arn("lambda", "function:work");
        let arn = qualifier.map_or(arn.clone(), |qualifier| format!("{arn}:{qualifier}"));
        assert_eq!((shown.function_arn(), shown.version()), (Some(arn.as_str()), Some("$LATEST")));
        assert_eq!((shown.timeout(), shown.memory_size()), (Some(20), Some(128)));
        assert_eq!((shown.handler(), shown.state()), (Some("app.handler"), Some(&State::Active)));
        assert_eq!((shown.package_type(), shown.code_size()), (Some(&PackageType::Zip), 0));
        assert!(found.tags().is_none_or(|tags| tags.is_empty()));
    }
    let signing = client.get_function_code_signing_config().function_name("work").send().await.unwrap();
    assert_eq!(signing.code_signing_config_arn(), "");
    let gone = client.get_function().function_name("missing").send().await.unwrap_err();
    assert!(gone.into_service_error().is_resource_not_found_exception());
}

/// `aws_lambda_permission`: add, and the statement in the policy; remove, and the policy until it isn't there.
async fn a_permission_is_applied_and_destroyed(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    for qualifier in [None, Some("live".to_owned())] {
        let statement = async || -> Option<Value> {
            let policy = client.get_policy().function_name("work").set_qualifier(qualifier.clone()).send().await;
            let policy = match policy {
                Ok(policy) => serde_json::from_str::<Value>(policy.policy().unwrap()).unwrap(),
                Err(error) => {
                    assert_eq!(error.code(), Some("ResourceNotFoundException"));
                    return None;
                }
            };
            policy["Statement"].as_array().unwrap().iter().find(|statement| statement["Sid"] == "FromTopic").cloned()
        };
        let topic = Backend::arn("sns", "topic");
        let add = client.add_permission().function_name("work").set_qualifier(qualifier.clone()).source_arn(&topic);
        let add = add.statement_id("FromTopic").action("lambda:InvokeFunction").principal("sns.amazonaws.com");
        add.send().await.unwrap();
        let arn = Backend::arn("lambda", "function:work");
        let expected = json!({
            "Sid": "FromTopic", "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "lambda:InvokeFunction",
            "Resource": qualifier.as_ref().map_or(arn.clone(), |qualifier| format!("{arn}:{qualifier}")),
            "Condition": { "ArnLike": { "AWS:SourceArn": topic } },
        });
        assert_eq!(statement().await, Some(expected));
        let remove = client.remove_permission().function_name("work").set_qualifier(qualifier.clone());
        remove.statement_id("FromTopic").send().await.unwrap();
        assert_eq!(statement().await, None);
    }
}

on_localstack!(a_mapping_is_applied_changed_and_destroyed, an_event_invoke_config_is_applied_changed_and_destroyed);

on_ministack!(
    a_mapping_is_applied_changed_and_destroyed,
    an_event_invoke_config_is_applied_changed_and_destroyed,
    the_data_source_of_a_function_reads_a_local_one,
    a_permission_is_applied_and_destroyed,
);
