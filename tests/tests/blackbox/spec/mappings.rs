//! Mappings of queues: sections 1 and 2.
use pelton_tests::{Backend, Function, on_ministack};
use serde_json::{Value, json};

use super::{MAPPINGS, Transcript, start};

async fn a_queues_mapping_from_create_to_delete(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    let made = transcript.create(json!({ "EventSourceArn": queue.arn, "FunctionName": "work" })).await;
    let path = Transcript::path(&made);
    transcript.settles(&path, "Enabled").await;
    transcript.ask("PUT", &path, r#"{"BatchSize":5}"#).await;
    transcript.settles(&path, "Enabled").await;
    transcript.ask("PUT", &path, r#"{"Enabled":false}"#).await;
    transcript.settles(&path, "Disabled").await;
    transcript.ask("PUT", &path, r#"{"Enabled":true}"#).await;
    transcript.settles(&path, "Enabled").await;
    transcript.ask("GET", &format!("{MAPPINGS}?EventSourceArn={}", queue.arn), "").await;
    transcript.ask("DELETE", &path, "").await;
    transcript.is_gone(&path).await;
    insta::assert_snapshot!(transcript.text);
}

async fn a_mapping_made_disabled_stays_so(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    let mapping = json!({ "EventSourceArn": queue.arn, "FunctionName": "work", "Enabled": false });
    // The older SDKs' path.
    let made = transcript.ask("POST", &format!("{MAPPINGS}/"), mapping.to_string()).await;
    transcript.ask("GET", &format!("{}/", Transcript::path(&made)), "").await;
    queue.send("nobody reads this").await;
    transcript.ask("DELETE", &Transcript::path(&made), "").await;
    transcript.is_gone(&Transcript::path(&made)).await;
    assert_eq!(queue.counts().await, (1, 0));
    insta::assert_snapshot!(transcript.text);
}

async fn what_is_supplied_is_shown(backend: Backend) {
    let (queue, other, function) = (backend.queue(30).await, backend.queue(30).await, Function::new());
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    transcript.name(&other.arn, "other queue");
    let made = transcript
        .create(json!({
            "EventSourceArn": queue.arn, "FunctionName": "work", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 1,
            "FilterCriteria": { "Filters": [{ "Pattern": "{\"body\": {\"kind\":  [\"order\"]}}" }] },
            "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": { "MaximumConcurrency": 2 },
        }))
        .await;
    let path = Transcript::path(&made);
    transcript.settles(&path, "Enabled").await;
    // Another pattern replaces it, also for what comes next.
    let filters = json!({ "FilterCriteria": { "Filters": [{ "Pattern": "{\"body\": {\"kind\": [\"invoice\"]}}" }] } });
    transcript.ask("PUT", &path, filters.to_string()).await;
    transcript.settles(&path, "Enabled").await;
    queue.send_all(["order", "invoice"].map(|kind| json!({ "kind": kind }).to_string())).await;
    queue.is_drained().await;
    let seen = function.is_done(1).await;
    assert_eq!((seen.len(), seen[0].bodies()), (1, vec![r#"{"kind":"invoice"}"#]));
    let none = json!({ "EventSourceArn": other.arn, "FunctionName": "work", "FilterCriteria": { "Filters": [] } });
    transcript.create(none).await;
    insta::assert_snapshot!(transcript.text);
}

/// Section 2.3, with a function that has a version and an alias.
async fn a_function_stays_as_qualified_as_it_was_named(backend: Backend) {
    let (name, function) = (Backend::name("function"), Function::new());
    let arn = backend.create_function(&name, "def handler(event, context):\n    pass\n").await;
    let pelton = start(&backend, &function).await;
    let version = format!("/2015-03-31/functions/{name}/versions");
    assert_eq!(pelton.request("POST", &version, &[], "{}").await.status, 201, "passed on");
    let alias = json!({ "Name": "myalias", "FunctionVersion": "1" }).to_string();
    let aliases = format!("/2015-03-31/functions/{name}/aliases");
    assert_eq!(pelton.request("POST", &aliases, &[], alias).await.status, 201, "passed on");
    let mut transcript = Transcript::of(&pelton);
    let queues = futures_util::future::join_all((0..7).map(|_| backend.queue(30))).await;
    for queue in &queues {
        transcript.name(&queue.arn, "queue");
    }
    transcript.name(&name, "function");
    let forms = [
        name.clone(),
        format!("{name}:$LATEST"),
        format!("{name}:1"),
        format!("{name}:myalias"),
        arn.clone(),
        format!("{arn}:1"),
        format!("{arn}:myalias"),
    ];
    for (form, queue) in forms.iter().zip(&queues) {
        let mapping = json!({ "EventSourceArn": queue.arn, "FunctionName": form, "Enabled": false });
        transcript.create(mapping).await;
    }
    insta::assert_snapshot!(transcript.text);
}

/// Section 2.2: after an update of the function, only the new one is invoked.
async fn another_function_gets_what_comes_after_the_update(backend: Backend) {
    let (queue, function, other) = (backend.queue(30).await, Function::new(), Function::named("other"));
    let entries = json!([function.entry(), other.entry()]);
    let configuration = json!({ "Endpoint": backend.endpoint, "Functions": entries });
    let pelton = pelton_tests::Pelton::run(configuration).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    let made = transcript.create(json!({ "EventSourceArn": queue.arn, "FunctionName": "work" })).await;
    let path = Transcript::path(&made);
    transcript.settles(&path, "Enabled").await;
    queue.send("first").await;
    queue.is_drained().await;
    transcript.ask("PUT", &path, r#"{"FunctionName":"other"}"#).await;
    transcript.settles(&path, "Enabled").await;
    queue.send("second").await;
    queue.is_drained().await;
    assert_eq!((function.seen().len(), function.seen()[0].bodies()), (1, vec!["first"]));
    assert_eq!((other.seen().len(), other.seen()[0].bodies()), (1, vec!["second"]));
    insta::assert_snapshot!(transcript.text);
}

async fn a_deleted_function_leaves_its_mapping(backend: Backend) {
    let (queue, function, name) = (backend.queue(30).await, Function::new(), Backend::name("function"));
    backend.create_function(&name, "def handler(event, context):\n    pass\n").await;
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    transcript.name(&name, "function");
    let made = transcript.create(json!({ "EventSourceArn": queue.arn, "FunctionName": name })).await;
    let path = Transcript::path(&made);
    transcript.settles(&path, "Enabled").await;
    let deleted = pelton.request("DELETE", &format!("/2015-03-31/functions/{name}"), &[], "").await;
    assert_eq!(deleted.status, 204, "passed on: {deleted:?}");
    transcript.ask("GET", &path, "").await;
    transcript.ask("DELETE", &path, "").await;
    transcript.is_gone(&path).await;
    insta::assert_snapshot!(transcript.text);
}

/// Sections 2.4 and 2.5.
async fn duplicates_are_refused_and_lists_need_nothing_that_exists(backend: Backend) {
    let (queue, function, other) = (backend.queue(30).await, Function::new(), Function::named("other"));
    let entries = json!([function.entry(), other.entry()]);
    let configuration = json!({ "Endpoint": backend.endpoint, "Functions": entries });
    let pelton = pelton_tests::Pelton::run(configuration).await;
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&queue.arn, "queue");
    let mapping = |function: &str| json!({ "EventSourceArn": queue.arn, "FunctionName": function, "Enabled": false });
    transcript.create(mapping("work")).await;
    transcript.create(mapping("work")).await;
    transcript.create(mapping("other")).await;
    transcript.ask("GET", &format!("{MAPPINGS}?FunctionName=nobody"), "").await;
    transcript.ask("GET", &format!("{MAPPINGS}/?EventSourceArn={}", Backend::arn("sqs", "nothing")), "").await;
    let page = transcript.ask("GET", &format!("{MAPPINGS}?MaxItems=1"), "").await.json();
    let marker = page["NextMarker"].as_str().unwrap().to_owned();
    transcript.name(&marker, "marker");
    let rest = pelton.request("GET", &format!("{MAPPINGS}?MaxItems=1&Marker={marker}"), &[], "").await.json();
    let ids = |page: &Value| page["EventSourceMappings"][0]["UUID"].as_str().unwrap().to_owned();
    assert_ne!(ids(&page), ids(&rest));
    assert!(rest["NextMarker"].is_null() || rest.get("NextMarker").is_none(), "{rest}");
    // Which of both comes first is chance.
    let text = transcript.masked(&transcript.text);
    let kept: Vec<&str> = text.split("\n\n").take(5).collect();
    insta::assert_snapshot!(kept.join("\n\n"));
}

on_ministack!(
    a_queues_mapping_from_create_to_delete,
    a_mapping_made_disabled_stays_so,
    what_is_supplied_is_shown,
    a_function_stays_as_qualified_as_it_was_named,
    another_function_gets_what_comes_after_the_update,
    a_deleted_function_leaves_its_mapping,
    duplicates_are_refused_and_lists_need_nothing_that_exists,
);
