//! Mappings that are made through Lambda's API: they last, and changes of many at a time leave nothing behind.
use aws_sdk_lambda::{Client, error::ProvideErrorMetadata};
use futures_util::future::join_all;
use pelton_tests::{Backend, Function, Pelton, Queue, eventually, mapping, on_ministack};
use serde_json::{Value, json};

use crate::tools::{lambda, waits};

async fn start(backend: &Backend, function: &Function) -> Pelton {
    Pelton::start(backend, function, Vec::new()).await
}

async fn create(client: &Client, source: &str) -> String {
    let create = client.create_event_source_mapping().event_source_arn(source).function_name("work");
    create.send().await.unwrap().uuid.unwrap()
}

async fn what_the_api_made_survives_a_kill_and_runs_beside_the_file(backend: Backend) {
    // A poll of the killed process may still take a message: it comes back soon.
    let (made, of_the_file, deleted) = (backend.queue(2).await, backend.queue(2).await, backend.queue(2).await);
    let (function, folder) = (Function::new(), tempfile::tempdir().unwrap());
    let configuration = json!({
        "Endpoint": backend.endpoint, "Functions": [function.entry()],
        "State": { "Sqlite": { "Path": folder.path().join("pelton.db") } },
        "EventSourceMappings": [mapping(&of_the_file, &function, json!({}))],
    });
    let mut pelton = Pelton::run(configuration.clone()).await;
    let client = lambda(&backend, &pelton);
    let (id, gone) = (create(&client, &made.arn).await, create(&client, &deleted.arn).await);
    client.delete_event_source_mapping().uuid(&gone).send().await.unwrap();
    pelton.kill();

    let pelton = Pelton::run(configuration).await;
    let client = lambda(&backend, &pelton);
    waits(&client, &id, &["Creating"], &["Enabled"]).await;
    waits(&client, &gone, &["Deleting"], &[]).await;
    made.send("made").await;
    of_the_file.send("of the file").await;
    deleted.send("nobody reads this").await;
    function.is_done(2).await;
    made.is_drained().await;
    of_the_file.is_drained().await;
    eventually("nobody reads it", || async { deleted.counts().await == (1, 0) }).await;
    let listed = client.list_event_source_mappings().send().await.unwrap();
    let ids: Vec<&str> = listed.event_source_mappings().iter().filter_map(|mapping| mapping.uuid()).collect();
    let filed = pelton.status(&of_the_file)["UUID"].as_str().unwrap().to_owned();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&id.as_str()) && ids.contains(&filed.as_str()), "{ids:?}");
    let refused = client.delete_event_source_mapping().uuid(&filed).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterValueException"));
    assert!(refused.message().unwrap().contains("pelton.yaml: change it there"), "{refused:?}");
}

async fn a_reload_keeps_what_the_api_made(backend: Backend) {
    let (made, added, function) = (backend.queue(30).await, backend.queue(30).await, Function::new());
    let configuration = |mappings: Vec<Value>, timeout: u32| {
        let mut entry = function.entry();
        entry["Timeout"] = json!(timeout);
        json!({ "Endpoint": backend.endpoint, "Functions": [entry], "EventSourceMappings": mappings })
    };
    let pelton = Pelton::run(configuration(vec![], 20)).await;
    let client = lambda(&backend, &pelton);
    let id = create(&client, &made.arn).await;
    waits(&client, &id, &["Creating"], &["Enabled"]).await;
    // The function is replaced, and a mapping comes: what was made goes on with the new function.
    pelton.replace_configuration(configuration(vec![mapping(&added, &function, json!({}))], 19));
    pelton.has_reloaded(1).await;
    made.send("made").await;
    added.send("added").await;
    function.is_done(2).await;
    made.is_drained().await;
    // A file with the same mapping once more is refused as a whole.
    pelton.replace_configuration(configuration(vec![mapping(&made, &function, json!({}))], 19));
    eventually("it is refused", || async { pelton.log().contains("delete that one first") }).await;
    added.send("the file before stays in force").await;
    function.is_done(3).await;
}

async fn parallel_calls_leave_no_orphan_poller(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let queues: Vec<Queue> = join_all((0..12).map(|_| backend.queue(30))).await;
    let one = async |index: usize, queue: &Queue| {
        let id = create(&client, &queue.arn).await;
        let update = |size| client.update_event_source_mapping().uuid(&id).batch_size(size).send();
        let (first, second) = tokio::join!(update(1), update(2));
        first.unwrap();
        second.unwrap();
        if !index.is_multiple_of(3) {
            client.delete_event_source_mapping().uuid(&id).send().await.unwrap();
            waits(&client, &id, &["Deleting"], &[]).await;
            return None;
        }
        Some(id)
    };
    let kept = join_all(queues.iter().enumerate().map(|(index, queue)| one(index, queue))).await;
    let mut kept: Vec<String> = kept.into_iter().flatten().collect();
    kept.sort();
    for id in &kept {
        waits(&client, id, &["Creating", "Updating"], &["Enabled"]).await;
    }
    let status: Value = serde_json::from_str(&pelton.get("/status").1).unwrap();
    let running: Vec<&str> = status.as_array().unwrap().iter().map(|it| it["UUID"].as_str().unwrap()).collect();
    assert_eq!(running, kept);
    join_all(queues.iter().map(|queue| queue.send("one"))).await;
    function.is_done(kept.len()).await;
    for (index, queue) in queues.iter().enumerate() {
        match index % 3 {
            0 => queue.is_drained().await,
            _ => assert_eq!(queue.counts().await, (1, 0), "nobody polls the queue of a deleted mapping"),
        }
    }
    assert_eq!(function.seen().len(), kept.len());
}

async fn updates_while_batches_are_in_flight_lose_nothing(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new().with_concurrency(2));
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let id = create(&client, &queue.arn).await;
    let bodies = (0..60).map(|i| json!({ "do": "sleep", "seconds": 0.05, "i": i }).to_string());
    let mut sent: Vec<String> = bodies.collect();
    queue.send_all(sent.clone()).await;
    for size in 1..=5 {
        client.update_event_source_mapping().uuid(&id).batch_size(size).send().await.unwrap();
        function.is_invoked(size as usize).await;
    }
    queue.is_drained().await;
    let mut seen: Vec<String> = function
        .seen()
        .iter()
        .flat_map(|seen| seen.bodies().into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    sent.sort();
    seen.sort();
    assert_eq!(seen, sent, "each once: a batch in flight comes to its end before its mapping is replaced");
}

/// Checkpoints belong to the mapping: an update keeps them, a delete forgets them.
async fn checkpoints_live_as_long_as_the_mapping(backend: Backend) {
    let (function, name) = (Function::new(), Backend::name("stream"));
    let kinesis = aws_sdk_kinesis::Client::new(&backend.config);
    kinesis.create_stream().stream_name(&name).shard_count(1).send().await.unwrap();
    let arn = Backend::arn("kinesis", &format!("stream/{name}"));
    eventually("the stream is active", || async {
        let found = kinesis.describe_stream_summary().stream_name(&name).send().await.unwrap();
        found.stream_description_summary().unwrap().stream_status().as_str() == "ACTIVE"
    })
    .await;
    let put = async |data: &str| {
        let blob = aws_sdk_kinesis::primitives::Blob::new(data);
        kinesis.put_record().stream_name(&name).partition_key("k").data(blob).send().await.unwrap();
    };
    let sequence = |seen: &[pelton_tests::Seen]| -> Vec<String> {
        let records = seen.iter().flat_map(|seen| seen.records().to_vec());
        records.map(|record| record["kinesis"]["sequenceNumber"].as_str().unwrap().to_owned()).collect()
    };
    let pelton = start(&backend, &function).await;
    let client = lambda(&backend, &pelton);
    let create = async || {
        let create = client.create_event_source_mapping().event_source_arn(&arn).function_name("work").batch_size(1);
        let created = create.starting_position(aws_sdk_lambda::types::EventSourcePosition::TrimHorizon).send().await;
        created.unwrap().uuid.unwrap()
    };
    put("{}").await;
    put("{}").await;
    let id = create().await;
    let before = sequence(&function.is_done(2).await);
    client.update_event_source_mapping().uuid(&id).maximum_retry_attempts(2).send().await.unwrap();
    waits(&client, &id, &["Updating"], &["Enabled"]).await;
    put("{}").await;
    let all = sequence(&function.is_done(3).await);
    assert_eq!((&all[..2], all.len()), (&before[..], 3), "the first two don't come again");
    client.delete_event_source_mapping().uuid(&id).send().await.unwrap();
    waits(&client, &id, &["Deleting"], &[]).await;
    create().await;
    let again = sequence(&function.is_done(6).await);
    assert_eq!(again[3..], all[..], "a new mapping begins at its StartingPosition");
}

on_ministack!(
    what_the_api_made_survives_a_kill_and_runs_beside_the_file,
    a_reload_keeps_what_the_api_made,
    parallel_calls_leave_no_orphan_poller,
    updates_while_batches_are_in_flight_lose_nothing,
    checkpoints_live_as_long_as_the_mapping,
);
