//! The engine's stream side without a network: what one core does.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{
    Arn, Cursor, FunctionName, Listing, Mapping, MappingId, Partition, PartitionId, Polled, Position, Receipt, Record,
    Redelivery, Source, SourceError, StartingPosition, StreamSettings, SystemClock,
};
use pelton_engine::{Plan, Shutdown, Supervisor};
use pelton_pattern::{Decoding, Filters};
use pelton_store::MemoryStore;

use crate::Extent;
use crate::engine::{Answers, thread_seconds};
use crate::row::{Goal, Row};
use crate::statistics::median;

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
const PATTERN: &str = r#"{"data": {"kind": ["order"]}}"#;
const BATCH: usize = 100;
const SHARDS: usize = 4;

/// Records a second through read, filter, lanes, batch, answer, order and checkpoint.
pub async fn engine(extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (what, patterns, lanes) in [
        ("no filter", vec![], 1),
        ("a filter on the data", vec![PATTERN], 1),
        ("the same, ten lanes", vec![PATTERN], 10),
    ] {
        let filters = Filters::compile(&patterns, Decoding::Kinesis);
        let filters = filters.map_err(|(_, error)| anyhow!("the pattern is invalid: {error}"))?;
        let mut rates = Vec::new();
        for _ in 0..extent.repetitions {
            let (filters, records) = (filters.clone(), extent.engine_messages);
            // A thread of its own, with a runtime of its own: that is what "one core" means.
            rates.push(tokio::task::spawn_blocking(move || rate(filters, records, lanes)).await??);
        }
        rows.push(Row {
            what: format!("stream engine alone, one core, batches of {BATCH}, {what}"),
            measured: median(&rates).context("no run")?,
            unit: "records/s",
            compared: None,
            goal: Goal::AtLeast(200_000.0),
        });
    }
    Ok(rows)
}

fn rate(filters: Filters, records: usize, lanes: usize) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = Arc::new(MemoryStream { records: records as u64 / SHARDS as u64, polls: AtomicU64::new(0) });
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        let before = thread_seconds()?;
        supervisor.start(Plan {
            mapping: mapping(filters, lanes)?,
            source: stream.clone(),
            invoker: Arc::new(Answers),
            on_success: None,
            on_failure: None,
            store: Some(Arc::new(MemoryStore::new())),
        });
        let status = supervisor.status();
        let end = stream.records.to_string();
        let is_over = || {
            let shards = status.mappings().into_iter().flat_map(|mapping| mapping.shards);
            shards.filter(|shard| shard.position == end).count() == SHARDS
        };
        while !is_over() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let took = thread_seconds()? - before;
        let delivered = status.mappings().iter().map(|mapping| mapping.invoked).sum::<u64>();
        let shutdown = supervisor.shutdown(Duration::from_secs(10)).await;
        ensure!(shutdown == Shutdown::Clean && delivered == stream.records * SHARDS as u64, "records were lost");
        Ok(records as f64 / took)
    })
}

fn mapping(filters: Filters, lanes: usize) -> anyhow::Result<Mapping> {
    let event_source: Arn = STREAM.parse()?;
    let function: FunctionName = "work".parse()?;
    Ok(Mapping {
        id: MappingId::of(STREAM, "work"),
        function_arn: function.arn(&event_source).context("no ARN of the function")?,
        event_source,
        function,
        enabled: true,
        batch_size: BATCH,
        batching_window: Duration::ZERO,
        filters,
        report_batch_item_failures: true,
        maximum_concurrency: None,
        on_success: None,
        on_failure: None,
        overflow_bucket: None,
        maximum_retry_attempts: None,
        visibility_heartbeat: true,
        tags: Default::default(),
        stream: Some(StreamSettings {
            starting_position: StartingPosition::TrimHorizon,
            parallelization_factor: lanes,
            bisect_batch_on_function_error: true,
            maximum_record_age: Some(Duration::from_secs(604_800)),
            tumbling_window: Duration::ZERO,
            poll_interval: None,
        }),
    })
}

/// Shards whose records are there at once. Pushed, so that no limit of reads applies.
struct MemoryStream {
    /// In each shard.
    records: u64,
    polls: AtomicU64,
}

#[async_trait]
impl Source for MemoryStream {
    fn redelivery(&self) -> Redelivery {
        Redelivery::ByEngine
    }

    async fn partitions(&self) -> Result<Listing, SourceError> {
        let shard = |number| Partition { id: PartitionId(format!("shard-{number}")), parents: vec![], closed: false };
        Ok(Listing { incarnation: "1".into(), retention: None, partitions: (0..SHARDS).map(shard).collect() })
    }

    async fn poll(
        &self,
        _partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let first: u64 = cursor.token.as_deref().and_then(|token| token.parse().ok()).unwrap_or(0);
        let last = self.records.min(first + max_records as u64);
        let arrived_at = jiff::Timestamp::now();
        let record = |number: u64| {
            let id = number.to_string();
            let event = format!(
                "{{\"kinesis\":{{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"{}\",\"sequenceNumber\":\"{id}\",\"data\":\
                 \"eyJraW5kIjoib3JkZXIiLCJpZCI6NDcxMSwibm90ZSI6Inh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHgifQ==\",\
                 \"approximateArrivalTimestamp\":1545084650.987}},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\
                 \"eventID\":\"shardId-000000000000:{id}\",\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\
                 \"arn:aws:iam::000000000000:role/lambda-role\",\"awsRegion\":\"us-east-1\",\"eventSourceARN\":\"{STREAM}\"}}",
                number % 97
            );
            Record {
                receipt: Receipt(id.clone()),
                order_key: Some((number % 97).to_string()),
                receive_count: 1,
                arrived_at: Some(arrived_at),
                event: Bytes::from(event),
                id,
            }
        };
        let records: Vec<Record> = (first + 1..=last).map(record).collect();
        cursor.token = Some(last.to_string());
        if let Some(number) = records.last().and_then(|record| record.id.parse().ok()) {
            cursor.position = Position::After(number);
        }
        if records.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(Polled { more: last < self.records, behind: Some(Duration::ZERO), records, ..Polled::default() })
    }

    fn is_pushed(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_goes_through_the_engine() {
        let filters = Filters::compile(&[PATTERN], Decoding::Kinesis).unwrap();
        assert!(rate(filters, 4_000, 3).unwrap() > 0.0);
    }
}
