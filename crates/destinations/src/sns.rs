//! An SNS topic: the message is the record, without subject and attributes (spec 8.2).
use async_trait::async_trait;
use aws_sdk_sns::Client;
use pelton_core::{Arn, DestinationError, ExecutionRecord};

use crate::error::{Rejection, rejection};
use crate::identity;
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
        let mut message = self.client.publish().topic_arn(self.arn.to_string()).message(json);
        if self.arn.resource().ends_with(".fifo") {
            message =
                message.message_group_id(record.group()).message_deduplication_id(identity::id(record).to_string());
        }
        message.send().await.map_err(|error| rejection(&self.arn, "Publish", &error))?;
        Ok(())
    }
}
