//! A supervisor on a fake stream, in paused time, on a clock that stands where that time stands.
#![allow(dead_code, clippy::unwrap_used, reason = "test support: each test file uses its own part")]
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{
    Arn, Destination, Mapping, MappingId, ShardState, StartingPosition, Store, StreamId, StreamSettings,
};
use pelton_engine::{MappingStatus, Plan, ShardStatus, Shutdown, Supervisor};
use pelton_store::MemoryStore;
use pelton_testkit::{FakeClock, FakeDestination, FakeInvoker, FakeStream};

#[allow(unused_imports, reason = "test support: each test file uses its own part")]
pub use super::gate::{Gate, Log};

pub const NOW: &str = "2026-01-01T00:00:00Z";

pub fn settings() -> StreamSettings {
    StreamSettings {
        starting_position: StartingPosition::TrimHorizon,
        parallelization_factor: 1,
        bisect_batch_on_function_error: false,
        maximum_record_age: None,
        tumbling_window: Duration::ZERO,
        poll_interval: None,
    }
}

pub fn mapping(settings: StreamSettings) -> Mapping {
    let event_source: Arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders".parse().unwrap();
    Mapping {
        id: MappingId::of("stream", "work"),
        event_source,
        batch_size: 100,
        stream: Some(settings),
        ..super::mapping()
    }
}

/// What tests of streams share.
pub struct World {
    pub clock: Arc<FakeClock>,
    pub stream: Arc<FakeStream>,
    pub store: Arc<MemoryStore>,
    pub failures: Arc<FakeDestination>,
}

impl World {
    pub fn new(shards: usize) -> Self {
        Self::with_store(shards, MemoryStore::new())
    }

    pub fn with_store(shards: usize, store: MemoryStore) -> Self {
        let clock = Arc::new(FakeClock::at(NOW.parse().unwrap()));
        Self {
            stream: Arc::new(FakeStream::new(shards, clock.clone())),
            clock,
            store: Arc::new(store),
            failures: Arc::default(),
        }
    }

    pub fn start(&self, mapping: Mapping, invoker: &Arc<FakeInvoker>) -> Run {
        self.start_on(self.store.clone(), mapping, invoker)
    }

    /// Starts with a store of its own, such as a [`Gate`] to the common one.
    pub fn start_on(&self, store: Arc<dyn Store>, mapping: Mapping, invoker: &Arc<FakeInvoker>) -> Run {
        let mut supervisor = Supervisor::new(self.clock.clone());
        supervisor.start(Plan {
            mapping,
            source: self.stream.clone(),
            invoker: invoker.clone(),
            on_success: None,
            on_failure: Some(self.failures.clone() as Arc<dyn Destination>),
            store: Some(store),
        });
        Run { supervisor }
    }

    /// The rows of the store.
    pub async fn rows(&self) -> Vec<ShardState> {
        let stream = StreamId { mapping: MappingId::of("stream", "work"), incarnation: "0".into() };
        self.store.shards(&stream).await.unwrap()
    }

    pub fn at(&self, text: &str) -> Timestamp {
        text.parse().unwrap()
    }
}

pub struct Run {
    pub supervisor: Supervisor,
}

impl Run {
    pub fn status(&self) -> MappingStatus {
        self.supervisor.status().mappings().remove(0)
    }

    /// What is shown of a shard; empty while nothing is.
    pub fn shard(&self, number: usize) -> ShardStatus {
        let name = format!("shard-{number}");
        self.status().shards.into_iter().find(|shard| shard.shard_id == name).unwrap_or_default()
    }

    /// Waits until the mapping is enabled.
    pub async fn enabled(&self) {
        super::until("enabled", async || self.status().state == "Enabled").await;
    }

    pub async fn stop(self) -> Shutdown {
        self.supervisor.shutdown(Duration::from_secs(30)).await
    }
}

/// A function that always succeeds.
pub fn succeeding() -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::scripted([]))
}

/// Puts records of different keys into a shard.
pub fn put(world: &World, shard: usize, count: usize) {
    (0..count).for_each(|number| {
        world.stream.put(shard, &format!("key-{number}"));
    });
}

/// A mapping with nothing but a batch size.
pub fn batch_size(batch_size: usize) -> Mapping {
    Mapping { batch_size, ..mapping(settings()) }
}
