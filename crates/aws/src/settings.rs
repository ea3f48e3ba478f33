//! SDK configuration: Pelton's own settings over the standard AWS environment and profile rules.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::origin::Origin;

/// The services that Pelton calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Amazon SQS.
    Sqs,
    /// AWS Lambda.
    Lambda,
    /// Amazon SNS.
    Sns,
    /// Amazon EventBridge.
    EventBridge,
    /// Amazon S3.
    S3,
    /// Amazon Kinesis Data Streams.
    Kinesis,
    /// Amazon DynamoDB.
    DynamoDb,
    /// Amazon DynamoDB Streams.
    DynamoDbStreams,
}

/// What `pelton.yaml` says of AWS. What it leaves out comes from the environment and the profile.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `Endpoint`: for every service that has none of its own.
    pub endpoint: Option<String>,
    /// `Endpoints`. That of DynamoDB is also that of DynamoDB Streams, if those have none of their own.
    pub endpoints: BTreeMap<Service, String>,
    /// `Region`.
    pub region: Option<String>,
    /// `CaBundle`, PEM; over `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
}

/// The settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// The CA bundle can't be read.
    #[error("can't read the CA bundle {path}: {source}")]
    CaBundle {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The CA bundle holds no certificate.
    #[error("the CA bundle {0} holds no PEM certificate")]
    NoCertificate(PathBuf),
    /// TLS refused the CA bundle.
    #[error("the CA bundle {path} can't be used: {message}")]
    Tls {
        /// Which.
        path: PathBuf,
        /// Why not.
        message: String,
    },
}

/// Gives each service its SDK configuration. One HTTP client, and so one connection pool, for all.
#[derive(Debug, Clone)]
pub struct Aws {
    base: SdkConfig,
    settings: Settings,
}

impl Aws {
    /// Reads the environment, the profile and the CA bundle.
    pub async fn new(settings: Settings) -> Result<Self, AwsError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_attempt_timeout(Duration::from_secs(10))
                    .operation_timeout(Duration::from_secs(30))
                    .build(),
            );
        // A constant that is known to be a valid name.
        if let Ok(name) = AppName::new("pelton") {
            loader = loader.app_name(name);
        }
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let ca_bundle = settings.ca_bundle.clone().or_else(|| std::env::var_os("AWS_CA_BUNDLE").map(PathBuf::from));
        // Also without a bundle of its own: left to itself, each of the SDK's clients would make a pool, and load the
        // system's certificates, for itself.
        let http_client = http_client(ca_bundle.filter(|path| !path.as_os_str().is_empty()))?;
        loader = loader.http_client(http_client);
        Ok(Self { base: loader.load().await, settings })
    }

    /// The region that applies where no ARN says another.
    pub fn region(&self) -> Option<&str> {
        self.base.region().map(Region::as_ref)
    }

    /// The configuration of a service in a region; an empty region means the default one.
    pub fn config(&self, service: Service, region: &str) -> SdkConfig {
        let mut builder = self.base.clone().into_builder();
        if !region.is_empty() {
            builder.set_region(Some(Region::new(region.to_owned())));
        }
        if let Some(endpoint) = self.endpoint(service) {
            builder.set_endpoint_url(Some(endpoint.to_owned()));
            // Without its origin the SDK would prefer AWS_ENDPOINT_URL_<SERVICE> to it.
            builder.insert_origin("endpoint_url", Origin::shared_config());
        }
        builder.build()
    }

    /// The endpoint that the settings name for a service. The environment may name another one (`AWS_ENDPOINT_URL`).
    fn endpoint(&self, service: Service) -> Option<&str> {
        let endpoints = &self.settings.endpoints;
        let own = endpoints.get(&service).or_else(|| match service {
            // DynamoDB Local serves both.
            Service::DynamoDbStreams => endpoints.get(&Service::DynamoDb),
            _ => None,
        });
        own.or(self.settings.endpoint.as_ref()).map(String::as_str)
    }

    /// Whether a service is reached somewhere else than at AWS: an emulator.
    pub fn has_custom_endpoint(&self, service: Service) -> bool {
        self.custom_endpoint(service).is_some()
    }

    /// Where a service is reached, if that isn't AWS.
    pub fn custom_endpoint(&self, service: Service) -> Option<String> {
        let variable = match service {
            Service::Sqs => "AWS_ENDPOINT_URL_SQS",
            Service::Lambda => "AWS_ENDPOINT_URL_LAMBDA",
            Service::Sns => "AWS_ENDPOINT_URL_SNS",
            Service::EventBridge => "AWS_ENDPOINT_URL_EVENTBRIDGE",
            Service::S3 => "AWS_ENDPOINT_URL_S3",
            Service::Kinesis => "AWS_ENDPOINT_URL_KINESIS",
            Service::DynamoDb => "AWS_ENDPOINT_URL_DYNAMODB",
            Service::DynamoDbStreams => "AWS_ENDPOINT_URL_DYNAMODB_STREAMS",
        };
        let of_the_environment = || std::env::var_os(variable).map(|url| url.to_string_lossy().into_owned());
        let of_all = || self.base.endpoint_url().map(str::to_owned);
        self.endpoint(service).map(str::to_owned).or_else(of_the_environment).or_else(of_all)
    }
}

/// The SDK's default client, which takes proxies from the environment, with the bundle's certificates added.
fn http_client(ca_bundle: Option<PathBuf>) -> Result<SharedHttpClient, AwsError> {
    let context = ca_bundle.map(tls_context).transpose()?.unwrap_or_default();
    Ok(aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = aws_smithy_http_client::ConnectorBuilder::default()
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    }))
}

fn tls_context(path: PathBuf) -> Result<TlsContext, AwsError> {
    let pem = std::fs::read(&path).map_err(|source| AwsError::CaBundle { path: path.clone(), source })?;
    if !pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") {
        return Err(AwsError::NoCertificate(path));
    }
    TlsContext::builder()
        .with_trust_store(TrustStore::default().with_pem_certificate(pem))
        .build()
        .map_err(|error| AwsError::Tls { path, message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_services_own_endpoint_wins_and_both_win_over_the_environment() {
        let settings = Settings {
            endpoint: Some("http://all".into()),
            endpoints: BTreeMap::from([(Service::Sqs, "http://queues".into())]),
            region: Some("eu-west-1".into()),
            ca_bundle: None,
        };
        let aws = Aws::new(settings).await.unwrap();
        let (queues, topics) = (aws.config(Service::Sqs, ""), aws.config(Service::Sns, "us-east-2"));
        assert_eq!((queues.endpoint_url(), topics.endpoint_url()), (Some("http://queues"), Some("http://all")));
        assert_eq!(queues.region().map(Region::as_ref), Some("eu-west-1"));
        assert_eq!(topics.region().map(Region::as_ref), Some("us-east-2"));
        // What the SDK asks before it prefers AWS_ENDPOINT_URL_<SERVICE>.
        assert!(queues.get_origin("endpoint_url").is_client_config());
        assert!(aws.has_custom_endpoint(Service::S3));
    }

    #[tokio::test]
    async fn the_streams_of_dynamodb_are_where_dynamodb_is_unless_they_have_a_place_of_their_own() {
        let aws = async |endpoints: &[(Service, &str)]| {
            let endpoints = endpoints.iter().map(|(service, url)| (*service, (*url).to_owned())).collect();
            Aws::new(Settings { endpoint: Some("http://all".into()), endpoints, ..Settings::default() }).await.unwrap()
        };
        let url = |aws: &Aws, service| aws.config(service, "").endpoint_url().map(str::to_owned);
        let shared = aws(&[(Service::DynamoDb, "http://local")]).await;
        assert_eq!(url(&shared, Service::DynamoDbStreams).as_deref(), Some("http://local"));
        assert_eq!(url(&shared, Service::Kinesis).as_deref(), Some("http://all"));
        let apart = aws(&[(Service::DynamoDb, "http://local"), (Service::DynamoDbStreams, "http://streams")]).await;
        assert_eq!(url(&apart, Service::DynamoDbStreams).as_deref(), Some("http://streams"));
        assert_eq!(url(&apart, Service::DynamoDb).as_deref(), Some("http://local"));
        let streams = aws(&[(Service::DynamoDbStreams, "http://streams")]).await;
        assert_eq!(url(&streams, Service::DynamoDb).as_deref(), Some("http://all"));
    }

    #[tokio::test]
    async fn a_ca_bundle_that_is_missing_or_none_is_named() {
        let with = |path: &str| Settings { ca_bundle: Some(path.into()), ..Settings::default() };
        let missing = Aws::new(with("/nowhere/ca.pem")).await.unwrap_err();
        assert!(missing.to_string().starts_with("can't read the CA bundle /nowhere/ca.pem: "), "{missing}");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(matches!(Aws::new(with(path)).await, Err(AwsError::NoCertificate(_))));
    }
}
