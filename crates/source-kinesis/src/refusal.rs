//! What Kinesis answers instead of records, and what that asks for.
use std::time::Duration;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use pelton_aws::classify;
use pelton_core::{ErrorKind, SourceError};

/// A consumer may subscribe to a shard once in this time (Kinesis API, SubscribeToShard).
pub const BETWEEN_SUBSCRIPTIONS: Duration = Duration::from_secs(5);

/// A call that failed.
#[derive(Debug)]
pub struct Refusal {
    /// The service's error code; empty if the service didn't answer.
    pub code: String,
    /// For the engine.
    pub error: SourceError,
}

impl Refusal {
    /// Of an SDK call. `what` names it, such as `GetRecords of shard … of …`.
    pub fn of<E>(what: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = classify(error);
        Self::new(what, failure.code.unwrap_or_default(), failure.kind, &failure.message)
    }

    /// Of an event that a subscription brought in a record's place: it has no HTTP status.
    pub fn of_event(what: &str, code: Option<&str>, text: &str) -> Self {
        let code = code.unwrap_or_default();
        let message = if code.is_empty() { text.to_owned() } else { format!("{code}: {text}") };
        let kind = match code {
            "" => ErrorKind::Transient,
            _ if code.contains("Internal") || code.contains("Unavailable") => ErrorKind::Transient,
            _ => ErrorKind::Refused,
        };
        Self::new(what, code.to_owned(), kind, &message)
    }

    /// That no answer came.
    pub fn silence(what: &str, limit: Duration) -> Self {
        Self::new(what, String::new(), ErrorKind::Transient, &format!("nothing came for {limit:?}"))
    }

    fn new(what: &str, code: String, kind: ErrorKind, message: &str) -> Self {
        let kind = match (code.as_str(), kind) {
            (_, kind @ ErrorKind::Throttled { .. }) => kind,
            ("ResourceInUseException", _) => ErrorKind::Throttled { retry_after: Some(BETWEEN_SUBSCRIPTIONS) },
            ("ProvisionedThroughputExceededException" | "LimitExceededException" | "KMSThrottlingException", _) => {
                ErrorKind::Throttled { retry_after: None }
            }
            ("ResourceNotFoundException", _) => ErrorKind::Missing,
            (_, kind) => kind,
        };
        let advice = advice(&code).map(|advice| format!(" ({advice})")).unwrap_or_default();
        Self { code, error: SourceError { message: format!("{what} failed: {message}{advice}"), kind } }
    }

    /// The iterator is too old, or none of this service: emulators that were restarted say the latter.
    pub fn is_stale_iterator(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredIteratorException" | "InvalidArgumentException" | "ValidationException")
    }

    /// The sequence number is none of this shard, or no longer. LocalStack says that it doesn't exist.
    pub fn is_unknown_position(&self) -> bool {
        matches!(self.code.as_str(), "InvalidArgumentException" | "ValidationException")
            || (self.code == "ResourceNotFoundException" && self.error.message.contains("SequenceNumber"))
    }

    /// The shard, the stream or the consumer doesn't exist.
    pub fn is_not_found(&self) -> bool {
        self.code == "ResourceNotFoundException"
    }

    /// The service itself failed. An emulator may do so because of what it was asked.
    pub fn is_failure(&self) -> bool {
        !self.code.is_empty() && self.error.kind == ErrorKind::Transient
    }
}

/// What to do about the key that encrypts the stream.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "KMSAccessDeniedException" => "the credentials need kms:Decrypt on the key that encrypts the stream",
        "KMSDisabledException" => "the KMS key that encrypts the stream is disabled: enable it",
        "KMSInvalidStateException" => {
            "the KMS key that encrypts the stream is about to be deleted, or lacks its material: restore it"
        }
        "KMSNotFoundException" => "the KMS key that encrypts the stream doesn't exist",
        "KMSOptInRequired" => "the account of the KMS key that encrypts the stream isn't signed up for KMS",
        _ => return None,
    })
}

impl From<Refusal> for SourceError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_asks_for_its_own() {
        let throttled = ErrorKind::Throttled { retry_after: None };
        for (code, kind, words) in [
            ("ProvisionedThroughputExceededException", throttled, "GetRecords of x failed: Provisioned"),
            ("LimitExceededException", throttled, "told"),
            ("KMSThrottlingException", throttled, "told"),
            ("KMSAccessDeniedException", ErrorKind::Refused, "kms:Decrypt"),
            ("KMSDisabledException", ErrorKind::Refused, "is disabled: enable it"),
            ("KMSInvalidStateException", ErrorKind::Refused, "restore it"),
            ("KMSNotFoundException", ErrorKind::Refused, "doesn't exist"),
            ("KMSOptInRequired", ErrorKind::Refused, "signed up"),
            ("AccessDeniedException", ErrorKind::Refused, "told"),
            ("ResourceNotFoundException", ErrorKind::Missing, "told"),
            ("ResourceInUseException", ErrorKind::Throttled { retry_after: Some(BETWEEN_SUBSCRIPTIONS) }, "told"),
            ("InternalFailureException", ErrorKind::Transient, "told"),
            ("", ErrorKind::Transient, "GetRecords of x failed: told"),
        ] {
            let refusal = Refusal::of_event("GetRecords of x", Some(code), "told");
            assert_eq!(refusal.error.kind, kind, "{code}");
            assert!(refusal.error.message.contains(words), "{}", refusal.error.message);
        }
    }
}
