//! A supervisor on fakes, in paused time.
#![allow(dead_code, clippy::unwrap_used, reason = "test support: each test file uses its own part")]
pub mod events;
pub mod gate;
pub mod stream;
pub mod windows;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{Arn, Destination, Mapping, MappingId, Source, SystemClock};
use pelton_engine::{MappingStatus, Plan, Shutdown, Supervisor};
use pelton_testkit::{FakeDestination, FakeInvoker};

pub fn mapping() -> Mapping {
    let event_source: Arn = "arn:aws:sqs:us-east-1:000000000000:orders".parse().unwrap();
    let function: pelton_core::FunctionName = "work".parse().unwrap();
    Mapping {
        id: MappingId::of("orders", "work"),
        function_arn: function.arn(&event_source).unwrap(),
        event_source,
        function,
        enabled: true,
        batch_size: 10,
        batching_window: Duration::ZERO,
        filters: Default::default(),
        report_batch_item_failures: true,
        maximum_concurrency: None,
        on_success: None,
        on_failure: None,
        overflow_bucket: None,
        maximum_retry_attempts: None,
        visibility_heartbeat: true,
        tags: Default::default(),
        stream: None,
    }
}

pub struct Run {
    supervisor: Supervisor,
}

impl Run {
    pub fn start(mapping: Mapping, source: &Arc<impl Source>, invoker: &Arc<FakeInvoker>) -> Self {
        Self::start_with(mapping, source, invoker, None, None)
    }

    pub fn start_with(
        mapping: Mapping,
        source: &Arc<impl Source>,
        invoker: &Arc<FakeInvoker>,
        on_success: Option<&Arc<FakeDestination>>,
        on_failure: Option<&Arc<FakeDestination>>,
    ) -> Self {
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        let destination = |it: &Arc<FakeDestination>| it.clone() as Arc<dyn Destination>;
        supervisor.start(Plan {
            mapping,
            source: source.clone(),
            invoker: invoker.clone(),
            on_success: on_success.map(destination),
            on_failure: on_failure.map(destination),
            store: None,
        });
        Self { supervisor }
    }

    pub fn status(&self) -> MappingStatus {
        self.supervisor.status().mappings().remove(0)
    }

    pub async fn stop(self) -> Shutdown {
        self.supervisor.shutdown(Duration::from_secs(30)).await
    }
}

/// Waits in paused time, at most an hour of it.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl FnMut() -> F) {
    pelton_testkit::eventually(what, Duration::from_secs(3600), condition).await;
}

/// The event that a record of an invocation holds.
pub fn request_payload(record: &pelton_core::ExecutionRecord) -> &str {
    match &record.subject {
        pelton_core::Subject::Invocation { request_payload: Some(payload), .. } => payload.get(),
        _ => "null",
    }
}

pub fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
