//! A backend, its queues, and what is put into them.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry};
use futures_util::future::try_join_all;
use pelton_testkit::backend::{DYNAMODB_VARIABLE, LOCALSTACK_VARIABLE, MINISTACK_VARIABLE};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

/// Bytes of a message body.
const MESSAGE_BYTES: usize = 220;
/// Calls that prepare or clean up run so many at a time.
const AT_ONCE: usize = 4;
/// Messages that one call sends, receives or deletes (SQS quota).
const BATCH: usize = 10;

/// A running backend.
#[derive(Clone)]
pub struct Backend {
    /// As it calls itself.
    pub name: &'static str,
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    /// For clients of other services.
    pub config: SdkConfig,
    /// Shared by all calls.
    pub sqs: Client,
    /// Amazon Kinesis.
    pub kinesis: aws_sdk_kinesis::Client,
    /// Amazon DynamoDB: of MiniStack itself, beside LocalStack of DynamoDB Local.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Its streams.
    pub dynamodb_streams: aws_sdk_dynamodbstreams::Client,
    /// Where DynamoDB is.
    pub dynamodb_endpoint: String,
}

/// A queue that a measurement has made.
#[derive(Debug, Clone)]
pub struct Queue {
    /// `QueueUrl`.
    pub url: String,
    /// `QueueArn`.
    pub arn: String,
}

impl Backend {
    /// The LocalStack that the environment names.
    pub async fn localstack() -> anyhow::Result<Self> {
        Self::connect("LocalStack", LOCALSTACK_VARIABLE).await
    }

    /// The MiniStack that the environment names.
    pub async fn ministack() -> anyhow::Result<Self> {
        Self::connect("MiniStack", MINISTACK_VARIABLE).await
    }

    async fn connect(name: &'static str, variable: &str) -> anyhow::Result<Self> {
        let endpoint = std::env::var(variable).with_context(|| format!("{variable}: run `cargo xtask bench`"))?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(Region::from_static("us-east-1"))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .load()
            .await;
        let dynamodb_endpoint = match name {
            "LocalStack" => std::env::var(DYNAMODB_VARIABLE).context("no DynamoDB Local: run `cargo xtask bench`")?,
            _ => endpoint.clone(),
        };
        let of_dynamodb = config.to_builder().endpoint_url(&dynamodb_endpoint).build();
        Ok(Self {
            name,
            endpoint,
            sqs: Client::new(&config),
            kinesis: aws_sdk_kinesis::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&of_dynamodb),
            dynamodb_streams: aws_sdk_dynamodbstreams::Client::new(&of_dynamodb),
            dynamodb_endpoint,
            config,
        })
    }

    /// What the backend says its version is.
    pub async fn version(&self) -> String {
        let url = format!("{}/_localstack/health", self.endpoint);
        let health = tokio::task::spawn_blocking(move || ureq::get(&url).call()?.body_mut().read_to_string()).await;
        let health = health.ok().and_then(Result::ok).and_then(|text| serde_json::from_str(&text).ok());
        let health: serde_json::Value = health.unwrap_or_default();
        format!("{} {}", self.name, health["version"].as_str().unwrap_or("of unknown version"))
    }

    /// An empty standard queue.
    pub async fn queue(&self) -> anyhow::Result<Queue> {
        let name = format!("bench-{}", Uuid::new_v4().simple());
        let visibility = (QueueAttributeName::VisibilityTimeout, "60");
        let made = self.sqs.create_queue().queue_name(&name).attributes(visibility.0, visibility.1).send().await;
        let url = made.context("creating a queue")?.queue_url.context("CreateQueue gave no URL")?;
        Ok(Queue { url, arn: format!("arn:aws:sqs:us-east-1:000000000000:{name}") })
    }

    /// Several of them.
    pub async fn queues(&self, count: usize) -> anyhow::Result<Vec<Queue>> {
        let mut queues = Vec::new();
        while queues.len() < count {
            let making = (0..AT_ONCE.min(count - queues.len())).map(|_| self.queue());
            queues.extend(try_join_all(making).await?);
        }
        Ok(queues)
    }

    /// Removes queues.
    pub async fn remove(&self, queues: &[Queue]) -> anyhow::Result<()> {
        for queues in queues.chunks(AT_ONCE) {
            try_join_all(queues.iter().map(|queue| self.sqs.delete_queue().queue_url(&queue.url).send())).await?;
        }
        Ok(())
    }

    /// A queue with `count` messages in it.
    pub async fn preloaded(&self, count: usize) -> anyhow::Result<Queue> {
        let queue = self.queue().await?;
        let next = AtomicUsize::new(0);
        let fill = || async {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return anyhow::Ok(());
                }
                let mut call = self.sqs.send_message_batch().queue_url(&queue.url);
                for number in first..count.min(first + BATCH) {
                    let entry = SendMessageBatchRequestEntry::builder().id(number.to_string());
                    call = call.entries(entry.message_body(body(number)).build()?);
                }
                let sent = call.send().await.context("sending messages")?;
                ensure!(sent.failed().is_empty(), "messages were refused: {:?}", sent.failed());
            }
        };
        try_join_all((0..AT_ONCE).map(|_| fill())).await?;
        Ok(queue)
    }

    /// Messages that a queue holds, hidden ones included.
    pub async fn waiting(&self, queue: &Queue) -> anyhow::Result<usize> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.sqs.get_queue_attributes().queue_url(&queue.url).set_attribute_names(Some(names.to_vec()));
        let attributes = call.send().await?.attributes.unwrap_or_default();
        names.iter().map(|name| Ok(attributes.get(name).context("no count of messages")?.parse::<usize>()?)).sum()
    }

    /// Messages a second of the simplest program there is: receive, delete, `at_once` times side by side; until `count`
    /// are deleted.
    pub async fn bare_loop(&self, queue: &Queue, count: usize, at_once: usize) -> anyhow::Result<f64> {
        let deleted = Arc::new(AtomicUsize::new(0));
        let mut loops = JoinSet::new();
        let started = Instant::now();
        for _ in 0..at_once {
            loops.spawn(receive_and_delete(self.sqs.clone(), queue.url.clone(), deleted.clone(), count));
        }
        // The first to end has seen the last message off; the others wait for more, and are dropped.
        loops.join_next().await.context("no loop")???;
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }
}

async fn receive_and_delete(sqs: Client, url: String, deleted: Arc<AtomicUsize>, count: usize) -> anyhow::Result<()> {
    loop {
        // Asks for what Pelton asks for.
        let receive = sqs.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
        let receive = receive.message_attribute_names("All");
        let receive = receive.message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All);
        let messages = receive.send().await?.messages.unwrap_or_default();
        if messages.is_empty() {
            continue;
        }
        let mut delete = sqs.delete_message_batch().queue_url(&url);
        for (i, message) in messages.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string());
            delete = delete.entries(entry.set_receipt_handle(message.receipt_handle.clone()).build()?);
        }
        let successful = delete.send().await?.successful.len();
        if deleted.fetch_add(successful, Ordering::Relaxed) + successful >= count {
            return Ok(());
        }
    }
}

/// JSON of exactly [`MESSAGE_BYTES`] bytes.
pub fn body(number: usize) -> String {
    let start = format!(r#"{{"kind":"order","id":{number},"note":""#);
    format!("{start:x<width$}\"}}", width = MESSAGE_BYTES - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_of_the_size_that_the_report_names() {
        for number in [0, 9, 4_999] {
            let body = body(number);
            assert_eq!(body.len(), MESSAGE_BYTES);
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(json["id"], number);
        }
    }
}
