//! What a mapping is doing now, for `pelton status`, `/status` and `/readyz`.
mod functions;
mod shards;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pelton_core::{Clock, DestinationError, FunctionName, Mapping, MappingId, PartitionId};
use serde::{Deserialize, Serialize};

use crate::metrics::{MappingMetrics, Metrics};
use crate::report::Ledger;
pub(crate) use crate::status::functions::EventWatch;
pub use crate::status::functions::FunctionStatus;
use crate::status::functions::Functions;
pub(crate) use crate::status::shards::ShardProgress;
pub use crate::status::shards::ShardStatus;
use crate::status::shards::Shards;

/// One mapping, seen from outside. Counts are since the start of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MappingStatus {
    /// The mapping's id.
    #[serde(rename = "UUID")]
    pub uuid: String,
    /// The source.
    pub event_source_arn: String,
    /// The function, as qualified as configured.
    pub function_arn: String,
    /// `Tags`, as configured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// AWS's words: `Creating`, `Enabled`, `Disabling`, `Disabled`.
    pub state: String,
    /// AWS's words: `No records processed`, `OK`, or `PROBLEM: …`.
    pub last_processing_result: String,
    /// The last thing that went wrong, also when it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// Records that wait in the source, roughly; absent while unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u64>,
    /// Invocations that run now.
    pub in_flight: u64,
    /// Pollers that run now.
    pub pollers: u64,
    /// Records received.
    pub polled: u64,
    /// Records that the filter criteria kept from the function.
    #[serde(default)]
    pub filtered: u64,
    /// Records sent to the function.
    pub invoked: u64,
    /// Records whose invocation failed.
    pub failed: u64,
    /// Records given up.
    pub dropped: u64,
    /// Messages deleted.
    pub deleted: u64,
    /// Execution records accepted by the OnSuccess destination.
    pub reported_successes: u64,
    /// Execution records accepted by the OnFailure destination.
    pub reported_failures: u64,
    /// Deliveries that a destination refused.
    pub destination_delivery_failures: u64,
    /// Records whose receipt had expired before they were settled.
    pub expired_receipts: u64,
    /// Batches that were tried again, or whose rest was, because their function failed. Streams only.
    #[serde(default)]
    pub retries: u64,
    /// Batches that were halved (`BisectBatchOnFunctionError`). Streams only.
    #[serde(default)]
    pub bisects: u64,
    /// The shards of a stream; empty for queues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardStatus>,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LastError {
    /// What, in words.
    pub message: String,
    /// When, UTC.
    pub at: jiff::Timestamp,
}

/// Counts an invocation for as long as it lives, also when it is dropped.
pub(crate) struct InFlight<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl<'a> InFlight<'a> {
    pub(crate) fn new(gauge: &'a prometheus_client::metrics::gauge::Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Which part of a mapping is in trouble. A problem stays until the same part works again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The list of a stream's shards.
    Listing,
    Source,
    Store,
    Function,
    OnSuccess,
    OnFailure,
    DeadLetterQueue,
}

#[derive(Debug, Default)]
struct Health {
    state: &'static str,
    processed: bool,
    /// Of the mapping as a whole, or of one shard of its stream.
    problems: BTreeMap<(Part, Option<PartitionId>), String>,
    last_error: Option<LastError>,
    backlog_is_known: bool,
}

/// Where the tasks of one mapping write down how it goes.
pub(crate) struct Watch {
    pub mapping: Arc<Mapping>,
    pub metrics: MappingMetrics,
    registry: Metrics,
    shards: Shards,
    clock: Arc<dyn Clock>,
    health: Mutex<Health>,
}

impl Watch {
    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_state(&self, state: &'static str) {
        self.health().state = state;
    }

    pub(crate) fn set_backlog(&self, backlog: u64) {
        self.metrics.backlog.set(i64::try_from(backlog).unwrap_or(i64::MAX));
        self.health().backlog_is_known = true;
    }

    /// Notes a problem. True if it is news, so that an error repeated in a loop is logged once.
    pub(crate) fn trouble(&self, part: Part, message: &str) -> bool {
        self.trouble_at((part, None), message)
    }

    /// The same for one shard: another one that works doesn't end it.
    pub(crate) fn trouble_of(&self, shard: &PartitionId, part: Part, message: &str) -> bool {
        self.trouble_at((part, Some(shard.clone())), message)
    }

    fn trouble_at(&self, place: (Part, Option<PartitionId>), message: &str) -> bool {
        self.metrics.problem.set(1);
        let mut health = self.health();
        health.last_error = Some(LastError { message: message.to_owned(), at: self.clock.now() });
        health.problems.insert(place, message.to_owned()).is_none_or(|before| before != message)
    }

    /// Notes that a part works. True if it didn't before.
    pub(crate) fn works(&self, part: Part) -> bool {
        self.works_at((part, None))
    }

    /// The same for one shard.
    pub(crate) fn works_of(&self, shard: &PartitionId, part: Part) -> bool {
        self.works_at((part, Some(shard.clone())))
    }

    /// A shard is worked on no longer: its problems are nobody's.
    pub(crate) fn calm(&self, shard: &PartitionId) {
        let mut health = self.health();
        health.problems.retain(|(_, place), _| place.as_ref() != Some(shard));
        if health.problems.is_empty() {
            self.metrics.problem.set(0);
        }
    }

    fn works_at(&self, place: (Part, Option<PartitionId>)) -> bool {
        let mut health = self.health();
        let recovered = health.problems.remove(&place).is_some();
        if health.problems.is_empty() {
            self.metrics.problem.set(0);
        }
        health.processed |= place.0 == Part::Function;
        recovered
    }

    /// Notes something that went wrong and can't be mended, and so is no state of trouble.
    pub(crate) fn note_error(&self, message: &str) {
        self.health().last_error = Some(LastError { message: message.to_owned(), at: self.clock.now() });
    }

    /// Where a shard's progress is written down.
    pub(crate) fn shard(&self, partition: &PartitionId) -> ShardProgress {
        self.shards.progress(partition, || self.registry.of_shard(&self.mapping, partition))
    }

    /// How old a batch of a shard was when the function got it.
    pub(crate) fn note_age(&self, partition: &PartitionId, age: Duration) {
        self.metrics.iterator_age.observe(age.as_secs_f64());
        self.shard(partition).age(age);
    }

    /// Shows only some of the shards from now on.
    pub(crate) fn keep_shards(&self, is_kept: impl Fn(&PartitionId) -> bool) {
        self.registry.forget_shards(&self.mapping, &self.shards.keep(is_kept));
    }

    /// Shows no shard.
    pub(crate) fn forget_shards(&self) {
        self.keep_shards(|_| false);
    }

    fn status(&self) -> MappingStatus {
        let count = |gauge: i64| u64::try_from(gauge).unwrap_or(0);
        let health = self.health();
        let last_processing_result = match health.problems.first_key_value() {
            Some(((Part::Function, _), message)) => format!("PROBLEM: Function call failed: {message}"),
            Some((_, message)) => format!("PROBLEM: {message}"),
            None if health.processed => "OK".into(),
            None => "No records processed".into(),
        };
        MappingStatus {
            uuid: self.mapping.id.to_string(),
            event_source_arn: self.mapping.event_source.to_string(),
            function_arn: self.mapping.function_arn.to_string(),
            tags: self.mapping.tags.clone(),
            state: health.state.into(),
            last_processing_result,
            last_error: health.last_error.clone(),
            backlog: health.backlog_is_known.then(|| count(self.metrics.backlog.get())),
            in_flight: count(self.metrics.in_flight.get()),
            pollers: count(self.metrics.concurrency.get()),
            polled: self.metrics.polled.get(),
            filtered: self.metrics.filtered.get(),
            invoked: self.metrics.invoked.get(),
            failed: self.metrics.failed.get(),
            dropped: self.metrics.dropped.get(),
            deleted: self.metrics.deleted.get(),
            reported_successes: self.metrics.reported_successes.get(),
            reported_failures: self.metrics.reported_failures.get(),
            destination_delivery_failures: self.metrics.undelivered.get(),
            expired_receipts: self.metrics.expired_receipts.get(),
            retries: self.metrics.retries.get(),
            bisects: self.metrics.bisects.get(),
            shards: self.shards.list(),
        }
    }
}

impl Ledger for Watch {
    fn delivered(&self, part: Part) -> bool {
        match part {
            Part::OnSuccess => self.metrics.reported_successes.inc(),
            _ => self.metrics.reported_failures.inc(),
        };
        self.works(part)
    }

    fn undelivered(&self, part: Part, error: &DestinationError) -> bool {
        self.metrics.undelivered.inc();
        self.trouble(part, &error.to_string())
    }
}

/// Shows what the mappings are doing, and the functions that are invoked asynchronously. Cheap to clone; stays valid after the supervisor has stopped.
#[derive(Clone)]
pub struct StatusHandle {
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    watches: Arc<Mutex<BTreeMap<MappingId, Arc<Watch>>>>,
    functions: Functions,
}

impl StatusHandle {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { metrics: Metrics::new(), clock, watches: Arc::default(), functions: Functions::default() }
    }

    pub(crate) fn watch(&self, mapping: Mapping) -> Arc<Watch> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        // Counts go on, and so does what came of them (spec 2.2: a result outlives a stop).
        let processed = watches.get(&mapping.id).is_some_and(|before| before.health().processed);
        let watch = Arc::new(Watch {
            metrics: self.metrics.of(&mapping),
            registry: self.metrics.clone(),
            shards: Shards::default(),
            clock: self.clock.clone(),
            health: Mutex::new(Health { state: "Creating", processed, ..Health::default() }),
            mapping: Arc::new(mapping),
        });
        let before = watches.insert(watch.mapping.id, watch.clone());
        // The same mapping under another name of its function is another series.
        if let Some(before) = before.filter(|before| before.mapping.function != watch.mapping.function) {
            before.forget_shards();
            self.metrics.forget(&before.mapping);
        }
        watch
    }

    pub(crate) fn forget(&self, mapping: MappingId) {
        let forgotten = self.watches.lock().unwrap_or_else(PoisonError::into_inner).remove(&mapping);
        if let Some(watch) = forgotten {
            watch.forget_shards();
            self.metrics.forget(&watch.mapping);
        }
    }

    /// Counts a configuration that was taken over from its changed file.
    pub fn configuration_taken_over(&self) {
        self.metrics.reloads.inc();
        self.metrics.configuration_is_current.set(1);
    }

    /// Counts a changed configuration that was refused, so that the one before stays in force.
    pub fn configuration_refused(&self) {
        self.metrics.failed_reloads.inc();
        self.metrics.configuration_is_current.set(0);
    }

    /// Every mapping, ordered by id.
    pub fn mappings(&self) -> Vec<MappingStatus> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.values().map(|watch| watch.status()).collect()
    }

    /// Where the events of a function write down how it goes.
    pub(crate) fn function(&self, function: &FunctionName) -> Arc<EventWatch> {
        self.functions.watch(function, &self.metrics, &self.clock)
    }

    /// Every function that has got asynchronous events, ordered by its ARN.
    pub fn functions(&self) -> Vec<FunctionStatus> {
        self.functions.list()
    }

    /// The metrics of everything as Prometheus (OpenMetrics) text.
    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }
}
