//! A source on the scripted endpoint, and a reader of one of its shards.
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use pelton_core::{Clock, Cursor, PartitionId, Polled, Position, Record, Source, SourceError, SystemClock};
use pelton_source_dynamodb::{Client, DynamoDbSource};

use crate::server::{STREAM, Server};

pub fn source(server: &Server) -> DynamoDbSource {
    source_at(server, STREAM, Arc::new(SystemClock))
}

pub fn source_at(server: &Server, stream: &str, clock: Arc<dyn Clock>) -> DynamoDbSource {
    let config = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
        .endpoint_url(&server.endpoint)
        .build();
    DynamoDbSource::new(Client::new(&config), stream.parse().unwrap(), Duration::from_millis(200), clock)
}

pub struct Reader<'a> {
    source: &'a DynamoDbSource,
    shard: PartitionId,
    pub cursor: Cursor,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a DynamoDbSource, shard: &str, position: Position) -> Self {
        Self { source, shard: PartitionId(shard.into()), cursor: Cursor::at(position) }
    }

    pub async fn try_poll(&mut self, most: usize) -> Result<Polled, SourceError> {
        self.source.poll(&self.shard, &mut self.cursor, most, Duration::ZERO).await
    }

    pub async fn poll(&mut self, most: usize) -> Polled {
        self.try_poll(most).await.expect("the poll works")
    }
}

/// The keys of the items, in order.
pub fn keys(records: &[Record]) -> Vec<String> {
    let key = |record: &Record| {
        let event: serde_json::Value = serde_json::from_slice(&record.event).unwrap();
        event["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned()
    };
    records.iter().map(key).collect()
}

pub fn after(number: &str) -> Position {
    Position::After(number.parse().unwrap())
}
