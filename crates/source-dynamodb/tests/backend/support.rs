//! A backend, tables with names of their own, and readers of their streams.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use pelton_core::{Cursor, PartitionId, Polled, Position, Record, Source, SystemClock};
use pelton_source_dynamodb::{Client, DynamoDbSource};
use tokio::time::Instant;

/// Runs each test on both backends.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_dynamodb_local {
            $(#[tokio::test] async fn $test() { super::$test(&crate::support::Backend::dynamodb_local()).await; })*
        }
        mod on_ministack {
            $(#[tokio::test] async fn $test() { super::$test(&crate::support::Backend::ministack()).await; })*
        }
    };
}
pub(crate) use on_both;

pub struct Backend {
    config: aws_config::SdkConfig,
    dynamodb: aws_sdk_dynamodb::Client,
    /// What it says of itself, whatever region is asked for.
    pub region: &'static str,
}

impl Backend {
    pub fn dynamodb_local() -> Self {
        Self::at(&pelton_testkit::backend::dynamodb(), "ddblocal")
    }

    pub fn ministack() -> Self {
        Self::at(&pelton_testkit::backend::ministack(), "us-east-1")
    }

    fn at(endpoint: &str, region: &'static str) -> Self {
        let config = config(endpoint, region);
        Self { dynamodb: aws_sdk_dynamodb::Client::new(&config), config, region }
    }

    pub fn endpoint(&self) -> &str {
        self.config.endpoint_url().unwrap()
    }

    pub fn source(&self, stream: &str) -> DynamoDbSource {
        source(&self.config, stream)
    }

    /// The source behind another endpoint, such as a proxy's.
    pub fn source_through(&self, endpoint: &str, stream: &str) -> DynamoDbSource {
        source(&config(endpoint, self.region), stream)
    }

    /// A table with the key `id` and a stream.
    pub async fn table(&self, view: StreamViewType) -> Table {
        let name = format!("pelton-{}", uuid::Uuid::new_v4());
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
        let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build().unwrap();
        let create = self.dynamodb.create_table().table_name(&name).key_schema(key);
        let create = create.attribute_definitions(attribute.build().unwrap()).stream_specification(stream);
        let created = create.billing_mode(BillingMode::PayPerRequest).send().await.expect("the table is created");
        let stream = created.table_description.unwrap().latest_stream_arn.expect("it has a stream");
        Table { dynamodb: self.dynamodb.clone(), name, stream }
    }
}

fn config(endpoint: &str, region: &'static str) -> aws_config::SdkConfig {
    aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
        .endpoint_url(endpoint)
        .build()
}

fn source(config: &aws_config::SdkConfig, stream: &str) -> DynamoDbSource {
    DynamoDbSource::new(Client::new(config), stream.parse().unwrap(), Duration::from_millis(200), Arc::new(SystemClock))
}

pub struct Table {
    dynamodb: aws_sdk_dynamodb::Client,
    pub name: String,
    pub stream: String,
}

impl Table {
    /// Puts an item with the key and one attribute more.
    pub async fn put(&self, id: &str, name: &str, value: AttributeValue) {
        let item = HashMap::from([("id".into(), AttributeValue::S(id.into())), (name.into(), value)]);
        self.dynamodb.put_item().table_name(&self.name).set_item(Some(item)).send().await.expect("the item is put");
    }

    pub async fn delete(&self, id: &str) {
        let delete = self.dynamodb.delete_item().table_name(&self.name).key("id", AttributeValue::S(id.into()));
        delete.send().await.expect("the item is deleted");
    }

    pub async fn disable_stream(&self) {
        let disabled = StreamSpecification::builder().stream_enabled(false).build().unwrap();
        let update = self.dynamodb.update_table().table_name(&self.name).stream_specification(disabled);
        update.send().await.expect("the stream is disabled");
    }

    pub async fn drop(&self) {
        self.dynamodb.delete_table().table_name(&self.name).send().await.expect("the table is deleted");
    }
}

/// The one shard of a new stream.
pub async fn shard(source: &DynamoDbSource) -> PartitionId {
    let listing = source.partitions().await.expect("the shards are listed");
    let [shard] = &listing.partitions[..] else { panic!("one shard: {listing:?}") };
    shard.id.clone()
}

pub struct Reader<'a> {
    pub source: &'a DynamoDbSource,
    pub shard: PartitionId,
    pub cursor: Cursor,
}

impl<'a> Reader<'a> {
    pub async fn new(source: &'a DynamoDbSource, position: Position) -> Self {
        Self { source, shard: shard(source).await, cursor: Cursor::at(position) }
    }

    pub async fn poll(&mut self, most: usize) -> Polled {
        self.source.poll(&self.shard, &mut self.cursor, most, Duration::ZERO).await.expect("the poll works")
    }

    /// Polls until `count` records have come, and once more: no further ones may.
    pub async fn read(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while records.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} records came", records.len());
            records.extend(self.poll(1_000).await.records);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        records.extend(self.poll(1_000).await.records);
        assert_eq!(records.len(), count);
        records
    }

    /// Polls until the shard has ended.
    pub async fn read_to_end(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < deadline, "the shard ends; {} records came", records.len());
            let polled = self.poll(1_000).await;
            records.extend(polled.records);
            if polled.ended {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn event(record: &Record) -> serde_json::Value {
    serde_json::from_slice(&record.event).expect("the event is JSON")
}

pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}
