//! The seam behind which state outlives the process: which shards a mapping reads, how far it has read each, and who may
//! read it now.
//!
//! One row a shard. It holds a *checkpoint*, and a *lease*: whoever holds the lease works on the shard and is the only
//! one who may write the checkpoint. As in the Kinesis Client Library, a lease is an owner and a counter; every take
//! raises the counter, and a write of an older lease is refused (fencing). Whether a holder still lives shows by its
//! renewals: a lease that nobody renewed for a while may be taken by anybody.
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{MappingId, PartitionId, Position, SequenceNumber};

/// One stream as one mapping reads it. Checkpoints belong to a stream's incarnation, so that a stream that was deleted
/// and made again under its old name doesn't inherit them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId {
    /// The mapping.
    pub mapping: MappingId,
    /// [`crate::Listing::incarnation`].
    pub incarnation: String,
}

/// Names one running process among those that share a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerId(pub String);

impl fmt::Display for OwnerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How far a shard is settled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Everything before it is settled. [`Position::Latest`] is never stored.
    pub position: Position,
    /// When the record at `position` arrived in the stream; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived_at: Option<Timestamp>,
    /// One entry a lane, if what lanes have settled beyond `position` must be known: with more than one lane, or with
    /// tumbling windows. Their number is the `ParallelizationFactor` they were written with; beyond it stand windows that
    /// are yet to be ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<Lane>,
}

/// What one lane of a shard has settled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// The last record that the lane has settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<SequenceNumber>,
    /// Its tumbling window, while one is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<OpenWindow>,
}

/// A tumbling window that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// Its first instant; its length is the mapping's setting.
    pub start: Timestamp,
    /// What the function returned last as `state`, as JSON; `{}` at first.
    pub state: String,
}

impl OpenWindow {
    /// The state as bytes of JSON.
    pub fn state_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.state.as_bytes())
    }
}

/// A shard that a store may not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShard {
    /// Its name.
    pub partition: PartitionId,
    /// [`crate::Partition::parents`].
    pub parents: Vec<PartitionId>,
    /// Where reading begins.
    pub position: Position,
}

/// One row: what is known of a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardState {
    /// Its name.
    pub partition: PartitionId,
    /// The shards it came from.
    pub parents: Vec<PartitionId>,
    /// How far it is settled.
    pub checkpoint: Checkpoint,
    /// Who works on it; `None`: nobody.
    pub owner: Option<OwnerId>,
    /// Rises with every take.
    pub counter: u64,
    /// Rises with every renewal: seen to stand still for long enough, the lease is free to take.
    pub renewals: u64,
}

/// The right to work on a shard, until it is released or taken by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The stream.
    pub stream: StreamId,
    /// The shard.
    pub partition: PartitionId,
    /// The holder.
    pub owner: OwnerId,
    /// [`ShardState::counter`] at the take: the fencing token.
    pub counter: u64,
}

/// Why a store didn't do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The lease was taken by another, or the row is gone: whoever held it must stop at once.
    #[error("the lease of {partition} is lost: {owner} no longer holds it")]
    LeaseLost {
        /// The shard.
        partition: PartitionId,
        /// Who held it.
        owner: OwnerId,
    },
    /// The store can't be reached or is too busy: trying again can help.
    #[error("{0}")]
    Unavailable(String),
    /// The store refuses, and will go on refusing until somebody acts.
    #[error("{0}")]
    Refused(String),
}

/// Keeps state. Every call is atomic, and what it wrote is durable when it returns `Ok` (as durable as the store is).
/// Safe to call from any number of tasks; writes that come together may be grouped.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// How long a lease lasts without a renewal; `None` where no other process can reach the store, so that leases
    /// never expire and need no renewal.
    fn lease_duration(&self) -> Option<Duration>;

    /// Every known shard of a stream, in no particular order. Empty for a stream that was never read.
    async fn shards(&self, stream: &StreamId) -> Result<Vec<ShardState>, StoreError>;

    /// Adds the shards that are not known yet, all or none; known ones stay as they are.
    async fn add_shards(&self, stream: &StreamId, shards: &[NewShard]) -> Result<(), StoreError>;

    /// Takes the lease of a shard for `owner`, if its counter is still `counter`. `None`: another was faster, or the
    /// shard is gone.
    async fn take(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        owner: &OwnerId,
        counter: u64,
    ) -> Result<Option<Lease>, StoreError>;

    /// Shows that the holder lives: raises `renewals`.
    async fn renew(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Writes the checkpoint.
    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), StoreError>;

    /// Gives the lease back, so that another can take it at once. Releasing a lease that is lost is no error.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Forgets shards that nobody needs to know any more.
    async fn remove_shards(&self, stream: &StreamId, partitions: &[PartitionId]) -> Result<(), StoreError>;

    /// Puts another checkpoint in place of a shard's, for an operator. Refused ([`StoreError::Refused`], naming the
    /// owner) while somebody holds the lease, unknown shards too.
    async fn reset(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError>;

    /// The incarnations of a mapping's stream that have rows.
    async fn incarnations(&self, mapping: MappingId) -> Result<Vec<String>, StoreError>;

    /// The mappings that have rows, in no particular order.
    async fn mappings(&self) -> Result<Vec<MappingId>, StoreError>;

    /// Forgets a mapping with all it has.
    async fn forget(&self, mapping: MappingId) -> Result<(), StoreError>;

    /// Shows that a process lives and works on a mapping, whether or not it holds a lease. A heartbeat that isn't
    /// repeated within two lease durations may be forgotten.
    async fn heartbeat(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError>;

    /// Takes a heartbeat back, at shutdown.
    async fn leave(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError>;

    /// Every process with a heartbeat, and how many it has given: one whose number stands still is dead.
    async fn members(&self, mapping: MappingId) -> Result<Vec<(OwnerId, u64)>, StoreError>;
}
