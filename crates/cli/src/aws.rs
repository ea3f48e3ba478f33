//! SDK clients, made from the configuration: one set a region.
use std::time::Duration;

use anyhow::Context as _;
use pelton_aws::{Service, Settings};
use pelton_config::Configuration;

/// How long an idle poll of AWS itself waits: SQS's longest.
const AWS_WAIT: Duration = Duration::from_secs(20);
/// The same for an emulator: shorter, because a stop waits for the poll under way, and requests there cost nothing.
const EMULATOR_WAIT: Duration = Duration::from_secs(6);
/// AWS's own default, where neither file, environment nor profile names a region.
const DEFAULT_REGION: &str = "us-east-1";

/// Makes clients.
#[derive(Debug, Clone)]
pub struct Aws {
    aws: pelton_aws::Aws,
}

impl Aws {
    /// Reads the environment, the profile and the CA bundle.
    pub async fn new(configuration: &Configuration) -> anyhow::Result<Self> {
        let endpoints = &configuration.endpoints;
        let endpoints = [
            (Service::Sqs, &endpoints.sqs),
            (Service::Lambda, &endpoints.lambda),
            (Service::Sns, &endpoints.sns),
            (Service::EventBridge, &endpoints.eventbridge),
            (Service::S3, &endpoints.s3),
        ];
        let settings = Settings {
            endpoint: configuration.endpoint.clone(),
            endpoints: endpoints.into_iter().filter_map(|(service, url)| Some((service, url.clone()?))).collect(),
            region: configuration.region.clone(),
            ca_bundle: configuration.ca_bundle.clone(),
        };
        let aws = pelton_aws::Aws::new(settings).await.context("the AWS settings can't be used")?;
        Ok(Self { aws })
    }

    /// The region of what is named without an ARN.
    pub fn region(&self) -> &str {
        self.aws.region().unwrap_or(DEFAULT_REGION)
    }

    /// The SDK configuration of SQS.
    pub fn sqs_config(&self, region: &str) -> aws_config::SdkConfig {
        self.aws.config(Service::Sqs, region)
    }

    /// How long an idle poll of a queue waits.
    pub fn idle_wait(&self) -> Duration {
        if self.aws.has_custom_endpoint(Service::Sqs) { EMULATOR_WAIT } else { AWS_WAIT }
    }

    /// A client of SQS in a region; an empty one means the default.
    pub fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sqs_config(region))
    }

    /// A client of Lambda.
    pub fn lambda(&self, region: &str) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.aws.config(Service::Lambda, region))
    }

    /// A client of SNS.
    pub fn sns(&self, region: &str) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.aws.config(Service::Sns, region))
    }

    /// A client of EventBridge.
    pub fn eventbridge(&self, region: &str) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.aws.config(Service::EventBridge, region))
    }

    /// A client of S3. Emulators are addressed by path: a bucket's own host name wouldn't resolve.
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.aws.config(Service::S3, region))
            .force_path_style(self.aws.has_custom_endpoint(Service::S3));
        aws_sdk_s3::Client::from_conf(config.build())
    }
}
