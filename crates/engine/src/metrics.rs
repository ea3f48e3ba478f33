//! What each mapping and each function has done, counted once: `/metrics` and `/status` read the same values.
//!
//! Names are AWS's own where AWS publishes a metric of that meaning; what only Pelton has begins with `pelton_`.
mod events;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use pelton_core::{Mapping, PartitionId};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub(crate) use crate::metrics::events::EventMetrics;
use crate::metrics::events::{EventFamilies, FunctionLabels};

/// The dimensions of a metric of a mapping, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "label names are AWS's dimension names")]
pub(crate) struct MappingLabels {
    EventSourceMappingUUID: String,
    EventSourceArn: String,
    FunctionName: String,
}

impl MappingLabels {
    fn of(mapping: &Mapping) -> Self {
        Self {
            EventSourceMappingUUID: mapping.id.to_string(),
            EventSourceArn: mapping.event_source.to_string(),
            FunctionName: mapping.function.to_string(),
        }
    }
}

/// Whose a metric is. Both may have the same one, such as `Invocations`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Labels {
    Mapping(MappingLabels),
    Function(FunctionLabels),
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> Result<(), std::fmt::Error> {
        match self {
            Self::Mapping(labels) => labels.encode(encoder),
            Self::Function(labels) => labels.encode(encoder),
        }
    }
}

/// The dimensions of a metric of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "label names are AWS's dimension names")]
pub(crate) struct ShardLabels {
    EventSourceMappingUUID: String,
    EventSourceArn: String,
    FunctionName: String,
    ShardId: String,
}

impl ShardLabels {
    fn of(mapping: &Mapping, partition: &PartitionId) -> Self {
        let MappingLabels { EventSourceMappingUUID, EventSourceArn, FunctionName } = MappingLabels::of(mapping);
        Self { EventSourceMappingUUID, EventSourceArn, FunctionName, ShardId: partition.0.clone() }
    }
}

/// The metrics of one shard, in seconds.
#[derive(Debug, Clone)]
pub(crate) struct ShardMetrics {
    pub iterator_age: Gauge<f64, AtomicU64>,
    pub behind: Gauge<f64, AtomicU64>,
}

/// The metrics of one mapping.
#[derive(Debug, Clone)]
pub(crate) struct MappingMetrics {
    pub polled: Counter,
    pub filtered: Counter,
    pub invoked: Counter,
    pub failed: Counter,
    pub dropped: Counter,
    pub deleted: Counter,
    pub reported_failures: Counter,
    pub reported_successes: Counter,
    pub undelivered: Counter,
    pub invocations: Counter,
    pub errors: Counter,
    pub throttles: Counter,
    pub service_errors: Counter,
    pub source_errors: Counter,
    pub expired_receipts: Counter,
    pub settle_errors: Counter,
    pub returned: Counter,
    pub delivered: Counter,
    pub retries: Counter,
    pub bisects: Counter,
    pub windows: Counter,
    pub leases_taken: Counter,
    pub leases_lost: Counter,
    pub trimmed: Counter,
    pub in_flight: Gauge,
    pub concurrency: Gauge,
    pub backlog: Gauge,
    pub problem: Gauge,
    pub duration: Histogram,
    pub batch_records: Histogram,
    pub iterator_age: Histogram,
}

type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;
type ShardGauges = Family<ShardLabels, Gauge<f64, AtomicU64>>;
type Histograms = Family<Labels, Histogram>;

/// The registry of everything. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Mutex<Registry>>,
    counters: Vec<Counters>,
    gauges: Vec<Gauges>,
    duration: Histograms,
    batch_records: Histograms,
    iterator_age: Histograms,
    shard_iterator_age: ShardGauges,
    shard_behind: ShardGauges,
    events: EventFamilies,
    pub reloads: Counter,
    pub failed_reloads: Counter,
    pub configuration_is_current: Gauge,
}

const COUNTERS: [(&str, &str); 24] = [
    ("PolledEventCount", "Records received from the event source"),
    ("FilteredOutEventCount", "Records that the filter criteria kept from the function"),
    ("InvokedEventCount", "Records sent to the function, counted again when they are sent again"),
    ("FailedInvokeEventCount", "Records whose invocation failed"),
    ("DroppedEventCount", "Records given up after MaximumRetryAttempts"),
    ("DeletedEventCount", "Messages deleted from the queue"),
    ("OnFailureDestinationDeliveredEventCount", "Execution records accepted by the OnFailure destination"),
    ("pelton_on_success_destination_delivered", "Execution records accepted by the OnSuccess destination"),
    ("DestinationDeliveryFailures", "Deliveries of execution records that a destination refused"),
    ("Invocations", "Invocations that the function answered"),
    ("Errors", "Invocations that ended in a function error or an unusable answer"),
    ("Throttles", "Invocations that were throttled before they reached the function"),
    ("pelton_invoke_service_errors", "Invocations that failed for another reason than the function or a throttle"),
    ("pelton_source_errors", "Calls of the event source that failed"),
    ("pelton_expired_receipts", "Records whose receipt had expired before they were settled: they are delivered again"),
    ("pelton_settle_errors", "Records that could not be deleted or released for another reason"),
    ("pelton_returned_events", "Records handed back to the event source"),
    ("pelton_delivered_events", "Records of streams that their function has processed"),
    (
        "pelton_batch_retries",
        "Batches of streams that were tried again, or whose rest was, because their function failed",
    ),
    ("pelton_bisected_batches", "Batches of streams that were halved (BisectBatchOnFunctionError)"),
    ("pelton_windows_ended", "Tumbling windows that had their last invocation"),
    ("pelton_leases_taken", "Leases of shards that this process has taken"),
    ("pelton_leases_lost", "Leases of shards that another process has taken from this one"),
    (
        "pelton_trimmed_positions",
        "Times that a shard's position was no longer in the stream, so that records may have been missed",
    ),
];

const GAUGES: [(&str, &str); 4] = [
    ("pelton_in_flight", "Invocations that run now"),
    ("pelton_pollers", "Pollers that run now: each receives, invokes and settles one batch after the other"),
    ("pelton_backlog", "Records that wait in the event source, roughly"),
    ("pelton_problem", "1 while the mapping is in trouble, else 0"),
];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let counters = COUNTERS.map(|(name, help)| {
            let family = Counters::default();
            registry.register(name, help, family.clone());
            family
        });
        let gauges = GAUGES.map(|(name, help)| {
            let family = Gauges::default();
            registry.register(name, help, family.clone());
            family
        });
        let duration = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 20)));
        registry.register("pelton_invocation_seconds", "Duration of invocations", duration.clone());
        let batch_records = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 15)));
        registry.register("pelton_batch_records", "Records in a batch", batch_records.clone());
        let iterator_age = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 3.0, 16)));
        let help = "How old the last record of a batch of a stream was when the function got it";
        registry.register("IteratorAge_seconds", help, iterator_age.clone());
        let (shard_iterator_age, shard_behind) = (ShardGauges::default(), ShardGauges::default());
        let help = "How old the last record of a shard's last batch was when the function got it; 0 when all is read";
        registry.register("pelton_shard_iterator_age_seconds", help, shard_iterator_age.clone());
        let help = "How far the last read of a shard was behind its newest record";
        registry.register("pelton_shard_behind_latest_seconds", help, shard_behind.clone());
        let events = EventFamilies::registered(&mut registry);
        let (reloads, failed_reloads, configuration_is_current) =
            (Counter::default(), Counter::default(), Gauge::default());
        registry.register("pelton_configuration_reloads", "Changed configurations taken over", reloads.clone());
        let help = "Changed configurations refused, so that the one before stayed in force";
        registry.register("pelton_configuration_reload_failures", help, failed_reloads.clone());
        let help = "0 while the file was changed to something that was refused, else 1";
        registry.register("pelton_configuration_is_current", help, configuration_is_current.clone());
        configuration_is_current.set(1);
        Self {
            registry: Arc::new(Mutex::new(registry)),
            counters: counters.into(),
            gauges: gauges.into(),
            duration,
            batch_records,
            iterator_age,
            shard_iterator_age,
            shard_behind,
            events,
            reloads,
            failed_reloads,
            configuration_is_current,
        }
    }

    /// Stops showing a mapping.
    pub(crate) fn forget(&self, mapping: &Mapping) {
        let labels = Labels::Mapping(MappingLabels::of(mapping));
        self.counters.iter().for_each(|family| {
            family.remove(&labels);
        });
        self.gauges.iter().for_each(|family| {
            family.remove(&labels);
        });
        self.duration.remove(&labels);
        self.batch_records.remove(&labels);
        self.iterator_age.remove(&labels);
    }

    /// Stops showing a shard.
    pub(crate) fn forget_shard(&self, mapping: &Mapping, partition: &PartitionId) {
        let labels = ShardLabels::of(mapping, partition);
        self.shard_iterator_age.remove(&labels);
        self.shard_behind.remove(&labels);
    }

    pub(crate) fn of_shard(&self, mapping: &Mapping, partition: &PartitionId) -> ShardMetrics {
        let labels = ShardLabels::of(mapping, partition);
        ShardMetrics {
            iterator_age: self.shard_iterator_age.get_or_create_owned(&labels),
            behind: self.shard_behind.get_or_create_owned(&labels),
        }
    }

    pub(crate) fn of(&self, mapping: &Mapping) -> MappingMetrics {
        let labels = Labels::Mapping(MappingLabels::of(mapping));
        let counter = |index: usize| self.counters[index].get_or_create_owned(&labels);
        let gauge = |index: usize| self.gauges[index].get_or_create_owned(&labels);
        MappingMetrics {
            polled: counter(0),
            filtered: counter(1),
            invoked: counter(2),
            failed: counter(3),
            dropped: counter(4),
            deleted: counter(5),
            reported_failures: counter(6),
            reported_successes: counter(7),
            undelivered: counter(8),
            invocations: counter(9),
            errors: counter(10),
            throttles: counter(11),
            service_errors: counter(12),
            source_errors: counter(13),
            expired_receipts: counter(14),
            settle_errors: counter(15),
            returned: counter(16),
            delivered: counter(17),
            retries: counter(18),
            bisects: counter(19),
            windows: counter(20),
            leases_taken: counter(21),
            leases_lost: counter(22),
            trimmed: counter(23),
            in_flight: gauge(0),
            concurrency: gauge(1),
            backlog: gauge(2),
            problem: gauge(3),
            duration: self.duration.get_or_create_owned(&labels),
            batch_records: self.batch_records.get_or_create_owned(&labels),
            iterator_age: self.iterator_age.get_or_create_owned(&labels),
        }
    }

    /// The Prometheus (OpenMetrics) text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        match encode(&mut text, &registry) {
            Ok(()) => text,
            // Writing to a String doesn't fail; an encoder's refusal would be a bug that an empty page shows.
            Err(std::fmt::Error) => String::new(),
        }
    }
}
