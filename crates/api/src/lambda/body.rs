//! The body of a request: a JSON object.
use serde_json::{Map, Value};

use super::error::ApiError;

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
