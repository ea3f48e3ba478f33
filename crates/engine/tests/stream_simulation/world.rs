//! The stream, the store and the destination, each behind its line, and each with the defect of the run, if it has one.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pelton_core::{
    Checkpoint, Clock, Cursor, Destination, DestinationError, ErrorKind, ExecutionRecord, Lease, Listing, MappingId,
    NewShard, OwnerId, PartitionId, Polled, Position, Redelivery, ShardState, Source, SourceError, Store, StoreError,
    StreamId,
};
use pelton_store::MemoryStore;
use pelton_testkit::{FakeClock, FakeStream, sequence_number};

use crate::defect::Defect;
use crate::ledger::Ledger;
use crate::line::Line;
use crate::schedule::{Operation, Schedule};

/// The stream.
pub struct RemoteStream {
    pub line: Line,
    pub stream: Arc<FakeStream>,
    pub clock: Arc<FakeClock>,
    pub schedule: Schedule,
    pub defect: Option<Defect>,
}

impl RemoteStream {
    fn error(&self, kind: ErrorKind) -> SourceError {
        // A shard that isn't listed and is missing is gone: to say so when it isn't would lose what it holds.
        let unlists = |operation: &Operation| {
            matches!(operation, Operation::Split { unlists: true, .. } | Operation::Merge { unlists: true, .. })
        };
        let may_unlist = self.schedule.operations.iter().any(|(_, operation)| unlists(operation));
        let kind = if kind == ErrorKind::Missing && may_unlist { ErrorKind::Transient } else { kind };
        SourceError { message: format!("simulated: {kind:?}"), kind }
    }
}

#[async_trait]
impl Source for RemoteStream {
    fn redelivery(&self) -> Redelivery {
        self.stream.redelivery()
    }

    async fn partitions(&self) -> Result<Listing, SourceError> {
        let mut listing = self.line.call(self.stream.partitions()).await.map_err(|kind| self.error(kind))??;
        if self.defect == Some(Defect::ReadsChildrenEarly) {
            listing.partitions.iter_mut().for_each(|partition| partition.parents.clear());
        }
        Ok(listing)
    }

    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        self.line.ledger.polled(partition, self.clock.now());
        let mut moved = cursor.clone();
        if moved.token.is_some() && self.line.expires() {
            self.line.ledger.note(format_args!("the token of {partition} has expired"));
            moved.token = None;
        }
        let page = max_records.min(self.schedule.page);
        let poll = self.line.call(self.stream.poll(partition, &mut moved, page, wait)).await;
        let mut polled = poll.map_err(|kind| self.error(kind))??;
        *cursor = moved;
        match self.defect {
            Some(Defect::SkipsRecords) if polled.records.len() > 1 => drop(polled.records.remove(0)),
            Some(Defect::ReordersRecords) => polled.records.reverse(),
            Some(Defect::DeliversTwice) => polled.records.extend(polled.records.last().cloned()),
            Some(Defect::Hangs) if !polled.records.is_empty() => std::future::pending().await,
            _ => {}
        }
        Ok(polled)
    }

    fn idle_wait(&self) -> Duration {
        self.schedule.idle
    }

    fn is_pushed(&self) -> bool {
        self.defect == Some(Defect::ReadsTooOften)
    }
}

/// The store. What is in `inner` outlives every supervisor.
pub struct RemoteStore {
    pub line: Line,
    pub inner: MemoryStore,
    pub clock: Arc<FakeClock>,
    pub defect: Option<Defect>,
    pub newest: Mutex<u64>,
}

impl RemoteStore {
    async fn call<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match self.line.call(work).await {
            Ok(result) => result,
            Err(kind) => Err(StoreError::Unavailable(format!("simulated: {kind:?}"))),
        }
    }

    fn defective(&self, mut checkpoint: Checkpoint) -> Checkpoint {
        match (self.defect, &checkpoint.position) {
            (Some(Defect::MovesCheckpointTooFar), Position::After(_)) => {
                let newest = *self.newest.lock().unwrap_or_else(PoisonError::into_inner);
                checkpoint.position = Position::After(sequence_number(newest));
            }
            (Some(Defect::MovesCheckpointBack), Position::After(_)) if self.line.draw(|rng| rng.u32(..3) == 0) => {
                checkpoint.position = Position::TrimHorizon;
            }
            (Some(Defect::ForgetsWindows), _) => checkpoint.lanes.iter_mut().for_each(|lane| lane.window = None),
            (Some(Defect::ForgetsLanes), _) => checkpoint.lanes.iter_mut().for_each(|lane| {
                lane.settled = lane.settled.as_ref().map(|_| sequence_number(0));
            }),
            _ => {}
        }
        checkpoint
    }
}

#[async_trait]
impl Store for RemoteStore {
    fn lease_duration(&self) -> Option<Duration> {
        self.inner.lease_duration()
    }

    async fn shards(&self, stream: &StreamId) -> Result<Vec<ShardState>, StoreError> {
        self.call(self.inner.shards(stream)).await
    }

    async fn add_shards(&self, stream: &StreamId, shards: &[NewShard]) -> Result<(), StoreError> {
        self.call(self.inner.add_shards(stream, shards)).await
    }

    async fn take(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        owner: &OwnerId,
        counter: u64,
    ) -> Result<Option<Lease>, StoreError> {
        self.call(self.inner.take(stream, partition, owner, counter)).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.call(self.inner.renew(lease)).await
    }

    async fn checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let work = async {
            let checkpoint = self.defective(checkpoint.clone());
            self.inner.checkpoint(lease, &checkpoint).await?;
            self.line.ledger.written(&lease.partition, &checkpoint, self.clock.now());
            Ok(())
        };
        self.call(work).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.call(self.inner.release(lease)).await
    }

    async fn remove_shards(&self, stream: &StreamId, partitions: &[PartitionId]) -> Result<(), StoreError> {
        self.call(self.inner.remove_shards(stream, partitions)).await
    }

    async fn reset(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        self.call(self.inner.reset(stream, partition, checkpoint)).await
    }

    async fn incarnations(&self, mapping: MappingId) -> Result<Vec<String>, StoreError> {
        self.call(self.inner.incarnations(mapping)).await
    }

    async fn mappings(&self) -> Result<Vec<MappingId>, StoreError> {
        self.call(self.inner.mappings()).await
    }

    async fn forget(&self, mapping: MappingId) -> Result<(), StoreError> {
        self.call(self.inner.forget(mapping)).await
    }

    async fn heartbeat(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        self.call(self.inner.heartbeat(mapping, owner)).await
    }

    async fn leave(&self, mapping: MappingId, owner: &OwnerId) -> Result<(), StoreError> {
        self.call(self.inner.leave(mapping, owner)).await
    }

    async fn members(&self, mapping: MappingId) -> Result<Vec<(OwnerId, u64)>, StoreError> {
        self.call(self.inner.members(mapping)).await
    }
}

/// OnFailure.
pub struct RemoteDestination {
    pub line: Line,
    pub clock: Arc<FakeClock>,
    pub defect: Option<Defect>,
}

#[async_trait]
impl Destination for RemoteDestination {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        let accepts = self.defect != Some(Defect::LosesRecords);
        let work = async { self.line.ledger.reported(record, accepts, self.clock.now()) };
        self.line.call(work).await.map_err(|kind| DestinationError {
            destination: "simulated".into(),
            message: format!("{kind:?}"),
            kind,
        })
    }
}

/// Whether the store knows a shard.
pub async fn is_known(store: &RemoteStore, mapping: MappingId, partition: &PartitionId) -> bool {
    let stream = StreamId { mapping, incarnation: "0".into() };
    store.inner.shards(&stream).await.unwrap().iter().any(|state| state.partition == *partition)
}

/// Everything behind its line.
pub struct Remote {
    pub source: Arc<RemoteStream>,
    pub store: Arc<RemoteStore>,
    pub destination: Arc<RemoteDestination>,
}

impl Remote {
    pub fn new(
        schedule: &Schedule,
        ledger: &Arc<Ledger>,
        clock: &Arc<FakeClock>,
        stream: &Arc<FakeStream>,
        defect: Option<Defect>,
    ) -> Self {
        let source = RemoteStream {
            line: Line::new(schedule, ledger, "source", schedule.source),
            stream: stream.clone(),
            clock: clock.clone(),
            schedule: schedule.clone(),
            defect,
        };
        let store = RemoteStore {
            line: Line::new(schedule, ledger, "store", schedule.store),
            inner: MemoryStore::new(),
            clock: clock.clone(),
            defect,
            newest: Mutex::new(0),
        };
        let destination = RemoteDestination {
            line: Line::new(schedule, ledger, "destination", schedule.destination),
            clock: clock.clone(),
            defect,
        };
        Self { source: Arc::new(source), store: Arc::new(store), destination: Arc::new(destination) }
    }
}
