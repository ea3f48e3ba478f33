//! A queue of a test.
use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};
use serde_json::Value;

use crate::EventSource;

/// Readings in a row that must find a queue empty, each a pause of `eventually` after the one before.
const EMPTY_READINGS: u32 = 8;

/// One queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// To call it with.
    pub client: aws_sdk_sqs::Client,
    /// Its URL.
    pub url: String,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
}

impl EventSource for Queue {
    fn arn(&self) -> &str {
        &self.arn
    }
}

impl Queue {
    /// Sends a message and gives its id.
    pub async fn send(&self, body: impl ToString) -> String {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body.to_string()).send().await;
        sent.unwrap().message_id.unwrap()
    }

    /// Sends messages, ten a call, and gives their ids.
    pub async fn send_all(&self, bodies: impl IntoIterator<Item = String>) -> Vec<String> {
        self.send_entries(bodies.into_iter().map(|body| (None, body)).collect()).await
    }

    /// Sends messages to groups of a FIFO queue, in order.
    pub async fn send_to_groups(&self, bodies: impl IntoIterator<Item = (&str, String)>) -> Vec<String> {
        self.send_entries(bodies.into_iter().map(|(group, body)| (Some(group.to_owned()), body)).collect()).await
    }

    async fn send_entries(&self, bodies: Vec<(Option<String>, String)>) -> Vec<String> {
        let mut ids = Vec::new();
        for (chunk_index, chunk) in bodies.chunks(10).enumerate() {
            let mut call = self.client.send_message_batch().queue_url(&self.url);
            for (i, (group, body)) in chunk.iter().enumerate() {
                let mut entry = SendMessageBatchRequestEntry::builder().id(i.to_string()).message_body(body);
                if let Some(group) = group {
                    entry = entry.message_group_id(group).message_deduplication_id(format!("{chunk_index}-{i}"));
                }
                call = call.entries(entry.build().unwrap());
            }
            let sent = call.send().await.unwrap();
            assert!(sent.failed().is_empty(), "{:?}", sent.failed());
            let by_entry: HashMap<&str, &str> =
                sent.successful().iter().map(|entry| (entry.id(), entry.message_id())).collect();
            ids.extend((0..chunk.len()).map(|i| by_entry[i.to_string().as_str()].to_owned()));
        }
        ids
    }

    /// Receives up to ten messages, waiting at most `seconds`.
    pub async fn receive(&self, seconds: i32) -> Vec<Message> {
        let call = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let call = call.wait_time_seconds(seconds).message_system_attribute_names(MessageSystemAttributeName::All);
        call.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default()
    }

    /// Receives and deletes until there are `count` messages; more than 30 s is a failure.
    pub async fn take(&self, count: usize) -> Vec<Message> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let mut taken = Vec::new();
        while taken.len() < count {
            assert!(tokio::time::Instant::now() < deadline, "{} of {count} messages in {}", taken.len(), self.name);
            for message in self.receive(1).await {
                let delete = self.client.delete_message().queue_url(&self.url);
                delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
                taken.push(message);
            }
        }
        taken
    }

    /// Messages that are visible, and that are hidden.
    pub async fn counts(&self) -> (u32, u32) {
        let call = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(QueueAttributeName::All);
        let attributes = call.send().await.unwrap().attributes.unwrap();
        let count = |name| attributes[&name].parse::<u32>().unwrap();
        (
            count(QueueAttributeName::ApproximateNumberOfMessages),
            count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        )
    }

    /// Waits until no message is left, visible or hidden.
    pub async fn is_drained(&self) {
        self.is_drained_within(Duration::from_secs(30)).await;
    }

    /// The same, with a deadline of its own.
    ///
    /// One reading is no proof: LocalStack takes a message out of the visible ones first and adds it to the hidden ones
    /// later, so that on a busy machine a receive under way shows as an empty queue. Readings in a row are.
    pub async fn is_drained_within(&self, limit: Duration) {
        let empty_in_a_row = std::cell::Cell::new(0);
        pelton_testkit::eventually(&format!("{} is empty", self.name), limit, || async {
            let is_empty = self.counts().await == (0, 0);
            empty_in_a_row.set(if is_empty { empty_in_a_row.get() + 1 } else { 0 });
            empty_in_a_row.get() >= EMPTY_READINGS
        })
        .await;
    }

    /// Deletes the queue.
    pub async fn delete(&self) {
        self.client.delete_queue().queue_url(&self.url).send().await.unwrap();
    }
}

/// The body of a message as JSON.
pub fn body(message: &Message) -> Value {
    serde_json::from_str(message.body().unwrap()).unwrap()
}
