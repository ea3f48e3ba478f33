//! The body of a request: bytes, and of most requests a JSON object.
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::Request;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::error::ApiError;

/// The longest body of most of what is answered here: that of Lambda's synchronous calls.
pub const LONGEST: usize = 6 * 1_024 * 1_024;
/// How long a body may take to come.
const TIME: Duration = Duration::from_secs(30);
/// Bodies up to here are read as they come; each connection has one at a time.
const SHORT: usize = 256 * 1_024;
/// How many others are read at a time, so that clients that begin long ones and stop can't fill the memory.
const LONG_AT_ONCE: usize = 64;

static LONG: Semaphore = Semaphore::const_new(LONG_AT_ONCE);

/// Why a body could not be read.
#[derive(Debug)]
pub enum Unread {
    TooLarge,
    TooSlow,
    Broken(String),
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::too_large(LONGEST),
            Unread::TooSlow => Self::too_slow(),
            Unread::Broken(reason) => Self::not_json(&reason),
        }
    }
}

/// Reads a body of at most `longest` bytes.
pub async fn read(request: Request, longest: usize) -> Result<Bytes, Unread> {
    let body = request.into_body();
    // Of a body that comes in pieces nobody knows.
    let is_short = body.size_hint().exact().is_some_and(|length| length <= SHORT as u64);
    let collected = async {
        let _place = match is_short {
            true => None,
            false => LONG.acquire().await.ok(),
        };
        Limited::new(body, longest).collect().await
    };
    match tokio::time::timeout(TIME, collected).await {
        Err(_) => Err(Unread::TooSlow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(error)) => Err(Unread::Broken(error.to_string())),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// Reads the fields of a request.
pub async fn read_fields(request: Request) -> Result<Map<String, Value>, ApiError> {
    fields(&read(request, LONGEST).await?)
}

/// Reads it. An empty body is an object without fields, as the SDKs send it.
pub fn fields(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let byte = body.get(error.valid_up_to()).copied().unwrap_or_default();
        ApiError::not_json(&format!("Invalid UTF-8 start byte 0x{byte:x}"))
    })?;
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        Ok(_) => Err(ApiError::serialization("The body of the request is no JSON object.")),
        Err(error) => Err(ApiError::not_json(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> (&'static str, String) {
        let error = fields(body).unwrap_err();
        (error.kind, error.message)
    }

    #[test]
    fn fields_are_read_and_nulls_are_none() {
        assert_eq!(fields(b"").unwrap().len(), 0);
        assert_eq!(fields(br#" {"a": 1, "b": null} "#).unwrap().keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in [&b"[]"[..], b"1", b"null", b"\"text\""] {
            assert_eq!(message(body).0, "SerializationException");
        }
        let (kind, text) = message(b"{\"a\": ");
        assert_eq!(kind, "InvalidRequestContentException");
        assert!(text.starts_with("Could not parse request body into json: EOF while parsing"), "{text}");
        assert_eq!(
            message(b"{\"a\": \"\x87\"}").1,
            "Could not parse request body into json: Invalid UTF-8 start byte 0x87"
        );
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(message(deep.as_bytes()).0, "InvalidRequestContentException");
    }
}
