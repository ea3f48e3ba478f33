//! What an SDK error asks of the caller.
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pelton_core::ErrorKind;

/// An SDK error, boiled down to what Pelton acts on and shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whether and when to try again.
    pub kind: ErrorKind,
    /// The service's error code, if the service answered.
    pub code: Option<String>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// In words, with the code.
    pub message: String,
}

/// Tells errors apart by whether trying again can help.
pub fn classify<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let response = error.raw_response();
    let status = response.map(|response| response.status().as_u16());
    let SdkError::ServiceError(service) = error else {
        let kind = match error {
            // The request could not even be put together, so repeating it can't help.
            SdkError::ConstructionFailure(_) => ErrorKind::Refused,
            _ => ErrorKind::Transient,
        };
        return Failure { kind, code: None, status, message: causes(error) };
    };
    let code = service.err().code().map(str::to_owned);
    let text = service.err().message().unwrap_or("no further explanation");
    let message = match (&code, status) {
        (Some(code), _) => format!("{code}: {text}"),
        (None, Some(status)) => format!("HTTP status {status}: {text}"),
        (None, None) => text.to_owned(),
    };
    let kind = match (code.as_deref().unwrap_or_default(), status.unwrap_or_default()) {
        (code, 429) if !is_payload(code) => throttled(response),
        (code, _) if is_throttle(code) => throttled(response),
        (code, _) if is_payload(code) => ErrorKind::Payload,
        (_, 413) => ErrorKind::Payload,
        (_, 408 | 500..) => ErrorKind::Transient,
        // An answer without a code doesn't come from the service: a proxy, or a server that is starting.
        ("", _) => ErrorKind::Transient,
        _ => ErrorKind::Refused,
    };
    Failure { kind, code, status, message }
}

/// The error and what caused it, in words; a cause that the text before it already ends with is left out.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// What a `Retry-After` may ask for at most: a slip of the other side is not to stop a mapping for days.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

fn throttled(response: Option<&HttpResponse>) -> ErrorKind {
    let seconds: Option<u64> = response.and_then(|response| response.headers().get("retry-after")?.trim().parse().ok());
    ErrorKind::Throttled { retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER)) }
}

fn is_throttle(code: &str) -> bool {
    const CODES: [&str; 8] = [
        "TooManyRequestsException",
        "RequestThrottled",
        "ThrottledException",
        "RequestLimitExceeded",
        "SlowDown",
        "EC2ThrottledException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
    ];
    code.contains("Throttling") || CODES.contains(&code)
}

fn is_payload(code: &str) -> bool {
    const CODES: [&str; 4] =
        ["RequestTooLargeException", "InvalidRequestContentException", "RequestEntityTooLarge", "EntityTooLarge"];
    CODES.contains(&code)
}
