//! SDK clients, made from the configuration: one set a region.
use std::time::Duration;

use anyhow::Context as _;
use pelton_aws::{Service, Settings};
use pelton_config::Configuration;

/// How long an idle poll of AWS itself waits: SQS's longest.
const AWS_WAIT: Duration = Duration::from_secs(20);
/// The same for an emulator: shorter, because a stop waits for the poll under way, and requests there cost nothing.
const EMULATOR_WAIT: Duration = Duration::from_secs(6);
/// Lambda's base rate of reads of a shard (developer guide, "Using Lambda with Kinesis": once a second).
const AWS_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The same for an emulator: as often as five reads a second allow.
const EMULATOR_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The account that emulators have unless they are told another.
const EMULATORS_ACCOUNT: &str = "000000000000";
/// How long STS is waited for.
const STS_PATIENCE: Duration = Duration::from_secs(3);
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
            (Service::Kinesis, &endpoints.kinesis),
            (Service::DynamoDb, &endpoints.dynamodb),
            (Service::DynamoDbStreams, &endpoints.dynamodb_streams),
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

    /// The SDK configuration of Kinesis.
    pub fn kinesis_config(&self, region: &str) -> aws_config::SdkConfig {
        self.aws.config(Service::Kinesis, region)
    }

    /// The SDK configuration of DynamoDB Streams.
    pub fn dynamodb_streams_config(&self, region: &str) -> aws_config::SdkConfig {
        self.aws.config(Service::DynamoDbStreams, region)
    }

    /// How long a read of a stream that found nothing is followed by none, unless the mapping says otherwise.
    pub fn poll_interval(&self, service: &str) -> Duration {
        let service = if service == "dynamodb" { Service::DynamoDbStreams } else { Service::Kinesis };
        if self.aws.has_custom_endpoint(service) { EMULATOR_POLL_INTERVAL } else { AWS_POLL_INTERVAL }
    }

    /// A client of SQS in a region; an empty one means the default.
    pub fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sqs_config(region))
    }

    /// Where Lambda is reached, if that isn't AWS itself.
    pub fn lambda_endpoint(&self) -> Option<String> {
        self.aws.custom_endpoint(Service::Lambda)
    }

    /// The account of functions that are named without one: that of the file's mappings, else of the credentials, if
    /// Lambda is AWS itself, else [`EMULATORS_ACCOUNT`].
    pub async fn account(&self, configuration: &Configuration) -> String {
        if let Some(mapping) = configuration.mappings.first() {
            return mapping.function_arn.account().to_owned();
        }
        if self.lambda_endpoint().is_none() {
            let sts = aws_sdk_sts::Client::new(&self.aws.config(Service::Lambda, self.region()));
            let asked = tokio::time::timeout(STS_PATIENCE, sts.get_caller_identity().send()).await;
            if let Ok(Ok(identity)) = asked
                && let Some(account) = identity.account
            {
                return account;
            }
            tracing::info!(
                "STS doesn't say which account the credentials are of: functions that are named without one are taken to \
                 be of {EMULATORS_ACCOUNT}"
            );
        }
        EMULATORS_ACCOUNT.to_owned()
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

    /// A client of Kinesis.
    pub fn kinesis(&self, region: &str) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&self.kinesis_config(region))
    }

    /// A client of DynamoDB.
    pub fn dynamodb(&self, region: &str) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.aws.config(Service::DynamoDb, region))
    }

    /// A client of DynamoDB Streams.
    pub fn dynamodb_streams(&self, region: &str) -> aws_sdk_dynamodbstreams::Client {
        aws_sdk_dynamodbstreams::Client::new(&self.dynamodb_streams_config(region))
    }
}
