//! Execution records: put together, and delivered until they are accepted.
mod delivery;

use bytes::Bytes;
use pelton_core::{
    Arn, AsyncEvent, BatchInfo, Clock, Condition, ExecutionRecord, Origin, RequestContext, Response, ResponseContext,
    Subject,
};
use uuid::Uuid;

pub(crate) use crate::report::delivery::{Ledger, insist, offer};
use crate::response::Outcome;
use crate::status::{Part, Watch};

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

/// The record of an asynchronous event that has come to its end. `response` is the last answer, if its end follows from
/// one.
pub(crate) fn of_event(
    event: &AsyncEvent,
    function_arn: &Arn,
    clock: &dyn Clock,
    condition: Condition,
    response: Option<&Response>,
    attempts: u32,
) -> ExecutionRecord {
    ExecutionRecord {
        timestamp: timestamp(clock),
        request_context: RequestContext {
            // The function was told this one, whatever the answer calls itself (spec 9).
            request_id: event.id.to_string(),
            function_arn: function_arn.clone(),
            condition,
            approximate_invoke_count: attempts,
        },
        response_context: response.map(|response| response_context(condition, response)),
        subject: invocation(&event.payload, response),
        origin: Origin::Event { trace: event.trace.clone() },
    }
}

fn timestamp(clock: &dyn Clock) -> String {
    clock.now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn response_context(condition: Condition, response: &Response) -> ResponseContext {
    ResponseContext {
        status_code: response.status_code,
        executed_version: response.executed_version.clone(),
        function_error: match condition {
            Condition::Success => None,
            _ => Some(response.function_error.clone()),
        },
    }
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
        timestamp: timestamp(clock),
        request_context: RequestContext {
            request_id: response.map_or_else(|| Uuid::new_v4().to_string(), |response| response.request_id.clone()),
            function_arn: watch.mapping.function_arn.clone(),
            condition,
            approximate_invoke_count: attempts,
        },
        response_context: response.map(|response| response_context(condition, response)),
        subject,
        origin: Origin::Mapping { id: watch.mapping.id, source: watch.mapping.event_source.clone() },
    }
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
