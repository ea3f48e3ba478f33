//! The seam behind which functions live.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{ErrorKind, FunctionName};

/// Calls functions synchronously (InvocationType RequestResponse).
#[async_trait]
pub trait Invoker: Send + Sync + 'static {
    /// Invokes once and waits for the answer. A function error is a [`Response`]; `Err` means that the function could
    /// not be asked, or that its answer got lost. Dropping the future may leave the function running.
    async fn invoke(&self, function: &FunctionName, payload: Bytes) -> Result<Response, InvokeError>;

    /// The slots of a function that runs only so many invocations at a time. A poller takes a slot before it receives,
    /// so that messages wait in their queue and not inside Pelton. `None`: no limit is known on this side.
    fn slots(&self, _function: &FunctionName) -> Option<Arc<Semaphore>> {
        None
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
