//! What lies between one of several supervisors and the store that they share: it can be shut, so that calls hang, and
//! fail, and everything that gets through is written down.
#![allow(dead_code, clippy::unwrap_used, reason = "test support: each test file uses its own part")]
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pelton_core::{
    Checkpoint, Lease, MappingId, NewShard, OwnerId, PartitionId, Position, ShardState, Store, StoreError, StreamId,
};
use pelton_store::MemoryStore;
use tokio::sync::watch;
use tokio::time::Instant;

/// A lease that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub at: Instant,
    pub partition: PartitionId,
    pub owner: OwnerId,
}

/// A checkpoint that was written.
#[derive(Debug, Clone)]
pub struct Written {
    pub partition: PartitionId,
    pub owner: OwnerId,
    pub counter: u64,
    pub position: Position,
}

/// What all gates of a store have let through.
#[derive(Debug, Default)]
pub struct Log {
    taken: Mutex<Vec<Taken>>,
    written: Mutex<Vec<Written>>,
}

impl Log {
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn written(&self) -> Vec<Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub struct Gate {
    store: Arc<MemoryStore>,
    log: Arc<Log>,
    is_shut: watch::Sender<bool>,
    failing_looks: Mutex<VecDeque<bool>>,
    looks: AtomicUsize,
    look_takes: Mutex<Duration>,
    opened_by_take: Mutex<Option<Arc<Gate>>>,
}

impl Gate {
    pub fn new(store: &Arc<MemoryStore>, log: &Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            store: store.clone(),
            log: log.clone(),
            is_shut: watch::Sender::new(false),
            failing_looks: Mutex::default(),
            looks: AtomicUsize::new(0),
            look_takes: Mutex::default(),
            opened_by_take: Mutex::default(),
        })
    }

    /// From now on calls hang, until it is opened.
    pub fn shut(&self) {
        self.is_shut.send_replace(true);
    }

    pub fn open(&self) {
        self.is_shut.send_replace(false);
    }

    /// Whether each of the next reads of all rows fails.
    pub fn fail_looks(&self, fails: impl IntoIterator<Item = bool>) {
        self.failing_looks.lock().unwrap_or_else(PoisonError::into_inner).extend(fails);
    }

    /// A read of all rows takes this long from now on.
    pub fn slow_looks(&self, take: Duration) {
        *self.look_takes.lock().unwrap_or_else(PoisonError::into_inner) = take;
    }

    /// How often all rows were read.
    pub fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    /// The next take opens another gate first, and lets what hangs there come through before it.
    pub fn open_at_take(&self, other: &Arc<Gate>) {
        *self.opened_by_take.lock().unwrap_or_else(PoisonError::into_inner) = Some(other.clone());
    }

    async fn pass(&self) {
        // The sender lives as long as the gate.
        self.is_shut.subscribe().wait_for(|is_shut| !is_shut).await.unwrap();
    }
}

#[async_trait]
impl Store for Gate {
    fn lease_duration(&self) -> Option<Duration> {
        self.store.lease_duration()
    }

    async fn shards(&self, stream: &StreamId) -> Result<Vec<ShardState>, StoreError> {
        self.pass().await;
        self.looks.fetch_add(1, Ordering::Relaxed);
        let takes = *self.look_takes.lock().unwrap_or_else(PoisonError::into_inner);
        tokio::time::sleep(takes).await;
        let fails = self.failing_looks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if fails == Some(true) {
            return Err(StoreError::Unavailable("on purpose".into()));
        }
        self.store.shards(stream).await
    }

    async fn add_shards(&self, stream: &StreamId, shards: &[NewShard]) -> Result<(), StoreError> {
        self.pass().await;
        self.store.add_shards(stream, shards).await
    }

    async fn take(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        owner: &OwnerId,
        counter: u64,
    ) -> Result<Option<Lease>, StoreError> {
        self.pass().await;
        let other = self.opened_by_take.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(other) = other {
            other.open();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let lease = self.store.take(stream, partition, owner, counter).await?;
        if lease.is_some() {
            let taken = Taken { at: Instant::now(), partition: partition.clone(), owner: owner.clone() };
            self.log.taken.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
        }
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.pass().await;
        self.store.renew(lease).await
    }

    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.pass().await;
        self.store.checkpoint(lease, checkpoint).await?;
        let written = Written {
            partition: lease.partition.clone(),
            owner: lease.owner.clone(),
            counter: lease.counter,
            position: checkpoint.position.clone(),
        };
        self.log.written.lock().unwrap_or_else(PoisonError::into_inner).push(written);
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.pass().await;
        self.store.release(lease).await
    }

    async fn remove_shards(&self, stream: &StreamId, partitions: &[PartitionId]) -> Result<(), StoreError> {
        self.pass().await;
        self.store.remove_shards(stream, partitions).await
    }

    async fn reset(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        self.pass().await;
        self.store.reset(stream, partition, checkpoint).await
    }

    async fn incarnations(&self, mapping: MappingId) -> Result<Vec<String>, StoreError> {
        self.pass().await;
        self.store.incarnations(mapping).await
    }

    async fn mappings(&self) -> Result<Vec<MappingId>, StoreError> {
        self.pass().await;
        self.store.mappings().await
    }

    async fn forget(&self, mapping: MappingId) -> Result<(), StoreError> {
        self.pass().await;
        self.store.forget(mapping).await
    }

    async fn heartbeat(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        self.pass().await;
        self.store.heartbeat(mapping, owner).await
    }

    async fn leave(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        self.pass().await;
        self.store.leave(mapping, owner).await
    }

    async fn members(&self, mapping: MappingId) -> Result<Vec<(OwnerId, u64)>, StoreError> {
        self.pass().await;
        self.store.members(mapping).await
    }
}
