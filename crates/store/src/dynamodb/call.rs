//! What a failed call asks of the caller.
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use pelton_aws::classify;
use pelton_core::{ErrorKind, StoreError};

/// Refusals of DynamoDB's that pass by themselves.
const PASSING: [&str; 4] = [
    "LimitExceededException",
    "ReplicatedWriteConflictException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

pub fn failed<E>(table: &str, call: &str, error: &SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = classify(error);
    let code = failure.code.as_deref().unwrap_or_default();
    let text = format!("{call} on the store's table {table} failed: {}", failure.message);
    match failure.kind {
        ErrorKind::Transient | ErrorKind::Throttled { .. } => StoreError::Unavailable(text),
        _ if PASSING.contains(&code) => StoreError::Unavailable(text),
        _ if code == "ResourceNotFoundException" => {
            StoreError::Refused(format!("{text}. If the table was deleted, restart to have it created"))
        }
        _ => StoreError::Refused(text),
    }
}

/// What became of a write with a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canceled {
    /// A condition doesn't hold.
    Condition,
    /// Another write of one of the rows was under way.
    Conflict,
    /// Too many calls or the like: trying again can help.
    Passing,
    /// Anything else.
    Refused,
}

/// Why a transaction was canceled: the worst of the reasons that its parts give.
pub fn canceled(exception: &TransactionCanceledException) -> Canceled {
    let codes = || exception.cancellation_reasons().iter().filter_map(|reason| reason.code());
    let has = |wanted: &[&str]| codes().any(|code| wanted.contains(&code));
    if has(&["ConditionalCheckFailed"]) {
        Canceled::Condition
    } else if has(&["TransactionConflict"]) {
        Canceled::Conflict
    } else if has(&["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"]) {
        Canceled::Passing
    } else {
        Canceled::Refused
    }
}
