//! Invokes the function with what failed.
use pelton_core::{FunctionName, InvokeError, Invoker};
use pelton_engine::{Outcome, interpret};

use super::select::Batch;

/// Whether a function's answer is read for `batchItemFailures`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The mapping's FunctionResponseTypes has ReportBatchItemFailures.
    ReportFailures,
    /// It hasn't: any answer is a success.
    AreIgnored,
    /// The mapping isn't in the file: failures that are named clearly count.
    MayReportFailures,
}

/// The function did not process everything. `processed` records before, or beside, are done.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// It could not be called.
    #[error("the function can't be invoked: {error}{}", done(*.processed))]
    Invoke {
        /// Why.
        error: InvokeError,
        /// Records that are done.
        processed: usize,
    },
    /// It failed.
    #[error("the function failed: {reason}{}", done(*.processed))]
    Failed {
        /// What it says.
        reason: String,
        /// Records that are done.
        processed: usize,
    },
}

fn done(processed: usize) -> String {
    if processed == 0 { String::new() } else { format!(" ({processed} records before were processed)") }
}

/// Invokes with one batch after another, and stops at the first that fails, so that order is kept. Gives the number of
/// invocations.
pub async fn deliver(
    invoker: &dyn Invoker,
    function: &FunctionName,
    batches: &[Batch],
    answers: Answers,
) -> Result<usize, DeliveryError> {
    let mut processed = 0;
    for batch in batches {
        let response = invoker.invoke(function, batch.event.clone()).await;
        let response = response.map_err(|error| DeliveryError::Invoke { error, processed })?;
        let failed = |reason| Err(DeliveryError::Failed { reason, processed });
        match interpret(&response, &batch.records, answers != Answers::AreIgnored) {
            Outcome::Succeeded => {}
            Outcome::Failed(_) if answers == Answers::MayReportFailures && response.function_error.is_none() => {}
            Outcome::Failed(reason) => return failed(reason),
            Outcome::PartiallyFailed(ids) => {
                let named: Vec<&str> = ids.iter().map(String::as_str).take(5).collect();
                let more = if ids.len() > named.len() { ", …" } else { "" };
                return failed(format!(
                    "{} of {} records in batchItemFailures: {}{more}",
                    ids.len(),
                    batch.records.len(),
                    named.join(", ")
                ));
            }
        }
        processed += batch.records.len();
    }
    Ok(batches.len())
}

#[cfg(test)]
mod tests;
