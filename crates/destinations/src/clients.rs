//! The SDK clients, with the time limits that suit delivering a record.
use std::time::Duration;

use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use pelton_aws::{Aws, Service};

/// One client for each service that takes execution records. Cheap to clone.
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

/// The same client in another region (empty: unchanged), with the time limits and retries of a delivery.
macro_rules! for_delivery {
    ($service:ident, $client:expr, $region:expr) => {{
        let mut config = $client.config().to_builder().timeout_config(timeouts()).retry_config(RetryConfig::standard());
        if !$region.is_empty() {
            config.set_region(Some($service::config::Region::new($region.to_owned())));
        }
        $service::Client::from_conf(config.build())
    }};
}

impl Clients {
    /// Clients at the endpoints, in the region and with the credentials of the settings.
    ///
    /// Buckets at an endpoint that isn't AWS are addressed by path: `bucket.localhost` resolves nowhere.
    pub fn new(aws: &Aws) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(&aws.config(Service::S3, ""))
            .force_path_style(aws.has_custom_endpoint(Service::S3))
            .build();
        Self {
            sqs: aws_sdk_sqs::Client::new(&aws.config(Service::Sqs, "")),
            sns: aws_sdk_sns::Client::new(&aws.config(Service::Sns, "")),
            eventbridge: aws_sdk_eventbridge::Client::new(&aws.config(Service::EventBridge, "")),
            lambda: aws_sdk_lambda::Client::new(&aws.config(Service::Lambda, "")),
            s3: aws_sdk_s3::Client::from_conf(s3),
        }
    }

    /// The clients for deliveries to a region. Buckets stay in the clients' own region: their ARNs name none.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self {
            sqs: for_delivery!(aws_sdk_sqs, self.sqs, region),
            sns: for_delivery!(aws_sdk_sns, self.sns, region),
            eventbridge: for_delivery!(aws_sdk_eventbridge, self.eventbridge, region),
            lambda: for_delivery!(aws_sdk_lambda, self.lambda, region),
            s3: for_delivery!(aws_sdk_s3, self.s3, ""),
        }
    }
}
