//! One file, one process: the default.
mod database;
mod documents;
mod events;
mod open_error;
mod rows;
mod schema;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use pelton_core::{
    Checkpoint, Lease, MappingId, NewShard, OwnerId, PartitionId, ShardState, Store, StoreError, StreamId,
};

use database::Database;
pub use open_error::OpenError;
use rows::{Key, Place, Reset};
use worker::Worker;

use crate::refusal::{beginning, check, held, lost, unknown};

/// Keeps state in a SQLite file that this process alone has open, so that leases never expire.
///
/// What a call wrote is on disk when it returns. Calls that come together share one transaction and one flush of the
/// disk. Opening clears the leases and heartbeats of the process before this one, however it ended. What an operator does
/// meanwhile goes through [`Self::open_beside`].
#[derive(Debug)]
pub struct SqliteStore {
    /// For reads that take their time. Goes first: whoever leaves the file last tidies it, and must be able to write.
    reader: Worker,
    writer: Worker,
}

impl SqliteStore {
    /// Opens the file, or creates it in a folder that exists. Beside it stands `<path>.lock`, which keeps other
    /// processes out, and while it is open SQLite's `-wal` and `-shm`, which are parts of it.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::start(path.into(), Database::open).await
    }

    /// Opens a file that is there, for an operator, whether or not a process works with it. What a lease holds is what
    /// that process holds: leases of one that has died are cleared. Calls wait for those of that process.
    ///
    /// # Errors
    /// [`OpenError::Absent`] if there is no file; none is created. [`OpenError::InUse`] if the file is of an older
    /// version and a process works with it.
    pub async fn open_beside(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::start(path.into(), Database::open_beside).await
    }

    async fn start(path: PathBuf, open: fn(&Path) -> Result<Database, OpenError>) -> Result<Self, OpenError> {
        let writer = Worker::start(path.clone(), open).await?;
        Ok(Self { reader: Worker::start(path, Database::open_to_read).await?, writer })
    }

    /// Lets the calls that were made end, and closes the file. Later calls fail with [`StoreError::Unavailable`]. A
    /// store that is dropped does the same, and blocks its thread for the time.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn lease_duration(&self) -> Option<Duration> {
        None
    }

    async fn shards(&self, stream: &StreamId) -> Result<Vec<ShardState>, StoreError> {
        let stream = stream.clone();
        let rows = self.writer.call(move |connection| rows::shards(connection, &stream)).await?;
        rows.into_iter().map(rows::Row::decode).collect()
    }

    async fn add_shards(&self, stream: &StreamId, shards: &[NewShard]) -> Result<(), StoreError> {
        let encode = |shard: &NewShard| {
            check(&shard.position)?;
            let parents = rows::json(&shard.parents)?;
            Ok((Key::new(stream, &shard.partition), parents, Place::encode(&beginning(&shard.position))?))
        };
        let added = shards.iter().map(encode).collect::<Result<Vec<_>, StoreError>>()?;
        self.writer.call(move |connection| rows::add(connection, &added)).await
    }

    async fn take(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        owner: &OwnerId,
        counter: u64,
    ) -> Result<Option<Lease>, StoreError> {
        let (key, taker) = (Key::new(stream, partition), owner.clone());
        let taken = self.writer.call(move |connection| rows::take(connection, &key, &taker, counter)).await?;
        let (stream, partition, owner) = (stream.clone(), partition.clone(), owner.clone());
        Ok(taken.then_some(Lease { stream, partition, owner, counter: counter + 1 }))
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let held = lease.clone();
        let renewed = self.writer.call(move |connection| rows::renew(connection, &held)).await?;
        renewed.then_some(()).ok_or_else(|| lost(lease))
    }

    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        check(&checkpoint.position)?;
        let (held, place) = (lease.clone(), Place::encode(checkpoint)?);
        let written = self.writer.call(move |connection| rows::checkpoint(connection, &held, &place)).await?;
        written.then_some(()).ok_or_else(|| lost(lease))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let held = lease.clone();
        self.writer.call(move |connection| rows::release(connection, &held)).await
    }

    async fn remove_shards(&self, stream: &StreamId, partitions: &[PartitionId]) -> Result<(), StoreError> {
        let keys: Vec<_> = partitions.iter().map(|partition| Key::new(stream, partition)).collect();
        self.writer.call(move |connection| rows::remove(connection, &keys)).await
    }

    async fn reset(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        check(&checkpoint.position)?;
        let (key, place) = (Key::new(stream, partition), Place::encode(checkpoint)?);
        match self.writer.call(move |connection| rows::reset(connection, &key, &place)).await? {
            Reset::Done => Ok(()),
            Reset::Unknown => Err(unknown(stream, partition)),
            Reset::Held(owner) => Err(held(partition, &owner)),
        }
    }

    async fn incarnations(&self, mapping: MappingId) -> Result<Vec<String>, StoreError> {
        self.writer.call(move |connection| rows::incarnations(connection, mapping)).await
    }

    async fn mappings(&self) -> Result<Vec<MappingId>, StoreError> {
        rows::mapping_ids(self.writer.call(rows::mappings).await?)
    }

    async fn forget(&self, mapping: MappingId) -> Result<(), StoreError> {
        self.writer.call(move |connection| rows::forget(connection, mapping)).await
    }

    async fn heartbeat(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        let owner = owner.clone();
        self.writer.call(move |connection| rows::heartbeat(connection, mapping, &owner)).await
    }

    async fn leave(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        let owner = owner.clone();
        self.writer.call(move |connection| rows::leave(connection, mapping, &owner)).await
    }

    async fn members(&self, mapping: MappingId) -> Result<Vec<(OwnerId, u64)>, StoreError> {
        self.writer.call(move |connection| rows::members(connection, mapping)).await
    }
}
