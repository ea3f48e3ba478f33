//! The SDK calls, each with the time limit and retries that fit its meaning.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::join_all;
use pelton_aws::classify;
use pelton_core::{Arn, AsyncEvent, ErrorKind, StoreError};
use tokio::time::Instant;

use crate::message::{Outgoing, attribute};

/// Entries in one batch call, and messages in one receive (SQS quota).
pub const BATCH: usize = 10;
/// The longest that SQS lets a receive wait (SQS quota).
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// What a receive may take beyond its wait. Without a limit a half-open connection would hang it for ever.
const RECEIVE_MARGIN: Duration = Duration::from_secs(10);
/// The longest delay of a message (SQS quota).
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// What messages are hidden for: as the queue says, but long enough to be extended, and no longer than SQS allows.
const VISIBILITY_TIMEOUTS: std::ops::RangeInclusive<u64> = 3..=43_200;
/// `MaximumMessageSize` of a queue that doesn't say: 256 KiB, SQS's limit until August 2025.
const DEFAULT_LIMIT: usize = 262_144;
/// How long the queue's settings are believed before they are read again.
const LIFETIME: Duration = Duration::from_secs(60);

/// The queue as it was when it was last looked up.
#[derive(Debug)]
pub struct Known {
    url: String,
    /// How long a message is hidden once it is received.
    pub visibility_timeout: Duration,
    /// `RedrivePolicy.maxReceiveCount`, if there is a dead-letter queue.
    pub maximum_receives: Option<u32>,
    /// `MaximumMessageSize`.
    limit: usize,
}

/// Calls SQS for one queue.
#[derive(Debug)]
pub struct Client {
    calls: aws_sdk_sqs::Client,
    receives: aws_sdk_sqs::Client,
    arn: Arn,
    known: Mutex<Option<(Arc<Known>, Instant)>>,
}

impl Client {
    pub fn new(config: &aws_config::SdkConfig, arn: Arn) -> Self {
        let calls = aws_sdk_sqs::Client::new(config);
        // One attempt: a repeated receive after a lost answer would hide more messages.
        let receives = aws_sdk_sqs::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_timeout(LONGEST_WAIT + RECEIVE_MARGIN)
                    .operation_attempt_timeout(LONGEST_WAIT + RECEIVE_MARGIN)
                    .build(),
            )
            .build();
        Self { calls, receives: aws_sdk_sqs::Client::from_conf(receives), arn, known: Mutex::default() }
    }

    pub fn arn(&self) -> &Arn {
        &self.arn
    }

    /// The queue. Read again when what is known is old; if that fails, what is known serves on.
    pub async fn queue(&self) -> Result<Arc<Known>, StoreError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((known, read_at)) = &known
            && read_at.elapsed() < LIFETIME
        {
            return Ok(known.clone());
        }
        let read = match (self.look_up().await, known) {
            (Ok(read), _) => Arc::new(read),
            (Err(_), Some((known, _))) => known,
            (Err(error), None) => return Err(error),
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((read.clone(), Instant::now()));
        Ok(read)
    }

    async fn look_up(&self) -> Result<Known, StoreError> {
        let (name, owner) = (self.arn.resource(), self.arn.account());
        let found = self.calls.get_queue_url().queue_name(name).queue_owner_aws_account_id(owner).send().await;
        let found = found.map_err(|error| self.failed("GetQueueUrl", &error))?;
        let url = found.queue_url.ok_or_else(|| self.malformed("GetQueueUrl", "it has no QueueUrl"))?;
        let attributes = self.calls.get_queue_attributes().queue_url(&url);
        let attributes = attributes
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .attribute_names(QueueAttributeName::MaximumMessageSize)
            .send()
            .await
            .map_err(|error| self.failed("GetQueueAttributes", &error))?;
        let attribute = |name| attributes.attributes().and_then(|attributes| attributes.get(&name)).map(String::as_str);
        let seconds: u64 = attribute(QueueAttributeName::VisibilityTimeout)
            .and_then(|seconds| seconds.parse().ok())
            .ok_or_else(|| self.malformed("GetQueueAttributes", "it has no VisibilityTimeout"))?;
        let limit = attribute(QueueAttributeName::MaximumMessageSize).and_then(|limit| limit.parse().ok());
        Ok(Known {
            url,
            visibility_timeout: Duration::from_secs(
                seconds.clamp(*VISIBILITY_TIMEOUTS.start(), *VISIBILITY_TIMEOUTS.end()),
            ),
            maximum_receives: attribute(QueueAttributeName::RedrivePolicy).and_then(maximum_receives),
            limit: limit.unwrap_or(DEFAULT_LIMIT),
        })
    }

    /// Sends an event that nobody gets before `delay` is over, cut to whole seconds and to the 15 minutes that SQS allows.
    pub async fn send(&self, event: &AsyncEvent, delay: Duration) -> Result<(), StoreError> {
        let queue = self.queue().await?;
        let Outgoing { body, attributes } = Outgoing::of(event, queue.limit)?;
        let mut call = self.calls.send_message().queue_url(&queue.url).message_body(body);
        for (name, value) in attributes {
            // One without a type is never made.
            if let Some(value) = attribute(value) {
                call = call.message_attributes(name, value);
            }
        }
        let seconds = i32::try_from(delay.min(LONGEST_DELAY).as_secs()).unwrap_or_default();
        // Also 0: the queue may have a delay of its own.
        let sent = call.delay_seconds(seconds).send().await;
        sent.map(|_| ()).map_err(|error| self.failed("SendMessage", &error))
    }

    /// One ReceiveMessage. `wait` is cut to whole seconds.
    pub async fn receive(&self, queue: &Known, count: usize, wait: Duration) -> Result<Vec<Message>, StoreError> {
        let whole = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
        let received = self
            .receives
            .receive_message()
            .queue_url(&queue.url)
            .max_number_of_messages(whole(count.clamp(1, BATCH) as u64))
            .wait_time_seconds(whole(wait.min(LONGEST_WAIT).as_secs()))
            .visibility_timeout(whole(queue.visibility_timeout.as_secs()))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| self.failed("ReceiveMessage", &error))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Deletes messages. A receipt that is no longer good is no error: whoever received the message since deletes it.
    pub async fn delete(&self, receipts: &[String]) -> Result<(), StoreError> {
        let queue = self.queue().await?;
        let calls = receipts.chunks(BATCH).map(async |chunk| {
            let mut call = self.calls.delete_message_batch().queue_url(&queue.url);
            for (i, receipt) in chunk.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string()).receipt_handle(receipt).build();
                call = call.entries(entry.map_err(|error| self.malformed("DeleteMessageBatch", &error.to_string()))?);
            }
            let deleted = call.send().await.map_err(|error| self.failed("DeleteMessageBatch", &error))?;
            match deleted.failed().iter().find(|entry| !is_expired(entry)) {
                Some(entry) => Err(self.malformed("DeleteMessageBatch", &words(entry))),
                None => Ok(()),
            }
        });
        join_all(calls).await.into_iter().collect()
    }

    /// Hides messages for a time from now on, cut to whole seconds. Gives the indexes of those whose receipt is no longer
    /// good, or that can't be hidden any longer; what fails in passing is not among them.
    ///
    /// # Errors
    /// For none of them is it known.
    pub async fn hide(&self, changes: &[(String, Duration)]) -> Result<Vec<usize>, StoreError> {
        let queue = self.queue().await?;
        let mut call = self.calls.change_message_visibility_batch().queue_url(&queue.url);
        for (i, (receipt, time)) in changes.iter().enumerate() {
            let seconds = time.as_secs().min(*VISIBILITY_TIMEOUTS.end());
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(i.to_string())
                .receipt_handle(receipt)
                .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
                .build();
            call = call
                .entries(entry.map_err(|error| self.malformed("ChangeMessageVisibilityBatch", &error.to_string()))?);
        }
        let changed = call.send().await.map_err(|error| self.failed("ChangeMessageVisibilityBatch", &error))?;
        let lost = changed.failed().iter().filter(|entry| entry.sender_fault() || is_expired(entry));
        Ok(lost.filter_map(|entry| entry.id().parse().ok()).collect())
    }

    fn failed<E>(&self, call: &str, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = classify(error);
        let text = format!("{call} on AsyncQueue {} failed: {}", self.arn, failure.message);
        match failure.kind {
            ErrorKind::Transient | ErrorKind::Throttled { .. } => StoreError::Unavailable(text),
            ErrorKind::Refused | ErrorKind::Missing | ErrorKind::Payload => {
                // The queue may have been deleted, and perhaps made anew under another URL.
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
                StoreError::Refused(text)
            }
        }
    }

    fn malformed(&self, call: &str, what: &str) -> StoreError {
        StoreError::Unavailable(format!("{call} on AsyncQueue {} gave an answer that can't be used: {what}", self.arn))
    }
}

/// `{"deadLetterTargetArn":"…","maxReceiveCount":3}`; some backends write the number as a string.
fn maximum_receives(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    count.as_u64().and_then(|count| u32::try_from(count).ok()).or_else(|| count.as_str()?.parse().ok())
}

fn words(entry: &BatchResultErrorEntry) -> String {
    format!("{}: {}", entry.code(), entry.message().unwrap_or("no further explanation"))
}

fn is_expired(entry: &BatchResultErrorEntry) -> bool {
    let message = entry.message().unwrap_or_default();
    // LocalStack names its own exceptions here.
    let code = entry.code().trim_end_matches("Exception");
    code.ends_with("ReceiptHandleIsInvalid")
        || (code.ends_with("InvalidParameterValue")
            && ["ReceiptHandle", "receipt handle"].iter().any(|it| message.contains(it)))
}
