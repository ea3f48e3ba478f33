//! The seam every destination implements.
use std::time::Duration;

use async_trait::async_trait;

use crate::{ErrorKind, ExecutionRecord};

/// Takes execution records. One value stands for one configured ARN.
#[async_trait]
pub trait Destination: Send + Sync + 'static {
    /// Hands one record over. `Ok` means that the destination has accepted it, which is what allows its records to
    /// leave their source. Makes at most the SDK's own quick retries: waiting and repeating is the engine's part.
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError>;
}

/// A record was not accepted.
#[derive(Debug, thiserror::Error)]
#[error("{destination}: {message}")]
pub struct DestinationError {
    /// The ARN that refused.
    pub destination: String,
    /// What it said, in words.
    pub message: String,
    /// Whether and when to try again.
    pub kind: ErrorKind,
}

impl DestinationError {
    /// How long the destination asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ErrorKind::Throttled { retry_after } => retry_after,
            _ => None,
        }
    }
}
