//! For experiments and tests: nothing survives.
mod documents;
mod events;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pelton_core::{
    Checkpoint, Lease, MappingId, NewShard, OwnerId, PartitionId, ShardState, Store, StoreError, StreamId,
};

use crate::refusal::{beginning, check, held, lost, unknown};

/// Keeps state in this process, as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryStore {
    lease_duration: Option<Duration>,
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    shards: BTreeMap<StreamId, BTreeMap<PartitionId, ShardState>>,
    members: BTreeMap<MappingId, BTreeMap<OwnerId, u64>>,
    documents: documents::Documents,
    events: events::Events,
}

impl Rows {
    fn shard(&mut self, stream: &StreamId, partition: &PartitionId) -> Option<&mut ShardState> {
        self.shards.get_mut(stream)?.get_mut(partition)
    }

    /// The row of a shard, if the lease of it is still good.
    fn held(&mut self, lease: &Lease) -> Result<&mut ShardState, StoreError> {
        self.shard(&lease.stream, &lease.partition)
            .filter(|shard| shard.owner.as_ref() == Some(&lease.owner) && shard.counter == lease.counter)
            .ok_or_else(|| lost(lease))
    }
}

impl MemoryStore {
    /// For one supervisor: leases never expire.
    pub fn new() -> Self {
        Self::default()
    }

    /// For several supervisors in one process, as if they were replicas: a lease lasts this long without a renewal.
    pub fn shared(lease_duration: Duration) -> Self {
        Self { lease_duration: Some(lease_duration), rows: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shard's counter and renewals, if somebody holds its lease.
    fn holder(&self, stream: &StreamId, partition: &PartitionId) -> Option<(u64, u64)> {
        self.rows().shard(stream, partition).filter(|shard| shard.owner.is_some()).map(|it| (it.counter, it.renewals))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn lease_duration(&self) -> Option<Duration> {
        self.lease_duration
    }

    async fn shards(&self, stream: &StreamId) -> Result<Vec<ShardState>, StoreError> {
        Ok(self.rows().shards.get(stream).map(|shards| shards.values().cloned().collect()).unwrap_or_default())
    }

    async fn add_shards(&self, stream: &StreamId, shards: &[NewShard]) -> Result<(), StoreError> {
        shards.iter().try_for_each(|shard| check(&shard.position))?;
        if shards.is_empty() {
            return Ok(());
        }
        let mut rows = self.rows();
        let known = rows.shards.entry(stream.clone()).or_default();
        for shard in shards {
            known.entry(shard.partition.clone()).or_insert_with(|| ShardState {
                partition: shard.partition.clone(),
                parents: shard.parents.clone(),
                checkpoint: beginning(&shard.position),
                owner: None,
                counter: 0,
                renewals: 0,
            });
        }
        Ok(())
    }

    async fn take(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        owner: &OwnerId,
        counter: u64,
    ) -> Result<Option<Lease>, StoreError> {
        let mut rows = self.rows();
        let Some(shard) = rows.shard(stream, partition).filter(|shard| shard.counter == counter) else {
            return Ok(None);
        };
        shard.owner = Some(owner.clone());
        shard.counter += 1;
        let (stream, partition, owner) = (stream.clone(), partition.clone(), owner.clone());
        Ok(Some(Lease { stream, partition, owner, counter: shard.counter }))
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.rows().held(lease)?.renewals += 1;
        Ok(())
    }

    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        check(&checkpoint.position)?;
        self.rows().held(lease)?.checkpoint = checkpoint.clone();
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        if let Ok(shard) = self.rows().held(lease) {
            shard.owner = None;
        }
        Ok(())
    }

    async fn remove_shards(&self, stream: &StreamId, partitions: &[PartitionId]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        if let Some(shards) = rows.shards.get_mut(stream) {
            shards.retain(|partition, _| !partitions.contains(partition));
            if shards.is_empty() {
                rows.shards.remove(stream);
            }
        }
        Ok(())
    }

    async fn reset(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        check(&checkpoint.position)?;
        let seen = self.holder(stream, partition);
        // A holder that lives shows it within a lease's time.
        if let (Some(lease_duration), Some(_)) = (self.lease_duration, seen) {
            tokio::time::sleep(lease_duration).await;
        }
        let mut rows = self.rows();
        let shard = rows.shard(stream, partition).ok_or_else(|| unknown(stream, partition))?;
        let stands_still = self.lease_duration.is_some() && seen == Some((shard.counter, shard.renewals));
        if let Some(owner) = shard.owner.as_ref().filter(|_| !stands_still) {
            return Err(held(partition, owner));
        }
        shard.owner = None;
        // Fences a holder that was only asleep, and a take by somebody who has seen the checkpoint before this one.
        shard.counter += 1;
        shard.checkpoint = checkpoint.clone();
        Ok(())
    }

    async fn incarnations(&self, mapping: MappingId) -> Result<Vec<String>, StoreError> {
        let rows = self.rows();
        Ok(rows.shards.keys().filter(|it| it.mapping == mapping).map(|it| it.incarnation.clone()).collect())
    }

    async fn mappings(&self) -> Result<Vec<MappingId>, StoreError> {
        let mut mappings: Vec<_> = self.rows().shards.keys().map(|stream| stream.mapping).collect();
        mappings.dedup();
        Ok(mappings)
    }

    async fn forget(&self, mapping: MappingId) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.shards.retain(|stream, _| stream.mapping != mapping);
        rows.members.remove(&mapping);
        Ok(())
    }

    async fn heartbeat(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        *self.rows().members.entry(mapping).or_default().entry(owner.clone()).or_default() += 1;
        Ok(())
    }

    async fn leave(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        if let Some(members) = self.rows().members.get_mut(&mapping) {
            members.remove(owner);
        }
        Ok(())
    }

    async fn members(&self, mapping: MappingId) -> Result<Vec<(OwnerId, u64)>, StoreError> {
        let rows = self.rows();
        let members = rows.members.get(&mapping).into_iter().flatten();
        Ok(members.map(|(owner, beats)| (owner.clone(), *beats)).collect())
    }
}
