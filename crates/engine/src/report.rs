//! Execution records: put together, and delivered until they are accepted.
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use pelton_core::{
    BatchInfo, Clock, Condition, Destination, DestinationError, ExecutionRecord, Origin, RequestContext, Response,
    ResponseContext, Subject,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Backoff;
use crate::idle::idle;
use crate::response::Outcome;
use crate::status::{Part, Watch};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a success is reported before processing goes on without it.
const SUCCESS_ATTEMPTS: u32 = 5;

/// The record of a successful invocation.
pub(crate) fn success(
    watch: &Watch,
    clock: &dyn Clock,
    event: &Bytes,
    response: &Response,
    attempts: u32,
) -> ExecutionRecord {
    let subject = invocation(event, Some(response));
    record(watch, clock, Condition::Success, subject, Some(response), attempts)
}

/// The record of something given up. `response` is the last answer; `None` if the function was never reached.
pub(crate) fn failure(
    watch: &Watch,
    clock: &dyn Clock,
    event: &Bytes,
    response: Option<&Response>,
    attempts: u32,
) -> ExecutionRecord {
    record(watch, clock, Condition::RetriesExhausted, invocation(event, response), response, attempts)
}

/// The record of a batch of a stream that was given up. `response` is the last answer to this very batch; a batch that
/// got too old has none (spec 5.4).
pub(crate) fn given_up(
    watch: &Watch,
    clock: &dyn Clock,
    condition: Condition,
    batch: (BatchInfo, Bytes),
    response: Option<&Response>,
    attempts: u32,
) -> ExecutionRecord {
    let (info, event) = batch;
    record(watch, clock, condition, Subject::Batch { info, event }, response, attempts)
}

fn invocation(event: &Bytes, response: Option<&Response>) -> Subject {
    Subject::Invocation {
        request_payload: ExecutionRecord::embed(event),
        response_payload: response.and_then(|response| ExecutionRecord::embed(&response.payload)),
    }
}

fn record(
    watch: &Watch,
    clock: &dyn Clock,
    condition: Condition,
    subject: Subject,
    response: Option<&Response>,
    attempts: u32,
) -> ExecutionRecord {
    ExecutionRecord {
        timestamp: clock.now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        request_context: RequestContext {
            request_id: response.map_or_else(|| Uuid::new_v4().to_string(), |response| response.request_id.clone()),
            function_arn: watch.mapping.function_arn.clone(),
            condition,
            approximate_invoke_count: attempts,
        },
        response_context: response.map(|response| ResponseContext {
            status_code: response.status_code,
            executed_version: response.executed_version.clone(),
            function_error: match condition {
                Condition::Success => None,
                _ => Some(response.function_error.clone()),
            },
        }),
        subject,
        origin: Origin::Mapping { id: watch.mapping.id, source: watch.mapping.event_source.clone() },
    }
}

/// Delivers to OnFailure until it is accepted, however long that takes. False: shutdown came first.
pub(crate) async fn insist(
    destination: &dyn Destination,
    record: &ExecutionRecord,
    watch: &Watch,
    shutdown: &CancellationToken,
) -> bool {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match attempt(destination.deliver(record), Part::OnFailure, watch).await {
            Ok(()) => {
                watch.metrics.reported_failures.inc();
                return true;
            }
            Err(error) => {
                if !idle(backoff.next_delay_or(error.retry_after()), shutdown).await {
                    return false;
                }
            }
        }
    }
}

/// Delivers to OnSuccess for a bounded time; what fails is counted, and processing goes on.
pub(crate) async fn offer(
    destination: &dyn Destination,
    record: &ExecutionRecord,
    watch: &Watch,
    shutdown: &CancellationToken,
) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    for attempts in 1..=SUCCESS_ATTEMPTS {
        let Err(error) = attempt(destination.deliver(record), Part::OnSuccess, watch).await else {
            watch.metrics.reported_successes.inc();
            return;
        };
        let last = attempts == SUCCESS_ATTEMPTS || error.kind == pelton_core::ErrorKind::Payload;
        if last || !idle(backoff.next_delay_or(error.retry_after()), shutdown).await {
            break;
        }
    }
    tracing::warn!(request_id = record.request_context.request_id, "gave up reporting a success");
}

async fn attempt(
    delivery: impl Future<Output = Result<(), DestinationError>>,
    part: Part,
    watch: &Watch,
) -> Result<(), DestinationError> {
    let result = delivery.await;
    match &result {
        Ok(()) => {
            if watch.works(part) {
                tracing::info!("the destination accepts execution records again");
            }
        }
        Err(error) => {
            watch.metrics.undelivered.inc();
            if watch.trouble(part, &error.to_string()) {
                tracing::warn!(%error, "an execution record was not accepted");
            }
        }
    }
    result
}

/// Counts an invocation and shows how it went.
pub(crate) fn note(watch: &Watch, outcome: &Outcome, records: usize, response: Option<&Response>) {
    let metrics = &watch.metrics;
    let request_id = response.map(|response| response.request_id.as_str()).unwrap_or_default();
    metrics.invocations.inc();
    metrics.invoked.inc_by(records as u64);
    match outcome {
        Outcome::Succeeded => {
            watch.works(Part::Function);
            tracing::info!(request_id, outcome = "succeeded", "batch processed");
        }
        Outcome::PartiallyFailed(ids) => {
            watch.works(Part::Function);
            metrics.failed.inc_by(ids.len() as u64);
            tracing::info!(request_id, outcome = "partially failed", failed = ids.len(), "batch processed");
        }
        Outcome::Failed(reason) => {
            metrics.errors.inc();
            metrics.failed.inc_by(records as u64);
            watch.trouble(Part::Function, reason);
            tracing::warn!(request_id, outcome = "failed", reason, "batch failed");
        }
    }
}
