//! Every store keeps documents.
use std::time::Duration;

use pelton_core::Documents as _;
use pelton_store::{DynamoDbStore, MemoryStore, SqliteStore};
use pelton_testkit::documents_suite::documents_suite;
use pelton_testkit::fault_proxy::{FaultProxy, Kind, Rule};

use crate::support::{LEASE, client, dynamodb, new_table};

#[tokio::test]
async fn memory() {
    documents_suite(&MemoryStore::new()).await;
}

#[tokio::test]
async fn sqlite_keeps_them_beyond_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pelton.db");
    let store = SqliteStore::open(&path).await.unwrap();
    documents_suite(&store).await;
    assert!(store.put_document("kept", "a", "text", 0).await.unwrap());
    store.close().await;
    let store = SqliteStore::open(&path).await.unwrap();
    let kept = store.document("kept", "a").await.unwrap().unwrap();
    assert_eq!((kept.revision, kept.text.as_str()), (1, "text"));
    store.close().await;
}

#[tokio::test]
async fn dynamodb_table() {
    let table = new_table();
    documents_suite(&DynamoDbStore::new(dynamodb(), table.clone(), LEASE)).await;
    dynamodb().delete_table().table_name(table).send().await.unwrap();
}

/// A write whose answer is lost is repeated by the SDK: it finds its own revision, and that is no defeat.
#[tokio::test]
async fn dynamodb_knows_its_own_writes_when_answers_are_lost() {
    let rule = Rule { operations: &["UpdateItem"], percent: 50, kinds: &[Kind::DropResponse] };
    let proxy = FaultProxy::start(&pelton_testkit::backend::dynamodb(), 3, vec![rule]).await.unwrap();
    let table = new_table();
    let store = DynamoDbStore::new(client(&proxy.endpoint), table.clone(), Duration::from_secs(5));
    for revision in 0..20 {
        assert!(store.put_document("kind", "a", &format!("text {revision}"), revision).await.unwrap(), "{revision}");
    }
    let faults: u64 = proxy.calls().values().map(|calls| calls.faults()).sum();
    assert!(faults > 3, "{faults} answers were lost");
    dynamodb().delete_table().table_name(table).send().await.unwrap();
}
