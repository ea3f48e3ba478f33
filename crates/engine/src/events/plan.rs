//! What an asynchronous invocation works with, and the seam behind which that is looked up.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pelton_core::{Arn, Destination, FunctionName, InvokeError, Invoker};

/// A function as its events find it: whom to call, how often, and whom to tell.
#[derive(Clone)]
pub struct EventPlan {
    /// The function's ARN with a qualifier, as execution records show it.
    pub function_arn: Arn,
    /// What calls the function.
    pub invoker: Arc<dyn Invoker>,
    /// `MaximumRetryAttempts`: retries after the first attempt, 0..=2 with AWS.
    pub maximum_retry_attempts: u32,
    /// `MaximumEventAgeInSeconds`: how long an event may wait, 60..=21,600 s with AWS.
    pub maximum_event_age: Duration,
    /// Told of each success.
    pub on_success: Option<Arc<dyn Destination>>,
    /// Told of each event that is given up, before it leaves the queue.
    pub on_failure: Option<Arc<dyn Destination>>,
    /// `DeadLetterConfig`: gets each event that is given up, before it leaves the queue; beside `on_failure`.
    pub dead_letter_queue: Option<Arc<dyn Destination>>,
    /// `ReservedConcurrentExecutions`. With 0 the function may not run at all, and its events are given up at once.
    pub reserved_concurrency: Option<u32>,
}

/// Knows how the events of each function are to be treated. Asked before events are taken, each time anew, so that a
/// change counts for every event that has not begun.
#[async_trait]
pub trait EventPlans: Send + Sync + 'static {
    /// The plan of a function ([`pelton_core::AsyncEvent::function`]: an ARN with a qualifier).
    ///
    /// # Errors
    /// [`pelton_core::ErrorKind::Missing`] and `Payload`: there is no such function. Its events are tried again with
    /// growing pauses for six hours, then dropped. Every other kind: it isn't known now; its events wait for however long
    /// that takes.
    async fn plan(&self, function: &FunctionName) -> Result<EventPlan, InvokeError>;
}
