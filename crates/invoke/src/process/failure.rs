//! The error objects that Lambda itself makes when a function can't answer for itself.
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;

/// The most a function may return: 6 MiB and 100 bytes of JSON (quota "Invocation payload", spec 13).
pub const MAXIMUM_RESPONSE_BYTES: usize = 6_291_556;

const EXIT_ERROR: &str = "Runtime.ExitError";

/// What a function error looks like before it is known which invocation gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The process ended before it answered.
    Exited(ExitStatus),
    /// The process was killed because it took too long.
    TimedOut(Duration),
    /// The answer is above [`MAXIMUM_RESPONSE_BYTES`].
    ResponseTooLarge,
    /// The function reported an error object of its own.
    Reported(Bytes),
}

impl Failure {
    /// The payload of the invocation that gets this failure.
    pub fn payload(&self, request_id: &str) -> Bytes {
        let object = match self {
            Self::Exited(_) => json!({"errorType": EXIT_ERROR, "errorMessage": self.sandbox_message(request_id)}),
            Self::TimedOut(_) => {
                json!({"errorType": "Sandbox.Timedout", "errorMessage": self.sandbox_message(request_id)})
            }
            Self::ResponseTooLarge => json!({
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": format!(
                    "Response payload size exceeded maximum allowed payload size ({MAXIMUM_RESPONSE_BYTES} bytes)."
                ),
            }),
            Self::Reported(body) => return body.clone(),
        };
        Bytes::from(object.to_string())
    }

    /// What Lambda writes into the invocation's log, for want of a process that could.
    pub fn log_line(&self, request_id: &str) -> Option<String> {
        let message = self.sandbox_message(request_id)?;
        match self {
            Self::Exited(_) => Some(format!("{message}\n{EXIT_ERROR}\n")),
            _ => Some(format!("{message}\n")),
        }
    }

    /// What the `REPORT` line of the invocation's log ends with.
    pub fn report_status(&self) -> Option<String> {
        match self {
            Self::Exited(_) => Some(format!("Status: error\tError Type: {EXIT_ERROR}")),
            Self::TimedOut(_) => Some("Status: timeout".to_owned()),
            Self::ResponseTooLarge | Self::Reported(_) => None,
        }
    }

    /// In Lambda's words, where Lambda speaks for the process.
    fn sandbox_message(&self, request_id: &str) -> Option<String> {
        let message = match self {
            Self::Exited(status) => describe_exit(*status),
            Self::TimedOut(limit) => format!("Task timed out after {:.2} seconds", limit.as_secs_f64()),
            Self::ResponseTooLarge | Self::Reported(_) => return None,
        };
        Some(format!("RequestId: {request_id} Error: {message}"))
    }

    /// For logs and status.
    pub fn describe(&self) -> String {
        match self {
            Self::Exited(status) => describe_exit(*status),
            Self::TimedOut(limit) => format!("no answer within {:.2} s", limit.as_secs_f64()),
            Self::ResponseTooLarge => format!("a response of more than {MAXIMUM_RESPONSE_BYTES} bytes"),
            Self::Reported(body) => describe_report(body),
        }
    }
}

/// In Lambda's words.
fn describe_exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(signal)) => format!("Runtime exited with error: signal: {}", signal_name(signal)),
        (None, None) => "Runtime exited with an unknown status".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        1 => "hangup".to_owned(),
        2 => "interrupt".to_owned(),
        4 => "illegal instruction".to_owned(),
        6 => "aborted".to_owned(),
        8 => "floating point exception".to_owned(),
        9 => "killed".to_owned(),
        11 => "segmentation fault".to_owned(),
        13 => "broken pipe".to_owned(),
        15 => "terminated".to_owned(),
        other => other.to_string(),
    }
}

/// `errorType: errorMessage` of a reported error object, as far as it has them; bounded.
fn describe_report(body: &[u8]) -> String {
    let object: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| object.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    let words = match (text("errorType"), text("errorMessage")) {
        ("", "") => "the function reported an error".to_owned(),
        ("", message) => message.to_owned(),
        (error_type, message) => format!("{error_type}: {message}"),
    };
    words.chars().take(500).collect()
}

/// A posted error body as it goes to the caller. Lambda hands JSON on as it is; what isn't JSON is a broken runtime, but
/// it does say that the invocation failed, so it is wrapped. `Err` carries that wrapping.
pub fn reported_error(body: Bytes, error_type: Option<&str>) -> Result<Bytes, Bytes> {
    if serde_json::from_slice::<&RawValue>(&body).is_ok() {
        return Ok(body);
    }
    let error_type = error_type.filter(|text| !text.is_empty()).unwrap_or("Runtime.Unknown");
    let wrapped = json!({"errorType": error_type, "errorMessage": String::from_utf8_lossy(&body)});
    Err(Bytes::from(wrapped.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn speaks_lambdas_words() {
        for (failure, expected) in [
            (
                Failure::TimedOut(Duration::from_secs(3)),
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r-1 Error: Task timed out after 3.00 seconds"}"#,
            ),
            (
                Failure::Exited(ExitStatus::from_raw(1 << 8)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r-1 Error: Runtime exited with error: exit status 1"}"#,
            ),
            (
                Failure::Exited(ExitStatus::from_raw(9)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r-1 Error: Runtime exited with error: signal: killed"}"#,
            ),
            (
                Failure::Exited(ExitStatus::from_raw(0)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r-1 Error: Runtime exited without providing a reason"}"#,
            ),
            (
                Failure::ResponseTooLarge,
                r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#,
            ),
        ] {
            assert_eq!(failure.payload("r-1"), expected.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_reported_body_becomes_json(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            error_type in proptest::option::of("\\PC{0,20}"),
        ) {
            let payload = reported_error(Bytes::from(body), error_type.as_deref()).unwrap_or_else(|wrapped| wrapped);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&payload).is_ok());
            let words = Failure::Reported(payload).describe();
            prop_assert!(words.chars().count() <= 500);
        }

        #[test]
        fn json_is_handed_on_as_it_is(body in "\\{\"errorMessage\": ?\"[a-z ]{0,20}\"\\}") {
            prop_assert_eq!(reported_error(Bytes::from(body.clone()), None), Ok(Bytes::from(body)));
        }
    }
}
