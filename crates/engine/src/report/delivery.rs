//! How insistently execution records are delivered.
use std::time::Duration;

use pelton_core::{Destination, DestinationError, ErrorKind, ExecutionRecord};
use tokio_util::sync::CancellationToken;

use crate::Backoff;
use crate::idle::idle;
use crate::status::Part;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a success is reported before processing goes on without it.
const SUCCESS_ATTEMPTS: u32 = 5;

/// Where it is written down how deliveries go: a mapping's or a function's.
pub(crate) trait Ledger: Send + Sync {
    /// One was accepted. True if the ones before were not.
    fn delivered(&self, part: Part) -> bool;

    /// One was refused. True if that is news.
    fn undelivered(&self, part: Part, error: &DestinationError) -> bool;
}

/// Delivers until it is accepted, however long that takes. False: shutdown came first.
pub(crate) async fn insist(
    destination: &dyn Destination,
    record: &ExecutionRecord,
    part: Part,
    ledger: &dyn Ledger,
    shutdown: &CancellationToken,
) -> bool {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let Err(error) = attempt(destination, record, part, ledger).await else { return true };
        if !idle(backoff.next_delay_or(error.retry_after()), shutdown).await {
            return false;
        }
    }
}

/// Delivers to OnSuccess for a bounded time; what fails is counted, and processing goes on.
pub(crate) async fn offer(
    destination: &dyn Destination,
    record: &ExecutionRecord,
    ledger: &dyn Ledger,
    shutdown: &CancellationToken,
) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    for attempts in 1..=SUCCESS_ATTEMPTS {
        let Err(error) = attempt(destination, record, Part::OnSuccess, ledger).await else { return };
        let last = attempts == SUCCESS_ATTEMPTS || error.kind == ErrorKind::Payload;
        if last || !idle(backoff.next_delay_or(error.retry_after()), shutdown).await {
            break;
        }
    }
    tracing::warn!(request_id = record.request_context.request_id, "gave up reporting a success");
}

async fn attempt(
    destination: &dyn Destination,
    record: &ExecutionRecord,
    part: Part,
    ledger: &dyn Ledger,
) -> Result<(), DestinationError> {
    let result = destination.deliver(record).await;
    match &result {
        Ok(()) => {
            if ledger.delivered(part) {
                tracing::info!("the destination accepts execution records again");
            }
        }
        Err(error) => {
            if ledger.undelivered(part, error) {
                tracing::warn!(%error, "an execution record was not accepted");
            }
        }
    }
    result
}
