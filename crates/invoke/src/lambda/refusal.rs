//! What an error of the Invoke call asks of the engine.
use std::time::Duration;

use aws_sdk_lambda::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError as ServiceError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use pelton_core::{ErrorKind, FunctionName, InvokeError};

/// Codes that mean that this very event is refused, whatever the status (spec 12.2).
const PAYLOAD_CODES: [&str; 3] =
    ["InvalidRequestContentException", "RequestTooLargeException", "UnsupportedMediaTypeException"];
/// Throttling codes that AWS services send with other statuses than 429.
const THROTTLE_CODES: [&str; 4] =
    ["TooManyRequestsException", "Throttling", "ThrottlingException", "RequestLimitExceeded"];
/// How much of an answer that isn't Lambda's goes into the message.
const EXCERPT_CHARACTERS: usize = 200;

/// Translates the SDK's error. Whatever isn't an answer from the service is transient: the function may not have been
/// asked, or its answer got lost.
pub fn invoke_error(function: &FunctionName, error: &SdkError<ServiceError, HttpResponse>) -> InvokeError {
    let (message, kind) = match error {
        SdkError::ServiceError(answer) => {
            let (service, raw) = (answer.err(), answer.raw());
            let status = raw.status().as_u16();
            let code = service.code().unwrap_or_default();
            let message = match service.message() {
                Some(message) if !code.is_empty() => format!("{code} (HTTP {status}): {message}"),
                _ if !code.is_empty() => format!("{code} (HTTP {status})"),
                _ => format!("HTTP {status} from the Lambda endpoint: {}", excerpt(raw.body().bytes())),
            };
            (message, kind(status, code, retry_after(raw.headers().get("retry-after"))))
        }
        SdkError::ConstructionFailure(_) => {
            (format!("the request could not be made: {}", DisplayErrorContext(error)), ErrorKind::Refused)
        }
        SdkError::TimeoutError(_) => ("no answer from the Lambda endpoint in time".to_owned(), ErrorKind::Transient),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            ("the Lambda endpoint can't be reached in time".to_owned(), ErrorKind::Transient)
        }
        _ => (format!("the Lambda endpoint can't be reached: {}", DisplayErrorContext(error)), ErrorKind::Transient),
    };
    InvokeError { function: function.as_str().to_owned(), message, kind }
}

fn kind(status: u16, code: &str, retry_after: Option<Duration>) -> ErrorKind {
    if PAYLOAD_CODES.contains(&code) {
        return ErrorKind::Payload;
    }
    if THROTTLE_CODES.contains(&code) {
        return ErrorKind::Throttled { retry_after };
    }
    match status {
        429 => ErrorKind::Throttled { retry_after },
        413 | 415 => ErrorKind::Payload,
        // 409: the function is being created or updated. 424 would be a dependency of the function's network.
        408 | 409 | 424 => ErrorKind::Transient,
        400..=499 => ErrorKind::Refused,
        _ => ErrorKind::Transient,
    }
}

fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

fn excerpt(body: Option<&[u8]>) -> String {
    let text = String::from_utf8_lossy(body.unwrap_or_default());
    let mut excerpt: String =
        text.chars().take(EXCERPT_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(EXCERPT_CHARACTERS).is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tells_the_kinds_apart() {
        let none = None;
        for (status, code, expected) in [
            (429, "TooManyRequestsException", ErrorKind::Throttled { retry_after: none }),
            (429, "", ErrorKind::Throttled { retry_after: none }),
            (400, "ThrottlingException", ErrorKind::Throttled { retry_after: none }),
            (500, "ServiceException", ErrorKind::Transient),
            (502, "", ErrorKind::Transient),
            (503, "", ErrorKind::Transient),
            (504, "", ErrorKind::Transient),
            (502, "EC2ThrottledException", ErrorKind::Transient),
            (409, "ResourceConflictException", ErrorKind::Transient),
            (404, "ResourceNotFoundException", ErrorKind::Refused),
            (403, "AccessDeniedException", ErrorKind::Refused),
            (400, "InvalidParameterValueException", ErrorKind::Refused),
            (404, "", ErrorKind::Refused),
            (413, "RequestTooLargeException", ErrorKind::Payload),
            (413, "", ErrorKind::Payload),
            (400, "InvalidRequestContentException", ErrorKind::Payload),
        ] {
            assert_eq!(kind(status, code, none), expected, "{status} {code}");
        }
    }

    #[test]
    fn reads_how_long_to_wait() {
        assert_eq!(retry_after(Some("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2015 07:28:00 GMT")), None);
    }

    proptest! {
        #[test]
        fn any_body_gives_a_short_line(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let line = excerpt(Some(&body));
            prop_assert!(line.chars().count() <= EXCERPT_CHARACTERS + 1);
            prop_assert!(!line.contains(|character: char| character.is_control()));
        }
    }
}
