//! Every store passes the suite.
use std::time::Duration;

use pelton_store::{DynamoDbStore, MemoryStore, SqliteStore};
use pelton_testkit::fault_proxy::{FaultProxy, Kind, Rule};
use pelton_testkit::store_suite::store_suite;

use crate::support::{LEASE, client, dynamodb, new_table};

#[tokio::test]
async fn memory_of_one_supervisor() {
    store_suite(&MemoryStore::new()).await;
}

#[tokio::test(start_paused = true)]
async fn memory_of_several_supervisors() {
    store_suite(&MemoryStore::shared(Duration::from_secs(10))).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("pelton.db")).await.unwrap();
    store_suite(&store).await;
    store.close().await;
}

#[tokio::test]
async fn dynamodb_table() {
    let table = new_table();
    store_suite(&DynamoDbStore::new(dynamodb(), table.clone(), LEASE)).await;
    dynamodb().delete_table().table_name(table).send().await.unwrap();
}

/// Calls fail, and answers of calls that were made are lost: the SDK repeats them, and the store knows its own writes.
#[tokio::test]
async fn dynamodb_table_behind_a_bad_network() {
    let kinds = &[Kind::Reset, Kind::InternalError, Kind::Unavailable, Kind::Throttle, Kind::DropResponse];
    let rule = Rule { operations: &[], percent: 20, kinds };
    let proxy = FaultProxy::start(&pelton_testkit::backend::dynamodb(), 7, vec![rule]).await.unwrap();
    let table = new_table();
    // The SDK's pauses take their time: renewals must come through.
    store_suite(&DynamoDbStore::new(client(&proxy.endpoint), table.clone(), LEASE * 3)).await;
    let faults: u64 = proxy.calls().values().map(|calls| calls.faults()).sum();
    assert!(faults > 20, "{faults} calls went wrong");
    dynamodb().delete_table().table_name(table).send().await.unwrap();
}
