//! Lambda's errors: status, type, and a body whose member is `Message` or `message`, each as AWS has it (spec 1.1).
use axum::http::StatusCode;
use serde_json::{Value, json};

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    /// `x-amzn-ErrorType`.
    pub kind: &'static str,
    pub message: String,
    /// `Reason`, of throttles.
    pub reason: Option<&'static str>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), reason: None }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    }

    /// No mapping has this id.
    pub fn no_mapping() -> Self {
        Self::not_found("The resource you requested does not exist.")
    }

    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "ResourceConflictException", message)
    }

    /// The revision that the request names isn't the latest.
    pub fn precondition_failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailedException", message)
    }

    pub fn policy_too_long(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PolicyLengthExceededException", message)
    }

    pub fn in_use(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ResourceInUseException", message)
    }

    /// Constraints of AWS's model that the request breaks, each without its `1 validation error detected: `.
    pub fn validation(constraints: &[String]) -> Self {
        let message = match constraints {
            [only] => format!("1 validation error detected: {only}"),
            several => format!("{} validation errors detected: {}", several.len(), several.join("; ")),
        };
        Self::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "SerializationException", message)
    }

    pub fn not_json(problem: &str) -> Self {
        Self::invalid_content(format!("Could not parse request body into json: {problem}"))
    }

    pub fn invalid_content(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message)
    }

    /// A payload that no function is invoked with. AWS's model has `RequestTooLargeException` for it; this is what comes.
    pub fn payload_too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", message)
    }

    /// One function that invokes another, and so on in a circle.
    pub fn recursion(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "RecursiveInvocationException", message)
    }

    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request must be smaller than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", message)
    }

    pub fn too_slow() -> Self {
        let message = "The body of the request did not come in time.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", message)
    }

    pub fn unknown_operation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "UnknownOperationException", message)
    }

    /// The caller isn't known.
    pub fn unauthenticated(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, kind, message)
    }

    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDeniedException", message)
    }

    pub fn bad_path() -> Self {
        Self::invalid_content("The path of the request holds '.' or '..'.")
    }

    pub fn too_many() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate exceeded")
    }

    /// A function runs as often as it may at a time.
    pub fn throttled() -> Self {
        let reason = Some("ReservedFunctionConcurrentInvocationLimitExceeded");
        Self { reason, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.") }
    }

    /// Something here failed.
    pub fn service(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", message)
    }

    /// Trying again can help.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceException", message)
    }

    /// The upstream didn't answer.
    pub fn bad_gateway(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "ServiceException", message)
    }

    pub fn body(&self) -> Value {
        let message = &self.message;
        match self.kind {
            "ResourceNotFoundException"
            | "ResourceInUseException"
            | "AccessDeniedException"
            | "RecursiveInvocationException" => json!({ "Type": "User", "Message": message }),
            "RequestEntityTooLargeException" => json!({ "Message": message }),
            "ServiceException" => json!({ "Type": "Service", "Message": message }),
            "InvalidParameterValueException"
            | "ResourceConflictException"
            | "PreconditionFailedException"
            | "PolicyLengthExceededException"
            | "InvalidRequestContentException"
            | "RequestTooLargeException" => json!({ "Type": "User", "message": message }),
            "TooManyRequestsException" => {
                let reason = self.reason.unwrap_or("CallerRateLimitExceeded");
                json!({ "Type": "User", "Reason": reason, "message": message })
            }
            _ => json!({ "message": message }),
        }
    }
}
