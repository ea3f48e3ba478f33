//! The SDK calls, each with the time limit and retries that fit its meaning.
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use pelton_aws::classify;
use pelton_core::{Arn, Receipt, SettleError, SourceError, Unsettled};

use crate::queue::Queue;

/// Entries in one batch call, and messages in one receive (SQS quota).
pub const BATCH: usize = 10;
/// The longest that SQS lets a receive wait (SQS quota: 20 s).
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// What a receive may take beyond its wait. Without a limit a half-open connection would hang it for ever.
const RECEIVE_MARGIN: Duration = Duration::from_secs(10);
/// The longest visibility timeout (SQS quota: 12 hours).
const LONGEST_VISIBILITY: u64 = 43_200;

/// Calls SQS in one region. Cheap to clone: all queues of the region share one.
#[derive(Debug, Clone)]
pub struct Client {
    calls: aws_sdk_sqs::Client,
    receives: aws_sdk_sqs::Client,
}

impl Client {
    /// From an SDK configuration with region, credentials and, where it isn't AWS, endpoint.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        let calls = aws_sdk_sqs::Client::new(config);
        // One attempt: the engine's pause after an error is the retry, and a repeated receive after a lost answer
        // would hide a second batch of messages.
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
        Self { calls, receives: aws_sdk_sqs::Client::from_conf(receives) }
    }

    /// Finds the queue by its ARN, unless its URL is known, and reads its settings.
    pub(crate) async fn describe(&self, arn: &Arn, url: Option<String>) -> Result<Queue, SourceError> {
        let url = match url {
            Some(url) => url,
            None => {
                let found = self
                    .calls
                    .get_queue_url()
                    .queue_name(arn.resource())
                    .queue_owner_aws_account_id(arn.account())
                    .send()
                    .await
                    .map_err(|error| refused("GetQueueUrl", arn, &error))?;
                found.queue_url().map(str::to_owned).ok_or_else(|| malformed("GetQueueUrl", "it has no QueueUrl"))?
            }
        };
        let attributes = self
            .calls
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .send()
            .await
            .map_err(|error| refused("GetQueueAttributes", arn, &error))?;
        let attribute = |name| attributes.attributes().and_then(|attributes| attributes.get(&name)).map(String::as_str);
        let seconds: u64 = attribute(QueueAttributeName::VisibilityTimeout)
            .and_then(|seconds| seconds.parse().ok())
            .ok_or_else(|| malformed("GetQueueAttributes", "it has no VisibilityTimeout"))?;
        Ok(Queue {
            url,
            visibility_timeout: Duration::from_secs(seconds.min(LONGEST_VISIBILITY)),
            maximum_receives: attribute(QueueAttributeName::RedrivePolicy).and_then(maximum_receives),
        })
    }

    /// `ApproximateNumberOfMessages`.
    pub(crate) async fn backlog(&self, arn: &Arn, queue: &Queue) -> Result<Option<u64>, SourceError> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let call = self.calls.get_queue_attributes().queue_url(&queue.url).attribute_names(name.clone());
        let attributes = call.send().await.map_err(|error| refused("GetQueueAttributes", arn, &error))?;
        Ok(attributes.attributes().and_then(|attributes| attributes.get(&name)?.parse().ok()))
    }

    /// One ReceiveMessage. `wait` is cut to whole seconds.
    pub(crate) async fn receive(
        &self,
        arn: &Arn,
        queue: &Queue,
        count: usize,
        wait: Duration,
    ) -> Result<Vec<Message>, SourceError> {
        let whole = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
        let received = self
            .receives
            .receive_message()
            .queue_url(&queue.url)
            .max_number_of_messages(whole(count.clamp(1, BATCH) as u64))
            .wait_time_seconds(whole(wait.min(LONGEST_WAIT).as_secs()))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| refused("ReceiveMessage", arn, &error))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// One DeleteMessageBatch of at most [`BATCH`] entries.
    pub(crate) async fn delete(
        &self,
        arn: &Arn,
        queue: &Queue,
        receipts: &[Receipt],
    ) -> Result<Vec<Unsettled>, SourceError> {
        let mut call = self.calls.delete_message_batch().queue_url(&queue.url);
        for (i, receipt) in receipts.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string()).receipt_handle(&receipt.0).build();
            call = call.entries(entry.map_err(|error| malformed("DeleteMessageBatch", &error.to_string()))?);
        }
        let deleted = call.send().await.map_err(|error| refused("DeleteMessageBatch", arn, &error))?;
        Ok(unsettled(deleted.failed(), receipts))
    }

    /// One ChangeMessageVisibilityBatch of at most [`BATCH`] entries; times are cut to whole seconds.
    pub(crate) async fn change_visibility(
        &self,
        arn: &Arn,
        queue: &Queue,
        changes: &[(Receipt, Duration)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        let mut call = self.calls.change_message_visibility_batch().queue_url(&queue.url);
        for (i, (receipt, time)) in changes.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(i.to_string())
                .receipt_handle(&receipt.0)
                .visibility_timeout(i32::try_from(time.as_secs().min(LONGEST_VISIBILITY)).unwrap_or(i32::MAX))
                .build();
            call = call.entries(entry.map_err(|error| malformed("ChangeMessageVisibilityBatch", &error.to_string()))?);
        }
        let changed = call.send().await.map_err(|error| refused("ChangeMessageVisibilityBatch", arn, &error))?;
        let receipts: Vec<Receipt> = changes.iter().map(|(receipt, _)| receipt.clone()).collect();
        Ok(unsettled(changed.failed(), &receipts))
    }
}

/// `{"deadLetterTargetArn":"…","maxReceiveCount":3}`; some backends write the number as a string.
fn maximum_receives(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    count.as_u64().and_then(|count| u32::try_from(count).ok()).or_else(|| count.as_str()?.parse().ok())
}

fn unsettled(failed: &[BatchResultErrorEntry], receipts: &[Receipt]) -> Vec<Unsettled> {
    let unsettled = |entry: &BatchResultErrorEntry| {
        let receipt = receipts.get(entry.id().parse::<usize>().ok()?)?.clone();
        let text = format!("{}: {}", entry.code(), entry.message().unwrap_or("no further explanation"));
        let error = if is_expired(entry) { SettleError::Expired(text) } else { SettleError::Failed(text) };
        Some(Unsettled { receipt, error })
    };
    failed.iter().filter_map(unsettled).collect()
}

fn is_expired(entry: &BatchResultErrorEntry) -> bool {
    let message = entry.message().unwrap_or_default();
    // LocalStack names its own exceptions here.
    let code = entry.code().trim_end_matches("Exception");
    code.ends_with("ReceiptHandleIsInvalid")
        || code.ends_with("MessageNotInflight")
        || (code.ends_with("InvalidParameterValue")
            && ["ReceiptHandle", "receipt handle"].iter().any(|it| message.contains(it)))
}

/// AWS's own sentence for a mapping whose queue can't be used (spec 12.1).
fn refused<E>(call: &str, arn: &Arn, error: &SdkError<E, HttpResponse>) -> SourceError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = classify(error);
    let message = match (&failure.code, error.as_service_error().and_then(ProvideErrorMetadata::message)) {
        (Some(code), text) => format!(
            "Error occurred while {call}. SQS Error Code: {code}. SQS Error Message: {}",
            text.unwrap_or("no further explanation")
        ),
        (None, _) => format!("{call} on {arn} failed: {}", failure.message),
    };
    SourceError { message, kind: failure.kind }
}

fn malformed(call: &str, what: &str) -> SourceError {
    SourceError {
        message: format!("{call} gave an answer that can't be used: {what}"),
        kind: pelton_core::ErrorKind::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_redrive_policy_as_backends_write_it() {
        assert_eq!(maximum_receives(r#"{"deadLetterTargetArn":"a","maxReceiveCount":3}"#), Some(3));
        assert_eq!(maximum_receives(r#"{"deadLetterTargetArn":"a","maxReceiveCount":"4"}"#), Some(4));
        for nonsense in ["", "{}", "null", "[]", r#"{"maxReceiveCount":-1}"#, r#"{"maxReceiveCount":"x"}"#] {
            assert_eq!(maximum_receives(nonsense), None, "{nonsense}");
        }
    }

    /// Found by the fault campaign: LocalStack's answer for a FIFO queue was taken for a failure that passes, so that the
    /// delete was tried again for half a minute.
    #[test]
    fn an_expired_receipt_of_a_fifo_queue_on_localstack_is_expired() {
        let expired = |message: &str| {
            let entry = BatchResultErrorEntry::builder().id("0").code("InvalidParameterValueException");
            is_expired(&entry.message(message).sender_fault(false).build().unwrap())
        };
        assert!(expired("Value abc for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."));
        assert!(expired(
            "Value abc for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for \
             visibility timeout change."
        ));
        assert!(!expired("Value 99999 for parameter VisibilityTimeout is invalid."));
    }

    #[test]
    fn tells_expired_receipts_from_other_failures_and_ignores_unknown_ids() {
        let entry = |id: &str, code: &str, message: &str| {
            BatchResultErrorEntry::builder().id(id).code(code).message(message).sender_fault(true).build().unwrap()
        };
        let receipts = [Receipt("a".into()), Receipt("b".into()), Receipt("c".into())];
        let failed = [
            entry("0", "ReceiptHandleIsInvalid", "The receipt handle has expired."),
            entry(
                "1",
                "InvalidParameterValue",
                "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
            ),
            entry("2", "InternalError", "try again"),
            entry("9", "InternalError", "not ours"),
            entry("x", "InternalError", "not ours"),
        ];
        let unsettled = unsettled(&failed, &receipts);
        assert_eq!(unsettled.len(), 3);
        assert!(matches!(unsettled[0].error, SettleError::Expired(_)));
        assert!(matches!(unsettled[1].error, SettleError::Expired(_)));
        assert!(matches!(unsettled[2].error, SettleError::Failed(_)));
    }
}
