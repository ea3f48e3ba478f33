//! A backend, and streams with names of their own.
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::Credentials;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ConsumerStatus, PutRecordsRequestEntry, StreamStatus};
use pelton_core::{Arn, Cursor, PartitionId, Polled, Record, Source as _};
use pelton_source_kinesis::{Client, KinesisSource};
use pelton_testkit::eventually;
use pelton_testkit::stream_suite::StreamUnderTest;
use uuid::Uuid;

/// How long a backend may take for what it does in the background.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Runs each test on the named backend.
macro_rules! on {
    (localstack: $($test:ident),* $(,)?) => {
        mod on_localstack {
            $(#[tokio::test] async fn $test() { super::$test(&crate::support::Backend::localstack().await).await; })*
        }
    };
    (ministack: $($test:ident),* $(,)?) => {
        mod on_ministack {
            $(#[tokio::test] async fn $test() { super::$test(&crate::support::Backend::ministack().await).await; })*
        }
    };
}
pub(crate) use on;

/// What a backend does with shards that were split or merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedShards {
    /// As AWS: they can be read to their end.
    Kept,
    /// They are gone at once, with the records that nobody has read.
    Dropped,
}

#[derive(Debug, Clone)]
pub struct Backend {
    pub endpoint: String,
    pub config: SdkConfig,
    pub kinesis: aws_sdk_kinesis::Client,
    pub closed_shards: ClosedShards,
}

impl Backend {
    pub async fn localstack() -> Self {
        Self::at(pelton_testkit::backend::localstack(), ClosedShards::Kept).await
    }

    pub async fn ministack() -> Self {
        Self::at(pelton_testkit::backend::ministack(), ClosedShards::Dropped).await
    }

    pub async fn at(endpoint: String, closed_shards: ClosedShards) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(&endpoint)
            .load()
            .await;
        Self { endpoint, kinesis: aws_sdk_kinesis::Client::new(&config), config, closed_shards }
    }

    /// A stream that takes records.
    pub async fn stream(&self, shards: i32) -> TestStream {
        self.stream_called(&format!("stream-{}", Uuid::new_v4().simple()), shards).await
    }

    pub async fn stream_called(&self, name: &str, shards: i32) -> TestStream {
        let create = || self.kinesis.create_stream().stream_name(name).shard_count(shards);
        // LocalStack starts its engine at the first call, and lets few streams be created at once.
        eventually("the stream is created", LIMIT, || async {
            match create().send().await {
                Ok(_) => true,
                Err(error) => {
                    let error = error.into_service_error();
                    assert!(error.is_limit_exceeded_exception(), "{error:?}");
                    false
                }
            }
        })
        .await;
        let stream = TestStream {
            backend: self.clone(),
            arn: format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}").parse().unwrap(),
            name: name.to_owned(),
        };
        stream.settled().await;
        stream
    }

    pub fn source(&self, arn: &Arn) -> KinesisSource {
        source(&self.config, arn)
    }
}

pub fn source(config: &SdkConfig, arn: &Arn) -> KinesisSource {
    let role = "arn:aws:iam::000000000000:role/work".to_owned();
    KinesisSource::new(Client::new(config), arn.clone(), role, Duration::from_millis(200)).unwrap()
}

pub struct TestStream {
    pub backend: Backend,
    pub name: String,
    pub arn: Arn,
}

impl TestStream {
    pub fn source(&self) -> KinesisSource {
        self.backend.source(&self.arn)
    }

    async fn status(&self) -> Option<StreamStatus> {
        let answer = self.backend.kinesis.describe_stream_summary().stream_name(&self.name).send().await.ok()?;
        Some(answer.stream_description_summary?.stream_status)
    }

    pub async fn settled(&self) {
        eventually("the stream is active", LIMIT, || async { self.status().await == Some(StreamStatus::Active) }).await;
    }

    /// Deletes it, with its consumers, and waits until it is gone.
    pub async fn delete(&self) {
        let delete = self.backend.kinesis.delete_stream().stream_name(&self.name).enforce_consumer_deletion(true);
        delete.send().await.unwrap();
        eventually("the stream is gone", LIMIT, || async { self.status().await.is_none() }).await;
    }

    pub async fn put_data(&self, key: &str, data: &[u8]) -> String {
        let put = self.backend.kinesis.put_record().stream_name(&self.name).partition_key(key).data(Blob::new(data));
        put.send().await.unwrap().sequence_number
    }

    /// Puts records with the numbers as their data, in one call; at most 500.
    pub async fn put_many(&self, numbers: std::ops::Range<usize>) {
        let entry = |number: usize| {
            let data = Blob::new(number.to_string());
            PutRecordsRequestEntry::builder().partition_key(format!("key{number}")).data(data).build().unwrap()
        };
        let put = self.backend.kinesis.put_records().stream_name(&self.name);
        let answer = put.set_records(Some(numbers.map(entry).collect())).send().await.unwrap();
        assert_eq!(answer.failed_record_count.unwrap_or_default(), 0);
    }

    pub async fn split(&self, shard: &str, at: u128) {
        let split = self.backend.kinesis.split_shard().stream_name(&self.name).shard_to_split(shard);
        split.new_starting_hash_key(at.to_string()).send().await.unwrap();
        self.settled().await;
    }

    pub async fn merge(&self, shard: &str, adjacent: &str) {
        let merge = self.backend.kinesis.merge_shards().stream_name(&self.name).shard_to_merge(shard);
        merge.adjacent_shard_to_merge(adjacent).send().await.unwrap();
        self.settled().await;
    }

    /// A consumer that can subscribe.
    pub async fn consumer(&self) -> Arn {
        let register = self.backend.kinesis.register_stream_consumer().stream_arn(self.arn.to_string());
        let registered = register.consumer_name(format!("consumer-{}", Uuid::new_v4().simple())).send().await.unwrap();
        let arn = registered.consumer.unwrap().consumer_arn;
        eventually("the consumer is active", LIMIT, || async {
            let describe = self.backend.kinesis.describe_stream_consumer().consumer_arn(&arn).send().await.unwrap();
            describe.consumer_description.unwrap().consumer_status == ConsumerStatus::Active
        })
        .await;
        arn.parse().unwrap()
    }
}

#[async_trait]
impl StreamUnderTest for TestStream {
    async fn put(&self, key: &str) {
        self.put_data(key, key.as_bytes()).await;
    }

    async fn reshard(&self) -> bool {
        if self.backend.closed_shards == ClosedShards::Dropped {
            return false;
        }
        self.split("shardId-000000000000", 1 << 127).await;
        true
    }
}

pub fn shard(number: usize) -> PartitionId {
    PartitionId(format!("shardId-{number:012}"))
}

/// Polls, as the engine does, until so many records have come.
pub async fn read(source: &KinesisSource, shard: &PartitionId, cursor: &mut Cursor, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let deadline = tokio::time::Instant::now() + LIMIT;
    while records.len() < count {
        assert!(tokio::time::Instant::now() < deadline, "{} of {count} records came", records.len());
        records.extend(poll(source, shard, cursor).await.records);
    }
    records
}

pub async fn poll(source: &KinesisSource, shard: &PartitionId, cursor: &mut Cursor) -> Polled {
    let polled = source.poll(shard, cursor, 10_000, Duration::from_millis(500)).await.unwrap();
    if polled.records.is_empty() && !source.is_pushed() {
        tokio::time::sleep(source.idle_wait()).await;
    }
    polled
}

pub fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.order_key.as_deref().unwrap()).collect()
}
