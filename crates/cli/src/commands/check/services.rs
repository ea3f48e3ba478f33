//! Asks AWS, or what stands in for it, whether something is there. Reads only; every ARN is asked for once.
use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;
use pelton_aws::{Failure, classify};
use pelton_core::{Arn, ErrorKind};

use crate::aws::Aws;

/// What was said about one ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is there; the time is a queue's visibility timeout or a function's timeout, where it was said.
    There(Option<Duration>),
    /// It isn't.
    Missing,
    /// The service refuses to say.
    Refused(String),
    /// The service can't be asked, or answers in a way that says nothing.
    Unknown(String),
}

/// The services, and what they have said so far.
pub struct Services<'a> {
    aws: &'a Aws,
    answers: BTreeMap<Arn, Answer>,
    /// Services that can't be asked, so that it isn't tried again for every ARN.
    silent: BTreeMap<String, String>,
}

impl<'a> Services<'a> {
    pub fn new(aws: &'a Aws) -> Self {
        Self { aws, answers: BTreeMap::new(), silent: BTreeMap::new() }
    }

    /// Whether something is there. A bucket's ARN says no region, so a bucket is asked for in `home`.
    pub async fn ask(&mut self, arn: &Arn, home: &str) -> Answer {
        if let Some(answer) = self.answers.get(arn) {
            return answer.clone();
        }
        if let Some(reason) = self.silent.get(arn.service()) {
            return Answer::Unknown(reason.clone());
        }
        let answer = match arn.service() {
            "sqs" => self.queue(arn).await,
            "lambda" => self.function(&arn.to_string(), arn.region()).await,
            "sns" => self.topic(arn).await,
            "events" => self.event_bus(arn).await,
            "kinesis" => self.kinesis_stream(arn).await,
            "dynamodb" => self.dynamodb_stream(arn).await,
            _ => self.bucket(arn, home).await,
        };
        if let Answer::Unknown(reason) = &answer {
            self.silent.insert(arn.service().to_owned(), reason.clone());
        }
        self.answers.insert(arn.clone(), answer.clone());
        answer
    }

    /// The enabled mappings that Lambda in a region itself has for a source, as `UUID → function`. Nothing if it doesn't
    /// say.
    pub async fn other_mappings(&self, source: &Arn, region: &str) -> Vec<String> {
        if self.silent.contains_key("lambda") {
            return Vec::new();
        }
        let listed = self.aws.lambda(region).list_event_source_mappings().event_source_arn(source.to_string()).send();
        let Ok(listed) = listed.await else { return Vec::new() };
        let enabled = listed.event_source_mappings().iter().filter(|mapping| mapping.state() != Some("Disabled"));
        enabled
            .map(|mapping| {
                let (id, function) = (mapping.uuid().unwrap_or("?"), mapping.function_arn().unwrap_or("?"));
                format!("{id} → {function}")
            })
            .collect()
    }

    async fn queue(&self, arn: &Arn) -> Answer {
        let client = self.aws.sqs(arn.region());
        let found = client.get_queue_url().queue_name(arn.resource()).queue_owner_aws_account_id(arn.account()).send();
        let url = match found.await {
            Ok(found) => found.queue_url.unwrap_or_default(),
            Err(error) => return interpret("SQS GetQueueUrl", &error),
        };
        let attributes =
            client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::VisibilityTimeout).send();
        match attributes.await {
            Ok(answer) => {
                let seconds = answer
                    .attributes
                    .and_then(|mut attributes| attributes.remove(&QueueAttributeName::VisibilityTimeout));
                Answer::There(seconds.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs))
            }
            Err(error) => interpret("SQS GetQueueAttributes", &error),
        }
    }

    /// Whether a function is there that is named in any of AWS's ways; `home` is the region where the name says none.
    /// Asked each time.
    pub async fn function_named(&self, name: &str, home: &str) -> Answer {
        if let Some(reason) = self.silent.get("lambda") {
            return Answer::Unknown(reason.clone());
        }
        let arn = name.parse::<Arn>();
        self.function(name, arn.as_ref().map_or(home, Arn::region)).await
    }

    async fn function(&self, name: &str, region: &str) -> Answer {
        match self.aws.lambda(region).get_function().function_name(name).send().await {
            Ok(answer) => {
                let seconds = answer.configuration.and_then(|configuration| configuration.timeout);
                Answer::There(seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs))
            }
            Err(error) => interpret("Lambda GetFunction", &error),
        }
    }

    async fn topic(&self, arn: &Arn) -> Answer {
        match self.aws.sns(arn.region()).get_topic_attributes().topic_arn(arn.to_string()).send().await {
            Ok(_) => Answer::There(None),
            Err(error) => interpret("SNS GetTopicAttributes", &error),
        }
    }

    async fn event_bus(&self, arn: &Arn) -> Answer {
        let name = arn.resource().strip_prefix("event-bus/").unwrap_or(arn.resource());
        match self.aws.eventbridge(arn.region()).describe_event_bus().name(name).send().await {
            Ok(_) => Answer::There(None),
            Err(error) => interpret("EventBridge DescribeEventBus", &error),
        }
    }

    async fn kinesis_stream(&self, arn: &Arn) -> Answer {
        let client = self.aws.kinesis(arn.region());
        if arn.resource().contains("/consumer/") {
            return match client.describe_stream_consumer().consumer_arn(arn.to_string()).send().await {
                Ok(_) => Answer::There(None),
                Err(error) => interpret("Kinesis DescribeStreamConsumer", &error),
            };
        }
        match client.describe_stream_summary().stream_arn(arn.to_string()).send().await {
            Ok(_) => Answer::There(None),
            Err(error) => interpret("Kinesis DescribeStreamSummary", &error),
        }
    }

    async fn dynamodb_stream(&self, arn: &Arn) -> Answer {
        let client = self.aws.dynamodb_streams(arn.region());
        match client.describe_stream().stream_arn(arn.to_string()).limit(1).send().await {
            Ok(_) => Answer::There(None),
            Err(error) => interpret("DynamoDB Streams DescribeStream", &error),
        }
    }

    async fn bucket(&self, arn: &Arn, region: &str) -> Answer {
        match self.aws.s3(region).head_bucket().bucket(arn.resource()).send().await {
            Ok(_) => Answer::There(None),
            Err(error) => {
                // A HEAD has no body to hold an error code.
                match error.raw_response().map(|response| response.status().as_u16()) {
                    Some(404) => Answer::Missing,
                    Some(301) => Answer::There(None),
                    Some(403) => Answer::Refused("S3 HeadBucket: HTTP status 403".into()),
                    _ => interpret("S3 HeadBucket", &error),
                }
            }
        }
    }
}

/// Whether a DynamoDB table is there.
pub async fn table(client: &aws_sdk_dynamodb::Client, name: &str) -> Answer {
    match client.describe_table().table_name(name).send().await {
        Ok(_) => Answer::There(None),
        Err(error) => interpret("DynamoDB DescribeTable", &error),
    }
}

fn interpret<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Answer
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Failure { kind, code, message, .. } = classify(error);
    let code = code.unwrap_or_default();
    let is_missing = ["NotFound", "NonExistentQueue", "QueueDoesNotExist"].iter().any(|part| code.contains(part));
    match kind {
        // SAM's Lambda endpoint invokes, and knows no other request.
        _ if code == "PathNotFoundLocally" => Answer::Refused(format!("{call}: {message}")),
        _ if is_missing => Answer::Missing,
        ErrorKind::Refused if !code.is_empty() => Answer::Refused(format!("{call}: {message}")),
        _ => Answer::Unknown(format!("{call}: {message}")),
    }
}
