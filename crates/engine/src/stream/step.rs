//! One step of a lane's work, with all its I/O: ask the function, or report what is given up.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pelton_core::{
    BatchInfo, Clock, Destination, ErrorKind, Invoker, Lane, OpenWindow, PartitionId, Response, SequenceNumber, Source,
    StreamKind,
};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batcher::event;
use crate::report;
use crate::response::{Outcome, interpret};
use crate::status::{InFlight, Part, Watch};
use crate::stream::lane::{Batch, Done, GivenUp, Kind, Pending, Work};
use crate::stream::window::{self, Call};

/// How soon to look again whether a lapsed lease was renewed.
const LAPSE_PAUSE: Duration = Duration::from_millis(100);

/// What all shards of a mapping share.
pub(crate) struct Shared {
    pub source: Arc<dyn Source>,
    pub invoker: Arc<dyn Invoker>,
    pub on_success: Option<Arc<dyn Destination>>,
    pub on_failure: Option<Arc<dyn Destination>>,
    pub clock: Arc<dyn Clock>,
    pub watch: Arc<Watch>,
    pub slots: Option<Arc<Semaphore>>,
    pub shutdown: CancellationToken,
}

/// What a step knows of the shard it works for.
#[derive(Clone)]
pub(crate) struct Context {
    pub shared: Arc<Shared>,
    pub partition: PartitionId,
    /// Stops what only waits.
    pub stop: CancellationToken,
    /// Until when the lease is known to be held; `None`: for ever.
    pub valid_until: watch::Receiver<Option<Instant>>,
}

impl Context {
    /// Does one piece of work for a lane. `time_left`: how long until a record gets too old. Dropping it leaves the work
    /// undone, though the function may run on.
    pub async fn carry_out(self, work: Work, lane: Lane, time_left: Option<Duration>) -> (Work, Done) {
        let done = match &work {
            Work::Try(batch) => self.invoke(batch, lane.window.as_ref(), time_left).await,
            Work::Report(given_up) => self.report(given_up, &lane).await,
        };
        (work, done)
    }

    async fn invoke(&self, batch: &Batch, window: Option<&OpenWindow>, time_left: Option<Duration>) -> Done {
        let shared = &*self.shared;
        let slot = async {
            match &shared.slots {
                // Never closed.
                Some(slots) => slots.clone().acquire_owned().await.ok(),
                None => None,
            }
        };
        let too_old = async {
            match time_left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        let slot = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Done::Undone,
            slot = slot => slot,
            () = too_old => return Done::Undone,
        };
        // Another process may work on the shard by now. Whether it does, the next renewal tells.
        if self.valid_until.borrow().is_some_and(|until| until <= Instant::now()) {
            tokio::time::sleep(LAPSE_PAUSE).await;
            return Done::Undone;
        }
        let event = self.event(batch, window);
        let metrics = &shared.watch.metrics;
        if batch.kind == Kind::Records {
            metrics.batch_records.observe(batch.records.len() as f64);
            self.note_age(batch);
        }
        let started = Instant::now();
        let result = {
            let _running = InFlight::new(&metrics.in_flight);
            shared.invoker.invoke(&shared.watch.mapping.function, event.clone()).await
        };
        metrics.duration.observe(started.elapsed().as_secs_f64());
        // Not for as long as a success is reported.
        drop(slot);
        match result {
            Ok(response) => self.answered(batch, window, &event, response).await,
            Err(error) if error.kind == ErrorKind::Payload => {
                let outcome = Outcome::Failed(error.to_string());
                report::note(&shared.watch, &outcome, batch.records.len(), None);
                Done::Invoked { outcome, response: None, state: None }
            }
            Err(error) => {
                match error.kind {
                    ErrorKind::Throttled { .. } => metrics.throttles.inc(),
                    _ => metrics.service_errors.inc(),
                };
                if shared.watch.trouble(Part::Function, &error.to_string()) {
                    tracing::warn!(%error, "the function can't be invoked, trying again");
                }
                Done::NotAsked { retry_after: error.retry_after() }
            }
        }
    }

    async fn answered(&self, batch: &Batch, window: Option<&OpenWindow>, event: &Bytes, response: Response) -> Done {
        let shared = &*self.shared;
        let mapping = &shared.watch.mapping;
        let mut outcome = interpret(&response, &batch.records, mapping.report_batch_item_failures);
        let mut state = None;
        // The state that a window's last invocation returns is not used.
        if window.is_some() && batch.kind == Kind::Records && !matches!(outcome, Outcome::Failed(_)) {
            match window::state_of(&response.payload) {
                Ok(returned) => state = Some(returned),
                Err(lack) => outcome = Outcome::Failed(lack),
            }
        }
        report::note(&shared.watch, &outcome, batch.records.len(), Some(&response));
        if let (Some(destination), Outcome::Succeeded) = (&shared.on_success, &outcome) {
            let attempts = batch.attempts.saturating_add(1);
            let record = report::success(&shared.watch, &*shared.clock, event, &response, attempts);
            report::offer(&**destination, &record, &*shared.watch, &self.stop).await;
        }
        Done::Invoked { outcome, response: Some(response), state }
    }

    async fn report(&self, given_up: &GivenUp, lane: &Lane) -> Done {
        let shared = &*self.shared;
        let batch = &given_up.batch;
        tracing::warn!(
            shard = %self.partition, condition = ?given_up.condition, records = batch.records.len(),
            first = batch.records.first().map(|it| it.record.id.as_str()), "a batch is given up"
        );
        if let Some(destination) = &shared.on_failure {
            let about = (self.batch_info(batch, lane), self.event(batch, lane.window.as_ref()));
            let record = report::given_up(
                &shared.watch,
                &*shared.clock,
                given_up.condition,
                about,
                given_up.response.as_ref(),
                given_up.attempts,
            );
            if !report::insist(&**destination, &record, Part::OnFailure, &*shared.watch, &self.stop).await {
                return Done::Undone;
            }
        }
        shared.watch.metrics.dropped.inc_by(batch.records.len() as u64);
        Done::Reported
    }

    fn event(&self, batch: &Batch, window: Option<&OpenWindow>) -> Bytes {
        let records = event(batch.records.iter().map(|it| &it.record.event));
        let mapping = &self.shared.watch.mapping;
        let length = mapping.stream.as_ref().map_or(Duration::ZERO, |stream| stream.tumbling_window);
        let Some(window) = window else { return records };
        let (is_final, is_early) = match batch.kind {
            Kind::Records => (false, false),
            Kind::WindowEnd { is_early } => (true, is_early),
        };
        let (shard, stream) = (&self.partition, &mapping.event_source);
        window::event(records, Call { window, length, shard, stream, is_final, is_early })
    }

    /// The end of a window holds no records: its range is the last one that the window has processed.
    fn batch_info(&self, batch: &Batch, lane: &Lane) -> BatchInfo {
        let mapping = &self.shared.watch.mapping;
        let arrival =
            |at: Option<&Pending>| at.and_then(|it| it.record.arrived_at).unwrap_or_else(|| self.shared.clock.now());
        let settled = lane.settled.as_ref().map_or("", SequenceNumber::as_str);
        let id = |at: Option<&Pending>| at.map_or(settled, |it| &it.record.id).to_owned();
        let (first, last) = (batch.records.first(), batch.records.last());
        BatchInfo {
            kind: if mapping.event_source.service() == "dynamodb" { StreamKind::DynamoDb } else { StreamKind::Kinesis },
            shard: self.partition.clone(),
            start: id(first),
            end: id(last),
            first_arrival: arrival(first),
            last_arrival: arrival(last),
            size: batch.records.len(),
            stream: mapping.event_source.clone(),
        }
    }

    /// `IteratorAge`: how old the batch's last record is when the function gets it.
    fn note_age(&self, batch: &Batch) {
        let Some(arrived_at) = batch.records.last().and_then(|last| last.record.arrived_at) else { return };
        let age = Duration::try_from(self.shared.clock.now().duration_since(arrived_at)).unwrap_or_default();
        self.shared.watch.note_age(&self.partition, age);
    }
}
