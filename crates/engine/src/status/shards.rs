//! What is shown of the shards of a stream.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pelton_core::{OwnerId, PartitionId, Position};
use serde::{Deserialize, Serialize};

use crate::metrics::{Metrics, ShardMetrics};

/// One shard of a mapping's stream, seen from outside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShardStatus {
    /// The shard.
    pub shard_id: String,
    /// The process that works on it, where processes share a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The checkpoint: a sequence number, `TRIM_HORIZON`, `AT_TIMESTAMP …`, or `SHARD_END`.
    pub position: String,
    /// How far the last read was behind the newest record, in milliseconds; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis_behind_latest: Option<u64>,
    /// How old the last record of the last batch was when the function got it, in milliseconds; 0 when all is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterator_age_milliseconds: Option<u64>,
    /// Records that were read and are not settled in order yet.
    pub unsettled: u64,
    /// Invocations and reports that run now.
    pub in_flight: u64,
    /// How often the batch that is being retried was tried so far; 0 when none is.
    pub attempts: u32,
    /// Tumbling windows that are open.
    pub open_windows: u64,
}

/// All shards of one mapping.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    cells: Mutex<BTreeMap<PartitionId, Arc<Cell>>>,
}

#[derive(Debug)]
struct Cell {
    status: Mutex<ShardStatus>,
    metrics: ShardMetrics,
}

impl Cell {
    fn status(&self) -> MutexGuard<'_, ShardStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where work on one shard writes down how it goes.
#[derive(Debug, Clone)]
pub(crate) struct ShardProgress(Arc<Cell>);

impl Shards {
    fn cells(&self) -> MutexGuard<'_, BTreeMap<PartitionId, Arc<Cell>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn progress(&self, partition: &PartitionId, metrics: impl FnOnce() -> ShardMetrics) -> ShardProgress {
        let mut cells = self.cells();
        let cell = cells.entry(partition.clone()).or_insert_with(|| {
            let status = ShardStatus { shard_id: partition.0.clone(), ..ShardStatus::default() };
            Arc::new(Cell { status: Mutex::new(status), metrics: metrics() })
        });
        ShardProgress(cell.clone())
    }

    /// Keeps only some, and says which are gone.
    pub fn keep(&self, is_kept: impl Fn(&PartitionId) -> bool) -> Vec<PartitionId> {
        let mut cells = self.cells();
        let gone: Vec<PartitionId> = cells.keys().filter(|partition| !is_kept(partition)).cloned().collect();
        cells.retain(|partition, _| is_kept(partition));
        gone
    }

    pub fn list(&self) -> Vec<ShardStatus> {
        self.cells().values().map(|cell| cell.status().clone()).collect()
    }
}

impl ShardProgress {
    /// The checkpoint.
    pub fn position(&self, position: &Position) {
        self.0.status().position = position.to_string();
    }

    /// Who works on it.
    pub fn held_by(&self, owner: Option<&OwnerId>) {
        self.0.status().owner = owner.map(ToString::to_string);
    }

    /// How far the last read was behind.
    pub fn behind(&self, behind: Option<Duration>) {
        let Some(behind) = behind else { return };
        self.0.metrics.behind.set(behind.as_secs_f64());
        self.0.status().millis_behind_latest = Some(millis(behind));
    }

    /// How old a batch was when the function got it.
    pub fn age(&self, age: Duration) {
        self.0.metrics.iterator_age.set(age.as_secs_f64());
        self.0.status().iterator_age_milliseconds = Some(millis(age));
    }

    /// This process works on it no longer: what it knew of it is over.
    pub fn left(&self) {
        let mut status = self.0.status();
        let ShardStatus { shard_id, owner, position, .. } = std::mem::take(&mut *status);
        *status = ShardStatus { shard_id, owner, position, ..ShardStatus::default() };
        self.0.metrics.behind.set(0.0);
        self.0.metrics.iterator_age.set(0.0);
    }

    /// What is going on.
    pub fn work(&self, unsettled: usize, in_flight: usize, attempts: u32, open_windows: usize) {
        let mut status = self.0.status();
        status.unsettled = unsettled as u64;
        status.in_flight = in_flight as u64;
        status.attempts = attempts;
        status.open_windows = open_windows as u64;
        if unsettled == 0 && status.millis_behind_latest == Some(0) && status.iterator_age_milliseconds.is_some() {
            status.iterator_age_milliseconds = Some(0);
            self.0.metrics.iterator_age.set(0.0);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Metrics {
    /// Stops showing shards of a mapping.
    pub(crate) fn forget_shards(&self, mapping: &pelton_core::Mapping, gone: &[PartitionId]) {
        gone.iter().for_each(|partition| self.forget_shard(mapping, partition));
    }
}
