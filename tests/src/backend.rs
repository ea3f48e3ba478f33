//! A backend, and names that nobody else uses there.
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::{Function, Queue};

/// The account of all test backends.
const ACCOUNT: &str = "000000000000";

/// One backend with the clients that tests use.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Its URL.
    pub endpoint: String,
    /// SDK settings that point to it.
    pub config: SdkConfig,
    /// Amazon SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Amazon SNS.
    pub sns: aws_sdk_sns::Client,
    /// Amazon EventBridge.
    pub events: aws_sdk_eventbridge::Client,
    /// Amazon S3, with buckets in the path.
    pub s3: aws_sdk_s3::Client,
    /// AWS Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// Amazon Kinesis.
    pub kinesis: aws_sdk_kinesis::Client,
    /// Where DynamoDB and its streams are: LocalStack has none here, so that DynamoDB Local stands beside it.
    pub dynamodb_endpoint: String,
    /// Amazon DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Amazon DynamoDB Streams.
    pub dynamodb_streams: aws_sdk_dynamodbstreams::Client,
}

impl Backend {
    /// LocalStack, with DynamoDB Local beside it.
    pub async fn localstack() -> Self {
        Self::beside(pelton_testkit::backend::localstack(), pelton_testkit::backend::dynamodb()).await
    }

    /// MiniStack, which also executes functions.
    pub async fn ministack() -> Self {
        Self::at(pelton_testkit::backend::ministack()).await
    }

    /// Whatever answers at `endpoint`.
    pub async fn at(endpoint: String) -> Self {
        Self::beside(endpoint.clone(), endpoint).await
    }

    async fn beside(endpoint: String, dynamodb_endpoint: String) -> Self {
        let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(&endpoint)
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let beside = config.to_builder().endpoint_url(&dynamodb_endpoint).build();
        Self {
            sqs: aws_sdk_sqs::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            lambda: aws_sdk_lambda::Client::new(&config),
            kinesis: aws_sdk_kinesis::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&beside),
            dynamodb_streams: aws_sdk_dynamodbstreams::Client::new(&beside),
            dynamodb_endpoint,
            endpoint,
            config,
        }
    }

    /// A configuration for this backend: functions, mappings, and the endpoints.
    pub fn configuration(&self, functions: &[&Function], mappings: Vec<Value>) -> Value {
        let entries: Vec<Value> = functions.iter().map(|function| function.entry()).collect();
        json!({
            "Endpoint": self.endpoint, "Endpoints": { "DynamoDB": self.dynamodb_endpoint }, "Functions": entries,
            "EventSourceMappings": mappings,
        })
    }

    /// A name of its own.
    pub fn name(what: &str) -> String {
        format!("{what}-{}", uuid::Uuid::new_v4().simple())
    }

    /// The ARN of something in the test account.
    pub fn arn(service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}")
    }

    /// A standard queue of its own, whose messages stay hidden for `visibility` seconds.
    pub async fn queue(&self, visibility: u32) -> Queue {
        self.create_queue(&Self::name("q"), visibility, &[]).await
    }

    /// A FIFO queue of its own.
    pub async fn fifo_queue(&self, visibility: u32) -> Queue {
        let name = format!("{}.fifo", Self::name("q"));
        self.create_queue(&name, visibility, &[(QueueAttributeName::FifoQueue, "true".into())]).await
    }

    /// A queue of its own with a dead-letter queue after `maximum_receives`: first itself, then that.
    pub async fn queue_with_dead_letters(&self, visibility: u32, maximum_receives: u32) -> (Queue, Queue) {
        let dead = self.queue(30).await;
        let policy = serde_json::json!({ "deadLetterTargetArn": dead.arn, "maxReceiveCount": maximum_receives });
        let attributes = [(QueueAttributeName::RedrivePolicy, policy.to_string())];
        (self.create_queue(&Self::name("q"), visibility, &attributes).await, dead)
    }

    /// A queue with a name.
    pub async fn create_queue(
        &self,
        name: &str,
        visibility: u32,
        attributes: &[(QueueAttributeName, String)],
    ) -> Queue {
        let mut create = self.sqs.create_queue().queue_name(name);
        create = create.attributes(QueueAttributeName::VisibilityTimeout, visibility.to_string());
        for (attribute, value) in attributes {
            create = create.attributes(attribute.clone(), value);
        }
        create.send().await.unwrap();
        // Not the answer's URL: LocalStack's may name a host that doesn't resolve here.
        let url = format!("{}/{ACCOUNT}/{name}", self.endpoint);
        Queue { client: self.sqs.clone(), url, arn: Self::arn("sqs", name), name: name.to_owned() }
    }

    /// A Python function behind the Lambda API; `code` defines `handler`. Gives its ARN.
    pub async fn create_function(&self, name: &str, code: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.py"), code).unwrap();
        let mut zip = std::process::Command::new("python3");
        zip.args(["-m", "zipfile", "-c", "app.zip", "app.py"]).current_dir(folder.path());
        assert!(zip.status().unwrap().success());
        let archive = std::fs::read(folder.path().join("app.zip")).unwrap();
        let code = FunctionCode::builder().zip_file(Blob::new(archive)).build();
        let create = self.lambda.create_function().function_name(name).code(code).timeout(10);
        let create = create.runtime(Runtime::Python311).handler("app.handler");
        create.role(format!("arn:aws:iam::{ACCOUNT}:role/lambda-role")).send().await.unwrap();
        Self::arn("lambda", &format!("function:{name}"))
    }
}
