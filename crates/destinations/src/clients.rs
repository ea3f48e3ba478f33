//! The SDK clients, with the time limits that suit delivering a record.
use std::time::Duration;

use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// One client for each service that takes execution records, at the endpoint and in the region of the destination and
/// with its credentials. Buckets at an endpoint that isn't AWS want `force_path_style`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For queues.
    pub sqs: aws_sdk_sqs::Client,
    /// For topics.
    pub sns: aws_sdk_sns::Client,
    /// For event buses.
    pub eventbridge: aws_sdk_eventbridge::Client,
    /// For functions.
    pub lambda: aws_sdk_lambda::Client,
    /// For buckets, including those that keep what is too large for its destination.
    pub s3: aws_sdk_s3::Client,
}

/// A record is small, so a call that takes longer than this hangs.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(20))
        .build()
}

macro_rules! for_delivery {
    ($service:ident, $client:expr) => {{
        let config = $client.config().to_builder().timeout_config(timeouts()).retry_config(RetryConfig::standard());
        $service::Client::from_conf(config.build())
    }};
}

impl Clients {
    /// The same clients, with the time limits and retries of a delivery.
    pub(crate) fn for_delivery(&self) -> Self {
        Self {
            sqs: for_delivery!(aws_sdk_sqs, self.sqs),
            sns: for_delivery!(aws_sdk_sns, self.sns),
            eventbridge: for_delivery!(aws_sdk_eventbridge, self.eventbridge),
            lambda: for_delivery!(aws_sdk_lambda, self.lambda),
            s3: for_delivery!(aws_sdk_s3, self.s3),
        }
    }
}
