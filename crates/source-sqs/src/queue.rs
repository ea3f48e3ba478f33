//! What Pelton knows of a queue, and for how long it believes it.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pelton_core::{Arn, SourceError};
use tokio::time::Instant;

use crate::client::Client;

/// How long the queue's settings are believed before they are read again.
const LIFETIME: Duration = Duration::from_secs(60);

/// A queue as it was when it was last looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// What the API calls the queue.
    pub url: String,
    /// `VisibilityTimeout`: 0..=43,200 s.
    pub visibility_timeout: Duration,
    /// `RedrivePolicy.maxReceiveCount`, if there is a dead-letter queue.
    pub maximum_receives: Option<u32>,
}

/// Looks the queue up by ARN and remembers it for a minute, or until it turns out to be gone.
#[derive(Debug)]
pub struct QueueCache {
    arn: Arn,
    known: Mutex<Option<(Arc<Queue>, Instant)>>,
}

impl QueueCache {
    pub fn new(arn: Arn) -> Self {
        Self { arn, known: Mutex::new(None) }
    }

    /// The queue. Read again when what is known is old; if that fails in passing, what is known serves on.
    pub async fn get(&self, client: &Client) -> Result<Arc<Queue>, SourceError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((queue, read_at)) = &known
            && read_at.elapsed() < LIFETIME
        {
            return Ok(queue.clone());
        }
        let url = known.as_ref().map(|(queue, _)| queue.url.clone());
        let read = match client.describe(&self.arn, url).await {
            Ok(queue) => Arc::new(queue),
            Err(error) => match known {
                Some((queue, _)) if error.kind != pelton_core::ErrorKind::Refused => queue,
                _ => {
                    self.forget();
                    return Err(error);
                }
            },
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((read.clone(), Instant::now()));
        Ok(read)
    }

    /// The queue was deleted, or recreated: look it up afresh next time.
    pub fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
