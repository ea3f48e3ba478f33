//! Which functions of the upstream are there, known for some seconds, so that not every event asks.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pelton_core::Arn;
use tokio::time::Instant;

use super::error::ApiError;
use super::functions::Functions;
use super::surroundings::Unanswered;

/// How long one that is there counts as being there. One that isn't is asked for each time.
const KNOWN_FOR: Duration = Duration::from_secs(5);
/// More are not remembered.
const MOST: usize = 4_096;

/// Remembers functions that are there.
pub struct Present {
    functions: Arc<dyn Functions>,
    until: Mutex<HashMap<Arn, Instant>>,
}

impl Present {
    pub fn new(functions: Arc<dyn Functions>) -> Self {
        Self { functions, until: Mutex::default() }
    }

    /// Whether a function is there, or was a few seconds ago.
    pub async fn has(&self, function: &Arn) -> Result<bool, ApiError> {
        if self.until().get(function).is_some_and(|until| Instant::now() < *until) {
            return Ok(true);
        }
        let is_there = has_upstream(self.functions.as_ref(), function).await?;
        if is_there {
            let now = Instant::now();
            let mut until = self.until();
            if until.len() >= MOST {
                until.retain(|_, until| now < *until);
            }
            if until.len() < MOST {
                until.insert(function.clone(), now + KNOWN_FOR);
            }
        }
        Ok(is_there)
    }

    fn until(&self) -> MutexGuard<'_, HashMap<Arn, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a function now.
pub async fn has_upstream(functions: &dyn Functions, function: &Arn) -> Result<bool, ApiError> {
    let answer = functions.has_upstream(function).await;
    answer.map_err(|Unanswered(reason)| ApiError::unavailable(format!("The function can't be looked for: {reason}")))
}
