//! An SQS queue: the message body is the record (spec 8.2), or a dead letter.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
};
use pelton_core::{Arn, DestinationError, ErrorKind, ExecutionRecord, Origin};

use crate::dead_letter::Mailbox;
use crate::error::{Rejection, failed, rejection, unwritable};
use crate::identity;
use crate::letter::Letter;
use crate::size::Channel;

/// `MaximumMessageSize` of a queue that doesn't say: 256 KiB, SQS's limit until August 2025.
const DEFAULT_LIMIT: usize = 262_144;

type SystemAttributes = HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>;

/// A standard or FIFO queue.
#[derive(Debug)]
pub struct Queue {
    client: Client,
    arn: Arn,
    known: Mutex<Option<Arc<Known>>>,
}

#[derive(Debug)]
struct Known {
    url: String,
    limit: usize,
}

impl Queue {
    pub fn new(client: Client, arn: Arn) -> Self {
        Self { client, arn, known: Mutex::default() }
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, known: Option<Arc<Known>>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Looks the queue up. The URL is only a name here: every call goes to the configured endpoint.
    async fn look_up(&self) -> Result<Arc<Known>, Rejection> {
        let queue = self.client.get_queue_url().queue_name(self.arn.resource());
        let found = queue
            .queue_owner_aws_account_id(self.arn.account())
            .send()
            .await
            .map_err(|error| rejection(&self.arn, "GetQueueUrl", &error))?;
        let url = found.queue_url.ok_or_else(|| {
            Rejection::Other(failed(&self.arn, ErrorKind::Transient, "GetQueueUrl gave no QueueUrl".into()))
        })?;
        let name = QueueAttributeName::MaximumMessageSize;
        let attributes = self
            .client
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(name.clone())
            .send()
            .await
            .map_err(|error| rejection(&self.arn, "GetQueueAttributes", &error));
        let limit = match attributes {
            Ok(attributes) => attributes.attributes().and_then(|attributes| attributes.get(&name)?.parse().ok()),
            // Sending needs only sqs:SendMessage and sqs:GetQueueUrl; the limit can also be learned from a refusal.
            Err(Rejection::Other(error)) if error.kind == ErrorKind::Refused => None,
            Err(error) => return Err(error),
        };
        let known = Arc::new(Known { url, limit: limit.unwrap_or(DEFAULT_LIMIT) });
        self.remember(Some(known.clone()));
        Ok(known)
    }

    async fn send_message(&self, message: SendMessageFluentBuilder) -> Result<(), Rejection> {
        let queue = match self.known() {
            Some(queue) => queue,
            None => self.look_up().await?,
        };
        let sent = self.send_to(&queue, message.clone()).await;
        if !matches!(sent, Err(Rejection::Missing(_))) {
            return sent;
        }
        // Gone, or deleted and created again under another URL. Looked up again once; if that fails, it stays forgotten.
        self.remember(None);
        let queue = self.look_up().await?;
        self.send_to(&queue, message).await
    }

    async fn send_to(&self, queue: &Known, message: SendMessageFluentBuilder) -> Result<(), Rejection> {
        let sent = message.queue_url(&queue.url).send().await;
        sent.map_err(|error| rejection(&self.arn, "SendMessage", &error))?;
        Ok(())
    }
}

#[async_trait]
impl Channel for Queue {
    fn arn(&self) -> &Arn {
        &self.arn
    }

    async fn limit(&self, _: &ExecutionRecord, size: usize) -> Result<usize, DestinationError> {
        match self.known() {
            Some(queue) if size <= queue.limit => Ok(queue.limit),
            _ => Ok(self.look_up().await?.limit),
        }
    }

    async fn send(&self, record: &ExecutionRecord, json: &str) -> Result<(), Rejection> {
        let mut message = self.client.send_message().message_body(json);
        if self.arn.resource().ends_with(".fifo") {
            message =
                message.message_group_id(record.group()).message_deduplication_id(identity::id(record).to_string());
        }
        self.send_message(message.set_message_system_attributes(trace_header(&self.arn, record)?)).await
    }
}

/// `AWSTraceHeader`, which Lambda's records of asynchronous invocations have (spec 10.2). SQS takes X-Ray's form only, so
/// a caller's header of another form is left out: the record counts for more.
fn trace_header(arn: &Arn, record: &ExecutionRecord) -> Result<Option<SystemAttributes>, Rejection> {
    let Origin::Event { trace } = &record.origin else { return Ok(None) };
    if !is_of_x_rays_form(trace.as_str()) {
        return Ok(None);
    }
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace.next_hop().as_str());
    let value = value.build().map_err(|error| unwritable(arn, &error))?;
    Ok(Some(HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)])))
}

/// `Root=1-<8 hex digits>-<24 hex digits>` somewhere.
fn is_of_x_rays_form(header: &str) -> bool {
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    header
        .split(';')
        .filter_map(|field| field.trim().strip_prefix("Root=1-"))
        .any(|id| id.split_once('-').is_some_and(|(seconds, random)| is_hex(seconds, 8) && is_hex(random, 24)))
}

#[async_trait]
impl Mailbox for Queue {
    async fn post(&self, letter: &Letter) -> Result<(), Rejection> {
        let mut message = self.client.send_message().message_body(&letter.event);
        for attribute in &letter.attributes {
            let value = MessageAttributeValue::builder().data_type(attribute.data_type).string_value(&attribute.value);
            let value = value.build().map_err(|error| unwritable(&self.arn, &error))?;
            message = message.message_attributes(attribute.name, value);
        }
        self.send_message(message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_x_rays_form() {
        let root = "Root=1-67891233-abcdef012345678912345678";
        for header in [root, &format!("Parent=5f; {root};Sampled=0"), &format!("{root};Lineage=1:fc3b:2")] {
            assert!(is_of_x_rays_form(header), "{header}");
        }
        for header in ["", "Root=1-5f-9c", "Root=x", "Root=1-67891233-abcdef01234567891234567g", "Parent=1-67891233"] {
            assert!(!is_of_x_rays_form(header), "{header}");
        }
    }
}
