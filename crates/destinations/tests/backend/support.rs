//! A backend, resources with names of their own, and records to deliver.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use bytes::Bytes;
use pelton_core::{
    BatchInfo, Condition, Destination, ExecutionRecord, MappingId, Origin, PartitionId, RequestContext,
    ResponseContext, StreamKind, Subject,
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
        timestamp: "2025-11-24T23:11:12.123Z".into(),
        request_context: RequestContext {
            request_id: Uuid::new_v4().to_string(),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:work".parse().unwrap(),
            condition,
            approximate_invoke_count: 3,
        },
        response_context: Some(ResponseContext {
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: match condition {
                Condition::Success => None,
                _ => Some(Some("Unhandled".into())),
            },
        }),
        subject: Subject::Invocation {
            request_payload: ExecutionRecord::embed(&Bytes::copy_from_slice(event.as_bytes())),
            response_payload: ExecutionRecord::embed(&Bytes::from_static(b"{\"batchItemFailures\": []}")),
        },
        origin: Origin::Mapping {
            id: MappingId::of("orders", "work"),
            source: "arn:aws:sqs:us-east-1:000000000000:orders".parse().unwrap(),
        },
    }
}

/// The event of both records that [`batches`] makes.
pub const BATCH_EVENT: &str = "{\"Records\":  [{\"body\":\"Ω \\u00e9 \\\"quoted\\\"\"}], \"number\":1.50}";

/// Records of batches that were given up: of a Kinesis stream, where the function failed, and of a DynamoDB stream,
/// whose records were too old to be tried.
pub fn batches() -> [ExecutionRecord; 2] {
    let kinesis = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
    let table = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2025-11-25T15:46:02.123";
    let failed = batch(StreamKind::Kinesis, "shardId-000000000000", kinesis, Condition::RetryAttemptsExhausted);
    let shard = "shardId-00000001764085562123-abcdef01";
    let expired = batch(StreamKind::DynamoDb, shard, table, Condition::RecordAgeExceeded);
    [failed, ExecutionRecord { response_context: None, ..expired }]
}

fn batch(kind: StreamKind, shard: &str, stream: &str, condition: Condition) -> ExecutionRecord {
    let stream: pelton_core::Arn = stream.parse().unwrap();
    let info = BatchInfo {
        kind,
        shard: PartitionId(shard.into()),
        start: "49590338271490256608559692538361571095921575989136588898".into(),
        end: "49590338271490256608559692540925702759324208523137515618".into(),
        first_arrival: "2025-11-24T23:11:11.456Z".parse().unwrap(),
        last_arrival: "2025-11-24T23:11:12Z".parse().unwrap(),
        size: 2,
        stream: stream.clone(),
    };
    let subject = Subject::Batch { info, event: Bytes::from_static(BATCH_EVENT.as_bytes()) };
    let origin = Origin::Mapping { id: MappingId::of("orders", "work"), source: stream };
    ExecutionRecord { subject, origin, ..record(condition) }
}

/// The bytes that must arrive for one of [`batches`], whose request id is fresh.
pub fn batch_json(record: &ExecutionRecord) -> String {
    let id = &record.request_context.request_id;
    let (condition, response, field, shard, first, last, stream) = match record.request_context.condition {
        Condition::RetryAttemptsExhausted => (
            "RetryAttemptsExhausted",
            "\"responseContext\":{\"statusCode\":200,\"executedVersion\":\"$LATEST\",\"functionError\":\"Unhandled\"},",
            "KinesisBatchInfo",
            "shardId-000000000000",
            "2025-11-24T23:11:11.456Z",
            "2025-11-24T23:11:12.000Z",
            "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
        ),
        _ => (
            "RecordAgeExceeded",
            "",
            "DDBStreamBatchInfo",
            "shardId-00000001764085562123-abcdef01",
            "2025-11-24T23:11:11Z",
            "2025-11-24T23:11:12Z",
            "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2025-11-25T15:46:02.123",
        ),
    };
    format!(
        "{{\"requestContext\":{{\"requestId\":\"{id}\",\"functionArn\":\"arn:aws:lambda:us-east-1:000000000000:function:\
         work\",\"condition\":\"{condition}\",\"approximateInvokeCount\":3}},{response}\"version\":\"1.0\",\"timestamp\":\
         \"2025-11-24T23:11:12.123Z\",\"{field}\":{{\"shardId\":\"{shard}\",\"startSequenceNumber\":\
         \"49590338271490256608559692538361571095921575989136588898\",\"endSequenceNumber\":\
         \"49590338271490256608559692540925702759324208523137515618\",\"approximateArrivalOfFirstRecord\":\"{first}\",\
         \"approximateArrivalOfLastRecord\":\"{last}\",\"batchSize\":2,\"streamArn\":\"{stream}\"}}}}"
    )
}

/// A record of at least this many bytes.
pub fn large_record(bytes: usize) -> ExecutionRecord {
    record_of(Condition::RetriesExhausted, &format!("{{\"Records\":[\"{}\"]}}", "x".repeat(bytes)))
}
