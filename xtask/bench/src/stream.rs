//! Kinesis and DynamoDB streams of the measurements, and the simplest program that reads them.
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest, ScalarAttributeType,
    StreamSpecification, StreamViewType, WriteRequest,
};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType, StreamStatus};
use futures_util::future::try_join_all;
use tokio::time::Instant;
use uuid::Uuid;

use crate::backend::{Backend, body};

/// Records of one PutRecords call (Kinesis quota), and items of one BatchWriteItem (DynamoDB quota).
const PUT: usize = 500;
const WRITE: usize = 25;
/// What one GetRecords asks for: the most that Kinesis and DynamoDB give.
const KINESIS_READ: i32 = 10_000;
const DYNAMODB_READ: i32 = 1_000;
const CREATION_LIMIT: Duration = Duration::from_secs(60);

/// A stream that a measurement has made.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Of the Kinesis stream, or of the table.
    pub name: String,
    /// The stream's ARN, as a mapping names it.
    pub arn: String,
}

impl Backend {
    /// A Kinesis stream with `count` records, spread over its shards.
    pub async fn kinesis_stream(&self, shards: i32, count: usize) -> anyhow::Result<Stream> {
        let name = format!("bench-{}", Uuid::new_v4().simple());
        self.kinesis
            .create_stream()
            .stream_name(&name)
            .shard_count(shards)
            .send()
            .await
            .context("creating a stream")?;
        let started = Instant::now();
        let arn = loop {
            let summary = self.kinesis.describe_stream_summary().stream_name(&name).send().await?;
            let summary = summary.stream_description_summary.context("no description of the stream")?;
            if *summary.stream_status() == StreamStatus::Active {
                break summary.stream_arn().to_owned();
            }
            ensure!(started.elapsed() < CREATION_LIMIT, "the stream does not become active");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        for first in (0..count).step_by(PUT) {
            let entry = |number: usize| {
                let entry = PutRecordsRequestEntry::builder().data(Blob::new(body(number)));
                entry.partition_key(format!("key-{number}")).build()
            };
            let entries: Vec<_> = (first..count.min(first + PUT)).map(entry).collect::<Result<_, _>>()?;
            let put = self.kinesis.put_records().stream_name(&name).set_records(Some(entries)).send().await;
            ensure!(put.context("putting records")?.failed_record_count() == Some(0), "records were refused");
        }
        Ok(Stream { name, arn })
    }

    /// A table with a stream, and `count` items in it.
    pub async fn table_stream(&self, count: usize) -> anyhow::Result<Stream> {
        let name = format!("bench-{}", Uuid::new_v4().simple());
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
        let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build()?;
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
        let table = self.dynamodb.create_table().table_name(&name).key_schema(key).attribute_definitions(id);
        let table = table.billing_mode(BillingMode::PayPerRequest).stream_specification(stream.build()?).send().await;
        let arn = table.context("creating a table")?.table_description.and_then(|table| table.latest_stream_arn);
        for first in (0..count).step_by(WRITE) {
            let write = |number: usize| {
                let put = PutRequest::builder().item("id", AttributeValue::S(format!("key-{number}")));
                let put = put.item("body", AttributeValue::S(body(number))).build()?;
                anyhow::Ok(WriteRequest::builder().put_request(put).build())
            };
            let writes = (first..count.min(first + WRITE)).map(write).collect::<Result<_, _>>()?;
            self.dynamodb.batch_write_item().request_items(&name, writes).send().await.context("writing items")?;
        }
        Ok(Stream { name, arn: arn.context("the table has no stream")? })
    }

    /// Removes a stream, or a table.
    pub async fn remove_stream(&self, stream: &Stream) -> anyhow::Result<()> {
        if stream.arn.contains(":kinesis:") {
            self.kinesis.delete_stream().stream_name(&stream.name).send().await?;
        } else {
            self.dynamodb.delete_table().table_name(&stream.name).send().await?;
        }
        Ok(())
    }

    /// Records a second of the simplest program there is: GetRecords, again, each shard for itself; until `count` are
    /// there. With `paced`, a shard is read at most five times a second, as Kinesis allows.
    pub async fn bare_reads(&self, stream: &Stream, count: usize, paced: bool) -> anyhow::Result<f64> {
        let read = std::sync::atomic::AtomicUsize::new(0);
        let is_over = || read.load(std::sync::atomic::Ordering::Relaxed) >= count;
        let note = |records: usize| {
            read.fetch_add(records, std::sync::atomic::Ordering::Relaxed);
        };
        let started = Instant::now();
        if stream.arn.contains(":kinesis:") {
            let shards = self.kinesis.list_shards().stream_name(&stream.name).send().await?.shards.unwrap_or_default();
            try_join_all(
                shards.iter().map(|shard| self.read_kinesis(stream, shard.shard_id(), paced, &is_over, &note)),
            )
            .await?;
        } else {
            let described = self.dynamodb_streams.describe_stream().stream_arn(&stream.arn).send().await?;
            let shards = described.stream_description.and_then(|it| it.shards).unwrap_or_default();
            let shards = shards.iter().filter_map(|shard| shard.shard_id());
            try_join_all(shards.map(|shard| self.read_dynamodb(stream, shard, paced, &is_over, &note))).await?;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }

    async fn read_kinesis(
        &self,
        stream: &Stream,
        shard: &str,
        paced: bool,
        is_over: &impl Fn() -> bool,
        note: &impl Fn(usize),
    ) -> anyhow::Result<()> {
        let first = self.kinesis.get_shard_iterator().stream_name(&stream.name).shard_id(shard);
        let first = first.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
        let mut iterator = first.shard_iterator;
        let mut pace = Pace::default();
        while let (Some(current), false) = (iterator.take(), is_over()) {
            pace.wait(paced).await;
            let read = self.kinesis.get_records().shard_iterator(current).limit(KINESIS_READ).send().await?;
            note(read.records.len());
            iterator = read.next_shard_iterator;
        }
        Ok(())
    }

    async fn read_dynamodb(
        &self,
        stream: &Stream,
        shard: &str,
        paced: bool,
        is_over: &impl Fn() -> bool,
        note: &impl Fn(usize),
    ) -> anyhow::Result<()> {
        let first = self.dynamodb_streams.get_shard_iterator().stream_arn(&stream.arn).shard_id(shard);
        let first = first.shard_iterator_type(aws_sdk_dynamodbstreams::types::ShardIteratorType::TrimHorizon);
        let mut iterator = first.send().await?.shard_iterator;
        let mut pace = Pace::default();
        while let (Some(current), false) = (iterator.take(), is_over()) {
            pace.wait(paced).await;
            let read = self.dynamodb_streams.get_records().shard_iterator(current).limit(DYNAMODB_READ).send().await?;
            note(read.records.unwrap_or_default().len());
            iterator = read.next_shard_iterator;
        }
        Ok(())
    }
}

/// Five reads in any second.
#[derive(Default)]
struct Pace {
    started: std::collections::VecDeque<Instant>,
}

impl Pace {
    async fn wait(&mut self, paced: bool) {
        if !paced {
            return;
        }
        if self.started.len() >= 5
            && let Some(oldest) = self.started.pop_front()
        {
            tokio::time::sleep_until(oldest + Duration::from_secs(1)).await;
        }
        self.started.push_back(Instant::now());
    }
}
