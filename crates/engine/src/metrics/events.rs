//! The metrics of asynchronous events, by function.
use pelton_core::FunctionName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{Counters, Gauges, Histograms, Labels, Metrics};

/// The dimension of a metric of asynchronous events, in AWS's word: the ARN with its qualifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "label names are AWS's dimension names")]
pub(crate) struct FunctionLabels {
    FunctionName: String,
}

/// What only asynchronous events have.
#[derive(Debug, Clone)]
pub(super) struct EventFamilies {
    counters: Vec<Counters>,
    waiting: Gauges,
    age: Histograms,
}

/// The metrics of the events of one function.
#[derive(Debug, Clone)]
pub(crate) struct EventMetrics {
    pub received: Counter,
    pub dropped: Counter,
    pub retries: Counter,
    pub dead_lettered: Counter,
    pub dead_letter_errors: Counter,
    pub reported_failures: Counter,
    pub reported_successes: Counter,
    pub undelivered: Counter,
    pub invocations: Counter,
    pub errors: Counter,
    pub throttles: Counter,
    pub service_errors: Counter,
    pub waiting: Gauge,
    pub in_flight: Gauge,
    pub problem: Gauge,
    pub duration: Histogram,
    pub age: Histogram,
}

const COUNTERS: [(&str, &str); 5] = [
    ("AsyncEventsReceived", "Asynchronous events accepted"),
    ("AsyncEventsDropped", "Asynchronous events given up, reported or not"),
    ("pelton_async_event_retries", "Failed asynchronous invocations that are followed by another"),
    ("pelton_dead_lettered_events", "Asynchronous events accepted by the dead-letter queue"),
    ("DeadLetterErrors", "Deliveries of asynchronous events that the dead-letter queue refused"),
];

impl EventFamilies {
    pub fn registered(registry: &mut Registry) -> Self {
        let counters = COUNTERS.map(|(name, help)| {
            let family = Counters::default();
            registry.register(name, help, family.clone());
            family
        });
        let waiting = Gauges::default();
        let help = "Asynchronous events that have not come to their end";
        registry.register("pelton_async_events_waiting", help, waiting.clone());
        let age = Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 3.0, 17)));
        let help = "How old an asynchronous event was when the function got it, at each attempt";
        registry.register("AsyncEventAge_seconds", help, age.clone());
        Self { counters: counters.into(), waiting, age }
    }
}

fn labels(function: &FunctionName) -> Labels {
    Labels::Function(FunctionLabels { FunctionName: function.to_string() })
}

impl Metrics {
    pub(crate) fn of_function(&self, function: &FunctionName) -> EventMetrics {
        let labels = labels(function);
        let own = |index: usize| self.events.counters[index].get_or_create_owned(&labels);
        let shared = |index: usize| self.counters[index].get_or_create_owned(&labels);
        let gauge = |index: usize| self.gauges[index].get_or_create_owned(&labels);
        EventMetrics {
            received: own(0),
            dropped: own(1),
            retries: own(2),
            dead_lettered: own(3),
            dead_letter_errors: own(4),
            reported_failures: shared(6),
            reported_successes: shared(7),
            undelivered: shared(8),
            invocations: shared(9),
            errors: shared(10),
            throttles: shared(11),
            service_errors: shared(12),
            waiting: self.events.waiting.get_or_create_owned(&labels),
            in_flight: gauge(0),
            problem: gauge(3),
            duration: self.duration.get_or_create_owned(&labels),
            age: self.events.age.get_or_create_owned(&labels),
        }
    }

    /// Stops showing a function.
    pub(crate) fn forget_function(&self, function: &FunctionName) {
        let labels = labels(function);
        let counters = self.counters.iter().chain(&self.events.counters);
        counters.for_each(|family| {
            family.remove(&labels);
        });
        self.gauges.iter().chain([&self.events.waiting]).for_each(|family| {
            family.remove(&labels);
        });
        self.duration.remove(&labels);
        self.events.age.remove(&labels);
    }
}
