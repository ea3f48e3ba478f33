//! An SNS topic: the message is the record, without subject and attributes (spec 8.2); or it is a dead letter.
use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::operation::publish::builders::PublishFluentBuilder;
use aws_sdk_sns::types::MessageAttributeValue;
use pelton_core::{Arn, DestinationError, ExecutionRecord};

use crate::dead_letter::Mailbox;
use crate::error::{Rejection, rejection, unwritable};
use crate::identity;
use crate::letter::Letter;
use crate::size::Channel;

/// SNS quota "Message size": 256 KiB.
const LIMIT: usize = 262_144;

/// A standard or FIFO topic.
#[derive(Debug)]
pub struct Topic {
    client: Client,
    arn: Arn,
}

impl Topic {
    pub fn new(client: Client, arn: Arn) -> Self {
        Self { client, arn }
    }

    fn message(&self, text: &str) -> PublishFluentBuilder {
        self.client.publish().topic_arn(self.arn.to_string()).message(text)
    }

    async fn publish(&self, message: PublishFluentBuilder) -> Result<(), Rejection> {
        message.send().await.map_err(|error| rejection(&self.arn, "Publish", &error))?;
        Ok(())
    }
}

#[async_trait]
impl Channel for Topic {
    fn arn(&self) -> &Arn {
        &self.arn
    }

    async fn limit(&self, _: &ExecutionRecord, _: usize) -> Result<usize, DestinationError> {
        Ok(LIMIT)
    }

    async fn send(&self, record: &ExecutionRecord, json: &str) -> Result<(), Rejection> {
        let mut message = self.message(json);
        if self.arn.resource().ends_with(".fifo") {
            message =
                message.message_group_id(record.group()).message_deduplication_id(identity::id(record).to_string());
        }
        self.publish(message).await
    }
}

#[async_trait]
impl Mailbox for Topic {
    async fn post(&self, letter: &Letter) -> Result<(), Rejection> {
        let mut message = self.message(&letter.event);
        for attribute in &letter.attributes {
            let value = MessageAttributeValue::builder().data_type(attribute.data_type).string_value(&attribute.value);
            let value = value.build().map_err(|error| unwritable(&self.arn, &error))?;
            message = message.message_attributes(attribute.name, value);
        }
        self.publish(message).await
    }
}
