//! What is shown of the functions that are invoked asynchronously.
use serde::{Deserialize, Serialize};

use crate::LastError;

/// The asynchronous events of one function, seen from outside. Counts are since the start of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FunctionStatus {
    /// The function, with its qualifier.
    pub function_arn: String,
    /// Events that have not come to their end, those that run included. Roughly, where other processes share the queue.
    pub waiting: u64,
    /// Invocations that run now.
    pub in_flight: u64,
    /// How old the event was that was given to the function last, in seconds; 0 when none waits, absent before the
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Events accepted.
    pub received: u64,
    /// Invocations that the function answered.
    pub invocations: u64,
    /// Invocations that ended in a function error.
    pub errors: u64,
    /// Invocations that were throttled before they reached the function.
    pub throttles: u64,
    /// Failed invocations that are followed by another.
    pub retries: u64,
    /// Events given up, reported or not.
    pub dropped: u64,
    /// Execution records accepted by the OnSuccess destination.
    pub reported_successes: u64,
    /// Execution records accepted by the OnFailure destination.
    pub reported_failures: u64,
    /// Events accepted by the dead-letter queue.
    pub dead_lettered: u64,
    /// Deliveries that a destination refused.
    pub destination_delivery_failures: u64,
    /// Deliveries that the dead-letter queue refused.
    pub dead_letter_errors: u64,
    /// The last thing that went wrong, also when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}
