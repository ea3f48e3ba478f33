//! What a refused call asks of the delivery.
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pelton_aws::classify;
use pelton_core::{Arn, DestinationError, ErrorKind};

/// Why a destination did not take a record.
#[derive(Debug)]
pub enum Rejection {
    /// The record is too large; `limit` is what the service says that it takes, in bytes.
    TooLarge { limit: Option<usize>, error: DestinationError },
    /// The resource doesn't exist: what is known of it is out of date.
    Missing(DestinationError),
    /// Anything else.
    Other(DestinationError),
}

impl From<Rejection> for DestinationError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::TooLarge { error, .. } | Rejection::Missing(error) | Rejection::Other(error) => error,
        }
    }
}

/// A call that failed.
pub fn rejection<E>(destination: &Arn, call: &str, error: &SdkError<E, HttpResponse>) -> Rejection
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = classify(error);
    let answered = failure.code.is_some();
    let code = failure.code.unwrap_or_default();
    let mut rejected = DestinationError {
        destination: destination.to_string(),
        message: format!("{call} failed: {}", failure.message),
        kind: failure.kind,
    };
    if failure.status == Some(413) || (answered && speaks_of_size(&code, &failure.message)) {
        rejected.kind = ErrorKind::Payload;
        return Rejection::TooLarge { limit: limit_in(&failure.message), error: rejected };
    }
    if code.contains("NonExistentQueue") || code.contains("QueueDoesNotExist") {
        return Rejection::Missing(rejected);
    }
    if code.contains("InvalidMessageContents") {
        rejected.kind = ErrorKind::Payload;
    }
    Rejection::Other(rejected)
}

/// A failure of Pelton's own making or an answer that makes no sense.
pub fn failed(destination: &Arn, kind: ErrorKind, message: String) -> DestinationError {
    DestinationError { destination: destination.to_string(), message, kind }
}

/// A message that can't be put together.
pub fn unwritable(destination: &Arn, error: &impl std::fmt::Display) -> Rejection {
    Rejection::Other(failed(destination, ErrorKind::Payload, format!("the message can't be put together: {error}")))
}

/// The services say it with codes as general as `InvalidParameterValue`, so the sentence decides.
fn speaks_of_size(code: &str, message: &str) -> bool {
    const SENTENCES: [&str; 5] =
        ["must be shorter than", "message too long", "over the limit", "must be smaller than", "exceeded the maximum"];
    let message = message.to_lowercase();
    code.contains("TooLarge") || code.contains("TooLong") || SENTENCES.iter().any(|words| message.contains(words))
}

/// The number in "… shorter than 262144 bytes".
fn limit_in(message: &str) -> Option<usize> {
    let before = message.rsplit_once(" bytes")?.0;
    let digits = before.rsplit(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_limit_where_the_service_names_it() {
        for (message, limit) in [
            ("One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.", Some(262_144)),
            ("Request must be smaller than 1048576 bytes for the InvokeFunction operation", Some(1_048_576)),
            ("Invalid parameter: Message too long", None),
            ("too many bytes", None),
            ("1 bytes 99999999999999999999999999 bytes", None),
        ] {
            assert_eq!(limit_in(message), limit, "{message}");
        }
    }

    #[test]
    fn knows_the_sentences_of_the_services() {
        assert!(speaks_of_size("InvalidParameterValue", "Reason: Message must be shorter than 5 bytes."));
        assert!(speaks_of_size("InvalidParameter", "Invalid parameter: Message too long"));
        assert!(speaks_of_size("ValidationException", "Total size of the entries in the request is over the limit."));
        assert!(speaks_of_size("RequestTooLargeException", ""));
        assert!(!speaks_of_size("InvalidParameterValue", "the group id is missing"));
    }
}
