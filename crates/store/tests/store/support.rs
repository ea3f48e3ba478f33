//! Stores, shards and tables of a test's own.
use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use pelton_core::{
    Checkpoint, Lane, Lease, NewShard, OpenWindow, OwnerId, PartitionId, Position, Store, StoreError, StreamId,
};
use pelton_testkit::store_suite::new_mapping;

/// Short, as tests wait for it.
pub const LEASE: Duration = Duration::from_millis(1_500);

pub fn client(endpoint: &str) -> Client {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::standard().with_max_attempts(12).with_initial_backoff(Duration::from_millis(5)))
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

pub fn dynamodb() -> Client {
    client(&pelton_testkit::backend::dynamodb())
}

/// A name that no table has.
pub fn new_table() -> String {
    format!("pelton-{:032x}", fastrand::u128(..))
}

pub fn new_stream() -> StreamId {
    StreamId { mapping: new_mapping(), incarnation: "2026-01-01T00:00:00Z".into() }
}

pub fn partition(name: &str) -> PartitionId {
    PartitionId(name.into())
}

pub fn shard(name: &str, position: Position) -> NewShard {
    NewShard { partition: partition(name), parents: vec![partition("parent")], position }
}

pub fn after(number: u64) -> Checkpoint {
    Checkpoint { position: Position::After(number.to_string().parse().unwrap()), ..Checkpoint::default() }
}

/// A checkpoint whose lanes have windows with states of this many bytes.
pub fn with_windows(number: u64, lanes: usize, bytes: usize) -> Checkpoint {
    let state = format!("\"{}\"", number.to_string().repeat(bytes / number.to_string().len()));
    let window = Some(OpenWindow { start: jiff::Timestamp::UNIX_EPOCH, state });
    Checkpoint { lanes: vec![Lane { settled: None, window }; lanes], ..after(number) }
}

pub async fn add(store: &dyn Store, stream: &StreamId, names: &[&str]) {
    let shards: Vec<_> = names.iter().map(|name| shard(name, Position::TrimHorizon)).collect();
    store.add_shards(stream, &shards).await.unwrap();
}

pub async fn checkpoints(store: &dyn Store, stream: &StreamId) -> BTreeMap<String, Checkpoint> {
    let shards = store.shards(stream).await.unwrap();
    shards.into_iter().map(|shard| (shard.partition.0, shard.checkpoint)).collect()
}

pub async fn take(store: &dyn Store, stream: &StreamId, name: &str, owner: &str) -> Lease {
    let shards = store.shards(stream).await.unwrap();
    let counter = shards.iter().find(|shard| shard.partition.0 == name).unwrap().counter;
    store.take(stream, &partition(name), &OwnerId(owner.into()), counter).await.unwrap().unwrap()
}

pub fn lost(lease: &Lease) -> Result<(), StoreError> {
    Err(StoreError::LeaseLost { partition: lease.partition.clone(), owner: lease.owner.clone() })
}
