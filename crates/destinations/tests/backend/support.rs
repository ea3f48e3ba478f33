//! A backend, resources with names of their own, and records to deliver.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use bytes::Bytes;
use pelton_core::{
    Condition, Destination, ExecutionRecord, MappingId, RequestContext, ResponseContext, SCHEMA_VERSION,
};
use pelton_destinations::{Clients, connect};
use tokio::time::Instant;
use uuid::Uuid;

/// Runs each test on both backends.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_localstack {
            $(#[tokio::test] async fn $test() { super::$test(&crate::support::Backend::localstack()).await; })*
        }
        mod on_ministack {
            $(#[tokio::test] async fn $test() { super::$test(&crate::support::Backend::ministack()).await; })*
        }
    };
}
pub(crate) use on_both;

pub struct Backend {
    pub endpoint: String,
    pub clients: Clients,
}

/// A queue to look into.
pub struct Queue {
    pub arn: String,
    pub url: String,
}

macro_rules! client {
    ($service:ident, $endpoint:expr) => {
        client!($service, $endpoint, |config| config)
    };
    ($service:ident, $endpoint:expr, |$config:ident| $more:expr) => {{
        use $service::config::{BehaviorVersion, Builder, Credentials, Region};
        let $config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url($endpoint);
        $service::Client::from_conf($more.build())
    }};
}

impl Backend {
    pub fn localstack() -> Self {
        Self::at(pelton_testkit::backend::localstack())
    }

    pub fn ministack() -> Self {
        Self::at(pelton_testkit::backend::ministack())
    }

    pub fn at(endpoint: impl Into<String>) -> Self {
        let endpoint = endpoint.into();
        let clients = Clients {
            sqs: client!(aws_sdk_sqs, &endpoint),
            sns: client!(aws_sdk_sns, &endpoint),
            eventbridge: client!(aws_sdk_eventbridge, &endpoint),
            lambda: client!(aws_sdk_lambda, &endpoint),
            s3: client!(aws_sdk_s3, &endpoint, |config| config.force_path_style(true)),
        };
        Self { endpoint, clients }
    }

    pub fn destination(&self, arn: &str) -> Arc<dyn Destination> {
        connect(&self.clients, &arn.parse().expect("a destination's ARN"), None)
    }

    pub fn destination_with_overflow(&self, arn: &str, bucket: &str) -> Arc<dyn Destination> {
        let bucket = format!("arn:aws:s3:::{bucket}").parse().unwrap();
        connect(&self.clients, &arn.parse().expect("a destination's ARN"), Some(&bucket))
    }

    pub async fn queue(&self) -> Queue {
        self.queue_with(&name(), &[]).await
    }

    pub async fn queue_with(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> Queue {
        let mut create = self.clients.sqs.create_queue().queue_name(name);
        for (name, value) in attributes {
            create = create.attributes(name.clone(), *value);
        }
        if name.ends_with(".fifo") {
            create = create.attributes(QueueAttributeName::FifoQueue, "true");
        }
        let url = create.send().await.expect("the queue is created").queue_url.expect("it has a URL");
        Queue { arn: format!("arn:aws:sqs:us-east-1:000000000000:{name}"), url }
    }

    /// Waits for exactly this many messages, and deletes them.
    pub async fn messages(&self, queue: &Queue, count: usize) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while messages.len() < count {
            assert!(Instant::now() < deadline, "{count} messages in {}, {} came", queue.arn, messages.len());
            messages.extend(self.receive(queue, 1).await);
        }
        messages.extend(self.receive(queue, 0).await);
        assert_eq!(messages.len(), count, "{messages:?}");
        messages
    }

    async fn receive(&self, queue: &Queue, wait: i32) -> Vec<Message> {
        let receive = self.clients.sqs.receive_message().queue_url(&queue.url).wait_time_seconds(wait);
        let received = receive
            .max_number_of_messages(10)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .expect("messages can be received");
        for message in received.messages() {
            let delete = self.clients.sqs.delete_message().queue_url(&queue.url);
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.expect("a message can be deleted");
        }
        received.messages.unwrap_or_default()
    }

    /// The body of the one message in the queue.
    pub async fn body(&self, queue: &Queue) -> String {
        self.messages(queue, 1).await.remove(0).body.expect("a message has a body")
    }

    pub async fn bucket(&self) -> String {
        let name = name();
        self.clients.s3.create_bucket().bucket(&name).send().await.expect("the bucket is created");
        name
    }

    /// Every object of a bucket: key, and the text in it.
    pub async fn objects(&self, bucket: &str) -> HashMap<String, String> {
        let listed = self.clients.s3.list_objects_v2().bucket(bucket).send().await.expect("the bucket can be listed");
        let mut objects = HashMap::new();
        for object in listed.contents() {
            let key = object.key().expect("an object has a key");
            let got = self.clients.s3.get_object().bucket(bucket).key(key).send().await.expect("the object is there");
            assert_eq!(got.content_type(), Some("application/json"));
            let body = got.body.collect().await.expect("the object can be read").into_bytes();
            objects.insert(key.to_owned(), String::from_utf8(body.into()).expect("the object is text"));
        }
        objects
    }
}

pub fn name() -> String {
    format!("pelton-{}", Uuid::new_v4())
}

pub const CONDITIONS: [Condition; 2] = [Condition::Success, Condition::RetriesExhausted];

/// A record with spaces and characters that only survive if the JSON isn't written anew.
pub fn record(condition: Condition) -> ExecutionRecord {
    record_of(condition, "{\"Records\":  [{\"body\":\"Ω \\u00e9 \\\"quoted\\\"\"}], \"number\":1.50}")
}

/// A record of a new invocation of the same mapping, with this event.
pub fn record_of(condition: Condition, event: &str) -> ExecutionRecord {
    ExecutionRecord {
        version: SCHEMA_VERSION,
        timestamp: "2025-11-24T23:11:12.123Z".into(),
        request_context: RequestContext {
            request_id: Uuid::new_v4().to_string(),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:work".parse().unwrap(),
            condition,
            approximate_invoke_count: 3,
        },
        request_payload: ExecutionRecord::embed(&Bytes::copy_from_slice(event.as_bytes())),
        response_context: Some(ResponseContext {
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: match condition {
                Condition::Success => None,
                Condition::RetriesExhausted => Some(Some("Unhandled".into())),
            },
        }),
        response_payload: ExecutionRecord::embed(&Bytes::from_static(b"{\"batchItemFailures\": []}")),
        mapping: MappingId::of("orders", "work"),
        source: "arn:aws:sqs:us-east-1:000000000000:orders".parse().unwrap(),
    }
}

/// A record of at least this many bytes.
pub fn large_record(bytes: usize) -> ExecutionRecord {
    record_of(Condition::RetriesExhausted, &format!("{{\"Records\":[\"{}\"]}}", "x".repeat(bytes)))
}
