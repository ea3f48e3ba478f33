//! A table that several replicas share.
//!
//! | Scope | Row | what it is |
//! |---|---|---|
//! | `store` | `version` | the version of all this |
//! | `streams` | `<mapping>/<incarnation>` | which additions of shards are complete: see [`listing`] |
//! | `<mapping>/<incarnation>` | `shard/<shard>` | a shard: checkpoint and lease |
//! | `<mapping>/<incarnation>` | `lanes/<length of the name>/<shard>/<version>/<number>` | lanes too large for the shard's row: see [`lanes`] |
//! | `members/<mapping>` | `member/<owner>` | heartbeats |
//! | `documents/<kind>` | `document/<key>` | texts: see [`documents`] |
//!
//! A write whose answer is lost is repeated by the SDK, and then finds what it has itself written. So each write either
//! does the same again (checkpoint, release, remove), may count twice (renewals and heartbeats only have to rise), or
//! leaves a mark by which it knows itself (take, reset).
mod call;
mod documents;
mod key;
mod lanes;
mod lease;
mod listing;
mod row;
mod table;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use pelton_core::{
    Checkpoint, Lease, MappingId, NewShard, OwnerId, PartitionId, ShardState, Store, StoreError, StreamId,
};
use table::Table;

use crate::refusal::check;

/// Keeps state in a DynamoDB table, which is created when it isn't there (on demand capacity, keys `Scope` and `Row`).
///
/// Any number of processes use it at once. None of their clocks matter: whether a holder lives is judged by whether its
/// renewals go on while somebody watches. For that reason the heartbeats of a process that was killed stay until
/// somebody calls `leave` in its place: their number stands still.
///
/// It needs `DescribeTable`, `CreateTable` (once), `GetItem`, `Query`, `PutItem`, `UpdateItem`, `DeleteItem`
/// and `BatchWriteItem`. Throttling, failures of the service and of the network are
/// [`StoreError::Unavailable`]; missing permissions and the like are [`StoreError::Refused`].
#[derive(Debug)]
pub struct DynamoDbStore {
    table: Table,
    lease_duration: Duration,
    /// Numbers this process's checkpoints, so that one that arrives late can't replace its successor.
    serial: AtomicU64,
}

impl DynamoDbStore {
    /// Makes no call yet: the table is looked for, and created if need be, with the first one.
    pub fn new(client: Client, table: String, lease_duration: Duration) -> Self {
        Self { table: Table::new(client, table), lease_duration, serial: AtomicU64::new(1) }
    }
}

#[async_trait]
impl Store for DynamoDbStore {
    fn lease_duration(&self) -> Option<Duration> {
        Some(self.lease_duration)
    }

    async fn shards(&self, stream: &StreamId) -> Result<Vec<ShardState>, StoreError> {
        self.table.ready().await?;
        self.list(stream).await
    }

    async fn add_shards(&self, stream: &StreamId, shards: &[NewShard]) -> Result<(), StoreError> {
        shards.iter().try_for_each(|shard| check(&shard.position))?;
        self.table.ready().await?;
        self.add(stream, shards).await
    }

    async fn take(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        owner: &OwnerId,
        counter: u64,
    ) -> Result<Option<Lease>, StoreError> {
        self.table.ready().await?;
        self.take_lease(stream, partition, owner, counter).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.table.ready().await?;
        self.renew_lease(lease).await
    }

    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        check(&checkpoint.position)?;
        self.table.ready().await?;
        self.write_checkpoint(lease, checkpoint).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.table.ready().await?;
        self.release_lease(lease).await
    }

    /// One shard after another: a failure in between leaves some of them, and the call can be repeated.
    async fn remove_shards(&self, stream: &StreamId, partitions: &[PartitionId]) -> Result<(), StoreError> {
        self.table.ready().await?;
        self.remove(stream, partitions).await
    }

    /// Where a lease is held, this watches it for a lease duration before it refuses or goes on.
    async fn reset(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        check(&checkpoint.position)?;
        self.table.ready().await?;
        self.replace_checkpoint(stream, partition, checkpoint).await
    }

    async fn incarnations(&self, mapping: MappingId) -> Result<Vec<String>, StoreError> {
        self.table.ready().await?;
        Ok(self
            .streams(Some(mapping))
            .await?
            .into_iter()
            .filter(|it| it.committed > 0)
            .map(|it| it.incarnation)
            .collect())
    }

    /// Names a mapping also while adding its first shards, or forgetting it, has stopped half way: forgetting it (again)
    /// removes what is left.
    async fn mappings(&self) -> Result<Vec<MappingId>, StoreError> {
        self.table.ready().await?;
        let mut mappings: Vec<_> = self.streams(None).await?.into_iter().map(|it| it.mapping).collect();
        mappings.sort_unstable();
        mappings.dedup();
        Ok(mappings)
    }

    /// One incarnation after another, each at once: a failure in between leaves the others, and the call can be repeated.
    async fn forget(&self, mapping: MappingId) -> Result<(), StoreError> {
        self.table.ready().await?;
        for stream in self.streams(Some(mapping)).await? {
            self.forget_stream(&stream).await?;
        }
        self.table.delete_all(self.table.keys(&key::members(mapping), "").await?).await
    }

    async fn heartbeat(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        self.table.ready().await?;
        let member = key::member(mapping, owner);
        let one = vec![(":one", AttributeValue::N("1".into()))];
        self.table.update(member, "ADD #Beats :one", None, one, ReturnValue::None).await?.unless_busy(&self.table)?;
        Ok(())
    }

    async fn leave(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        self.table.ready().await?;
        self.table.delete(key::member(mapping, owner)).await
    }

    async fn members(&self, mapping: MappingId) -> Result<Vec<(OwnerId, u64)>, StoreError> {
        self.table.ready().await?;
        let rows = self.table.query(&key::members(mapping), key::MEMBER).await?;
        rows.iter().map(|row| Ok((OwnerId(row.name(key::MEMBER)?.to_owned()), row.number("Beats")?))).collect()
    }
}
