//! One batch, from its invocation to its end: invoke, decide, report, settle.
use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use pelton_core::{Disposition, ErrorKind, InvokeError, Receipt, Response, SettleError};
use tokio::time::Instant;
use tracing::Instrument;

use crate::Backoff;
use crate::batcher::event;
use crate::idle::idle;
use crate::queue::attempt::{self, Next, Policy};
use crate::queue::hold::Held;
use crate::queue::lane::{Permit, Shared};
use crate::report;
use crate::response::{Outcome, interpret};
use crate::status::{InFlight, Part};

const INVOKE_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_INVOKE_PAUSE: Duration = Duration::from_secs(30);
const SETTLE_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_SETTLE_PAUSE: Duration = Duration::from_secs(10);
/// Calls made to settle a batch before its records are left to come back.
const SETTLE_ATTEMPTS: u32 = 8;

/// What asking the function came to.
enum Answer {
    Response(Response),
    /// The event itself was refused, for good.
    Unusable(InvokeError),
    /// Shutdown came before an answer.
    Abandoned,
    /// The source shows the records again before the function could be asked.
    TooLate,
}

impl Shared {
    /// Takes a batch to its end. True if any record of it was processed.
    pub(crate) async fn drive(&self, batch: Vec<Held>, permit: Option<Permit>) -> bool {
        let mapping = &self.watch.mapping;
        let span =
            tracing::info_span!("batch", mapping = %mapping.id, function = %mapping.function, records = batch.len());
        self.drive_batch(batch, permit).instrument(span).await
    }

    async fn drive_batch(&self, mut batch: Vec<Held>, permit: Option<Permit>) -> bool {
        let permit = match permit {
            Some(permit) => Some(permit),
            None => self.heartbeat().during(&mut batch, self.permit()).await,
        };
        let Some(permit) = permit else {
            self.release(batch).await;
            return false;
        };
        self.watch.metrics.batch_records.observe(batch.len() as f64);
        let event = event(batch.iter().map(|held| &held.record.event));
        let hidden_until = (!self.watch.mapping.visibility_heartbeat).then(|| batch[0].hidden_until()).flatten();
        let answer = self.heartbeat().during(&mut batch, self.ask(&event, hidden_until)).await;
        let (response, outcome) = match answer {
            Answer::Response(response) => {
                let outcome = interpret(&response, &batch, self.watch.mapping.report_batch_item_failures);
                (Some(response), outcome)
            }
            Answer::Unusable(error) => (None, Outcome::Failed(error.to_string())),
            Answer::Abandoned => {
                self.release(batch).await;
                return false;
            }
            Answer::TooLate => {
                tracing::warn!("the messages became visible before the function could be asked; they come again");
                self.watch.metrics.expired_receipts.inc_by(batch.len() as u64);
                return false;
            }
        };
        // The function is free: another batch may have it while this one is reported and settled.
        drop(permit);
        if let Outcome::Failed(_) = outcome {
            self.concurrency.reduce();
        }
        report::note(&self.watch, &outcome, batch.len(), response.as_ref());
        let policy = Policy {
            maximum_retry_attempts: self.watch.mapping.maximum_retry_attempts,
            maximum_receives: batch[0].maximum_receives,
        };
        let verdicts = attempt::next(&batch, &outcome, &policy);
        let processed = verdicts.contains(&Next::Deliver);
        let verdicts = self.report(&mut batch, verdicts, &event, response.as_ref()).await;

        let now = Instant::now();
        let settling = |(held, verdict): (Held, Next)| {
            let disposition = match verdict {
                Next::Deliver => Disposition::Delivered,
                Next::GiveUp => {
                    self.watch.metrics.dropped.inc();
                    Disposition::Discarded
                }
                Next::Return | Next::ReportAndReturn => held.returned(now),
            };
            // A record that is handed back is meant to show again: that is no expiry.
            let hidden_until = held.hidden_until().filter(|_| !matches!(disposition, Disposition::Returned { .. }));
            Settling { receipt: held.record.receipt, disposition, hidden_until }
        };
        self.settle(batch.into_iter().zip(verdicts).map(settling).collect()).await;
        processed
    }

    /// Asks the function until it answers. Throttles and errors of the service are no attempts: they are waited out
    /// here, with the batch held and fewer pollers running.
    async fn ask(&self, event: &Bytes, hidden_until: Option<Instant>) -> Answer {
        let metrics = &self.watch.metrics;
        let mut backoff = Backoff::new(INVOKE_PAUSE, LONGEST_INVOKE_PAUSE);
        loop {
            let started = Instant::now();
            let result = {
                let _running = InFlight::new(&metrics.in_flight);
                self.invoker.invoke(&self.watch.mapping.function, event.clone()).await
            };
            metrics.duration.observe(started.elapsed().as_secs_f64());
            let error = match result {
                Ok(response) => return Answer::Response(response),
                Err(error) if error.kind == ErrorKind::Payload => return Answer::Unusable(error),
                Err(error) => error,
            };
            match error.kind {
                ErrorKind::Throttled { .. } => metrics.throttles.inc(),
                _ => metrics.service_errors.inc(),
            };
            self.concurrency.reduce();
            if self.watch.trouble(Part::Function, &error.to_string()) {
                tracing::warn!(%error, "the function can't be invoked, trying again");
            }
            let pause = backoff.next_delay_or(error.retry_after());
            if !idle(pause, &self.shutdown).await {
                return Answer::Abandoned;
            }
            if hidden_until.is_some_and(|until| until <= Instant::now()) {
                return Answer::TooLate;
            }
        }
    }

    /// Reports what is due before anything is settled. Gives back the verdicts, with what couldn't be reported before
    /// shutdown handed back instead.
    async fn report(
        &self,
        batch: &mut [Held],
        mut verdicts: Vec<Next>,
        event_of_batch: &Bytes,
        response: Option<&Response>,
    ) -> Vec<Next> {
        if let (Some(destination), Some(response), true) =
            (&self.on_success, response, verdicts.iter().all(|verdict| *verdict == Next::Deliver))
        {
            let receives = batch.iter().map(|held| held.record.receive_count).max().unwrap_or(1);
            let record = report::success(&self.watch, &*self.clock, event_of_batch, response, receives);
            let offer = report::offer(&**destination, &record, &*self.watch, &self.shutdown);
            self.heartbeat().during(batch, offer).await;
        }
        let Some(destination) = &self.on_failure else { return verdicts };
        let mut due = Vec::new();
        for (i, held) in batch.iter().enumerate() {
            if matches!(verdicts[i], Next::GiveUp | Next::ReportAndReturn) {
                let attempts = held.record.receive_count;
                let event = event(std::iter::once(&held.record.event));
                due.push((i, report::failure(&self.watch, &*self.clock, &event, response, attempts)));
            }
        }
        if due.is_empty() {
            return verdicts;
        }
        let deliveries = due
            .iter()
            .map(|(_, record)| report::insist(&**destination, record, Part::OnFailure, &*self.watch, &self.shutdown));
        let accepted = self.heartbeat().during(batch, join_all(deliveries)).await;
        for ((i, _), accepted) in due.iter().zip(accepted) {
            if !accepted {
                verdicts[*i] = Next::Return;
            }
        }
        verdicts
    }

    /// Carries the dispositions out; what fails is tried again, alone. What can't be settled comes again: counted and
    /// logged, never hidden.
    pub(crate) async fn settle(&self, mut settled: Vec<Settling>) {
        let metrics = &self.watch.metrics;
        let mut backoff = Backoff::new(SETTLE_PAUSE, LONGEST_SETTLE_PAUSE);
        for attempts in 1..=SETTLE_ATTEMPTS {
            if settled.is_empty() {
                return;
            }
            let now = Instant::now();
            let list: Vec<_> = settled.iter().map(|it| (it.receipt.clone(), it.disposition)).collect();
            match self.source.settle(&self.partition, &list).await {
                Ok(unsettled) => {
                    let mut failed: HashMap<Receipt, SettleError> =
                        unsettled.into_iter().map(|it| (it.receipt, it.error)).collect();
                    settled.retain(|it| match failed.remove(&it.receipt) {
                        None => {
                            match it.disposition {
                                Disposition::Returned { .. } => metrics.returned.inc(),
                                Disposition::Delivered | Disposition::Filtered | Disposition::Discarded => {
                                    metrics.deleted.inc()
                                }
                            };
                            if it.hidden_until.is_some_and(|until| until < now) {
                                self.expired("its visibility timeout was over before it was settled");
                            }
                            false
                        }
                        Some(SettleError::Expired(reason)) => {
                            self.expired(&reason);
                            false
                        }
                        Some(SettleError::Failed(reason)) => {
                            tracing::debug!(reason, "a message could not be settled");
                            true
                        }
                    });
                }
                Err(error) => {
                    metrics.source_errors.inc();
                    if self.watch.trouble(Part::Source, &error.message) {
                        tracing::warn!(%error, "a batch could not be settled");
                    }
                    if !matches!(error.kind, ErrorKind::Transient | ErrorKind::Throttled { .. }) {
                        break;
                    }
                }
            }
            let over = settled.is_empty() || attempts == SETTLE_ATTEMPTS;
            if over || !idle(backoff.next_delay(), &self.shutdown).await {
                break;
            }
        }
        if !settled.is_empty() {
            metrics.settle_errors.inc_by(settled.len() as u64);
            tracing::warn!(records = settled.len(), "messages could not be settled: they are delivered again");
        }
    }

    pub(crate) fn expired(&self, reason: &str) {
        self.watch.metrics.expired_receipts.inc();
        tracing::warn!(reason, "a message was hidden for too short a time: it may be delivered twice");
    }
}

/// A record on its way out.
#[derive(Debug)]
pub(crate) struct Settling {
    pub receipt: Receipt,
    pub disposition: Disposition,
    /// Until when the source hides it: later, the receipt may be void.
    pub hidden_until: Option<Instant>,
}
