//! The seam behind which functions live.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{ErrorKind, FunctionName};

/// Calls functions synchronously (InvocationType RequestResponse).
#[async_trait]
pub trait Invoker: Send + Sync + 'static {
    /// Invokes once and waits for the answer. A function error is a [`Response`]; `Err` means that the function could
    /// not be asked, or that its answer got lost. Dropping the future may leave the function running.
    async fn call(&self, function: &FunctionName, call: Call) -> Result<Response, InvokeError>;

    /// The same, with nothing but an event.
    async fn invoke(&self, function: &FunctionName, payload: Bytes) -> Result<Response, InvokeError> {
        self.call(function, Call::with(payload)).await
    }

    /// The slots of a function that runs only so many invocations at a time. A poller takes a slot before it receives,
    /// so that messages wait in their queue and not inside Pelton. `None`: no limit is known on this side.
    fn slots(&self, _function: &FunctionName) -> Option<Arc<Semaphore>> {
        None
    }
}

/// What goes into one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The event.
    pub payload: Bytes,
    /// The id that the function is to be told, where it is told by us and not by another Lambda; `None`: a new one.
    pub request_id: Option<Uuid>,
    /// `X-Amzn-Trace-Id`; `None`: a new trace.
    pub trace_header: Option<String>,
    /// `X-Amz-Client-Context`, in Base64 as it came.
    pub client_context: Option<String>,
    /// Whether the end of the invocation's log is wanted (`X-Amz-Log-Type: Tail`).
    pub wants_log: bool,
}

impl Call {
    /// A call with nothing but an event.
    pub fn with(payload: Bytes) -> Self {
        Self { payload, request_id: None, trace_header: None, client_context: None, wants_log: false }
    }
}

/// What came back from one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The invocation's request id.
    pub request_id: String,
    /// HTTP status of the Invoke call.
    pub status_code: u16,
    /// `$LATEST` or a version number.
    pub executed_version: String,
    /// `Unhandled` or `Handled` if the function failed.
    pub function_error: Option<String>,
    /// What the function returned, or the error object.
    pub payload: Bytes,
    /// The last 4 KB of its log, if the call wanted it and it is known.
    pub log_tail: Option<Bytes>,
}

/// The function could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{function}: {message}")]
pub struct InvokeError {
    /// The function as configured.
    pub function: String,
    /// What went wrong, in words.
    pub message: String,
    /// Whether and when to try again. [`ErrorKind::Payload`]: this very event can never be accepted.
    pub kind: ErrorKind,
}

impl InvokeError {
    /// How long the service asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ErrorKind::Throttled { retry_after } => retry_after,
            _ => None,
        }
    }
}
