//! Stores keep asynchronous events, and the fake does what they do.
use pelton_store::{MemoryStore, SqliteStore};
use pelton_testkit::FakeEvents;
use pelton_testkit::event_queue_suite::event_queue_suite;

#[tokio::test]
async fn memory() {
    event_queue_suite(&MemoryStore::new()).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("pelton.db")).await.unwrap();
    event_queue_suite(&store).await;
    store.close().await;
}

#[tokio::test]
async fn fake() {
    event_queue_suite(&FakeEvents::default()).await;
}
