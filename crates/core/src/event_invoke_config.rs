//! How asynchronous invocations of a function are retried, and who is told how they ended.
use std::time::Duration;

use crate::DestinationArn;

/// A function's event invoke config: `FunctionEventInvokeConfig` in Lambda's API, `AWS::Lambda::EventInvokeConfig` in
/// templates. There is one for `$LATEST`, one for each version and one for each alias, and none inherits from another
/// (spec 11.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventInvokeConfig {
    /// `MaximumRetryAttempts`: 0..=2; `None`: [`Self::DEFAULT_RETRY_ATTEMPTS`].
    pub maximum_retry_attempts: Option<u32>,
    /// `MaximumEventAgeInSeconds`: 60..=21,600 s; `None`: [`Self::LONGEST_EVENT_AGE`].
    pub maximum_event_age: Option<Duration>,
    /// `DestinationConfig.OnSuccess`: anything but a bucket.
    pub on_success: Option<DestinationArn>,
    /// `DestinationConfig.OnFailure`.
    pub on_failure: Option<DestinationArn>,
}

impl EventInvokeConfig {
    /// How often a failed event is tried again unless a config says otherwise.
    pub const DEFAULT_RETRY_ATTEMPTS: u32 = 2;
    /// How long an event may wait unless a config says less: six hours.
    pub const LONGEST_EVENT_AGE: Duration = Duration::from_secs(21_600);
    /// The least that a config may say.
    pub const SHORTEST_EVENT_AGE: Duration = Duration::from_secs(60);
}
