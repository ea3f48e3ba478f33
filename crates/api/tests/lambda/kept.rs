//! What is kept, and what becomes of it when the store fails or the process starts again.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pelton_core::{Document, Documents, StoreError};
use pelton_store::{MemoryStore, SqliteStore};
use serde_json::{Value, json};

use crate::support::{Api, masked, queue, stream};

#[tokio::test]
async fn mappings_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pelton.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut api = Api::on(Ok(store.clone())).await;
    let first = api.created(queue(json!({ "BatchSize": 3, "Tags": { "team": "a" } }))).await;
    let second = api.created(stream(json!({ "Enabled": false }))).await;
    let third = api.created(queue(json!({ "FunctionName": "third" }))).await;
    api.settles(&first, "Enabled").await;
    api.update(&first, json!({ "BatchSize": 4 })).await;
    api.settles(&first, "Enabled").await;
    let before = [api.get(&first).await.json(), api.get(&second).await.json()];
    // The delete is accepted, and the process ends before it is carried out.
    api.carries_out.send_replace(false);
    assert_eq!(api.delete(&third).await.status, 202);
    api.tasks.shutdown().await;
    store.close().await;

    let api = Api::on(Ok(Arc::new(SqliteStore::open(&path).await.unwrap()))).await;
    api.settles(&first, "Enabled").await;
    assert_eq!([api.get(&first).await.json(), api.get(&second).await.json()], before);
    let arn = before[0]["EventSourceMappingArn"].as_str().unwrap();
    let tags = api.ask("GET", &format!("/2017-03-31/tags/{arn}"), Value::Null).await.json();
    assert_eq!(tags, json!({ "Tags": { "team": "a" } }));
    api.is_gone(&third).await;
    assert_eq!(api.running().len(), 2);
    let changed = api.update(&first, json!({ "BatchSize": 5 })).await;
    assert_eq!((changed.status, &changed.json()["BatchSize"]), (202, &json!(5)));
}

#[tokio::test]
async fn a_document_that_cannot_be_read_harms_no_other() {
    let store = Arc::new(MemoryStore::new());
    for (key, text) in [("nonsense", "{}"), ("ad9cff62-3f68-4a5e-8d2e-e2a4b5e8c9aa", "{\"Settings\": {}}")] {
        assert!(store.put_document("event-source-mapping", key, text, 0).await.unwrap());
    }
    let api = Api::on(Ok(store)).await;
    assert_eq!(api.list("").await, json!({ "EventSourceMappings": [] }));
    assert_eq!(api.create(queue(json!({}))).await.status, 202);
}

#[tokio::test]
async fn without_a_store_nothing_can_be_made_and_the_reason_is_said() {
    let api = Api::on(Err("the store /read-only/pelton.db can't be created".into())).await;
    assert_eq!(api.list("").await, json!({ "EventSourceMappings": [] }));
    let message = "Mappings can't be made or changed through the API: the store /read-only/pelton.db can't be created";
    let expected = (503, "serviceexception".into(), json!({ "Type": "Service", "Message": message }));
    assert_eq!(api.create(queue(json!({}))).await.error(), expected);
}

/// A store whose writes fail while it is told so.
struct Failing {
    store: MemoryStore,
    fails: AtomicBool,
}

impl Failing {
    fn answer(&self) -> Result<(), StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("database or disk is full".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Documents for Failing {
    async fn put_document(&self, kind: &str, key: &str, text: &str, replaces: u64) -> Result<bool, StoreError> {
        self.answer()?;
        self.store.put_document(kind, key, text, replaces).await
    }

    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
        self.store.document(kind, key).await
    }

    async fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        self.store.documents(kind).await
    }

    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        self.answer()?;
        self.store.delete_document(kind, key).await
    }
}

#[tokio::test]
async fn what_is_not_kept_is_not_accepted() {
    let store = Arc::new(Failing { store: MemoryStore::new(), fails: AtomicBool::new(false) });
    let api = Api::on(Ok(store.clone())).await;
    let id = api.created(queue(json!({}))).await;
    api.settles(&id, "Enabled").await;
    let before = masked(api.get(&id).await.json());
    store.fails.store(true, Ordering::SeqCst);
    let message = "The mapping could not be kept: database or disk is full";
    let expected = (503, "serviceexception".to_owned(), json!({ "Type": "Service", "Message": message }));
    assert_eq!(api.create(stream(json!({}))).await.error(), expected);
    assert_eq!(api.update(&id, json!({ "BatchSize": 1 })).await.error(), expected);
    assert_eq!(api.delete(&id).await.error(), expected);
    assert_eq!(masked(api.get(&id).await.json()), before);
    assert_eq!(api.list("").await["EventSourceMappings"].as_array().unwrap().len(), 1);
    store.fails.store(false, Ordering::SeqCst);
    assert_eq!(api.delete(&id).await.status, 202);
    api.is_gone(&id).await;
}

#[tokio::test]
async fn a_delete_that_could_not_be_finished_is_finished_by_the_next() {
    let store = Arc::new(Failing { store: MemoryStore::new(), fails: AtomicBool::new(false) });
    let api = Api::on(Ok(store.clone())).await;
    let id = api.created(queue(json!({}))).await;
    api.settles(&id, "Enabled").await;
    api.carries_out.send_replace(false);
    assert_eq!(api.delete(&id).await.status, 202);
    store.fails.store(true, Ordering::SeqCst);
    api.carries_out.send_replace(true);
    pelton_testkit::eventually("it has stopped", crate::support::LIMIT, async || api.running().is_empty()).await;
    assert_eq!(api.get(&id).await.json()["State"], "Deleting");
    store.fails.store(false, Ordering::SeqCst);
    pelton_testkit::eventually("accepted", crate::support::LIMIT, async || {
        [202, 404].contains(&api.delete(&id).await.status)
    })
    .await;
    api.is_gone(&id).await;
}

#[tokio::test]
async fn a_mapping_that_another_process_has_changed_is_read_again() {
    let store = Arc::new(MemoryStore::new());
    let one = Api::on(Ok(store.clone())).await;
    let id = one.created(queue(json!({}))).await;
    let replica = Api::on(Ok(store)).await;
    assert_eq!(replica.update(&id, json!({ "BatchSize": 8 })).await.status, 202);
    let refused = one.update(&id, json!({ "MaximumBatchingWindowInSeconds": 1 })).await;
    assert_eq!(refused.header("x-amzn-errortype"), Some("resourceinuseexception"));
    let again = one.update(&id, json!({ "MaximumBatchingWindowInSeconds": 1 })).await;
    let shown = again.json();
    assert_eq!(
        (again.status, &shown["BatchSize"], &shown["MaximumBatchingWindowInSeconds"]),
        (202, &json!(8), &json!(1))
    );
}
