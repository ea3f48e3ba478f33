//! The engine without a network, and the pattern matcher: what one core does.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use async_trait::async_trait;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Name};
use bytes::Bytes;
use pelton_core::{
    Arn, Call, Cursor, Disposition, FunctionName, InvokeError, Invoker, Mapping, MappingId, PartitionId, Polled,
    Receipt, Record, Redelivery, Response, Source, SourceError, SystemClock, Unsettled,
};
use pelton_engine::{Plan, Shutdown, Supervisor};
use pelton_pattern::{Decoding, Filters};
use pelton_source_sqs::{AbsentMd5, event};
use tokio::process::Command;
use tokio::sync::Notify;

use crate::Extent;
use crate::backend::body;
use crate::row::{Goal, Row};
use crate::statistics::median;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:orders";
const PATTERN: &str = r#"{"body": {"kind": ["order"]}}"#;

/// Messages a second through poll, event JSON, filter, batch, response and settling.
pub async fn engine(extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (what, patterns) in [("no filter", vec![]), ("a filter on the body", vec![PATTERN])] {
        let filters = Filters::compile(&patterns, Decoding::Sqs);
        let filters = filters.map_err(|(_, error)| anyhow!("the pattern is invalid: {error}"))?;
        let mut rates = Vec::new();
        for _ in 0..extent.repetitions {
            let (filters, messages) = (filters.clone(), extent.engine_messages);
            // A thread of its own, with a runtime of its own: that is what "one core" means.
            rates.push(tokio::task::spawn_blocking(move || rate(filters, messages)).await??);
        }
        rows.push(Row {
            what: format!("engine alone, one core, {what}"),
            measured: median(&rates).context("no run")?,
            unit: "msg/s",
            compared: None,
            goal: Goal::AtLeast(200_000.0),
        });
    }
    Ok(rows)
}

/// What `crates/pattern/examples/throughput.rs` prints: tab-separated figure, unit, name.
pub async fn pattern() -> anyhow::Result<Vec<Row>> {
    let own = std::env::current_exe().context("can't find the build folder")?;
    let output = Command::new(own.with_file_name("examples").join("throughput")).output().await;
    let output = output.context("can't start the example of pelton-pattern: run `cargo xtask bench`")?;
    ensure!(output.status.success(), "the example of pelton-pattern failed: {}", output.status);
    let rows: Vec<Row> = String::from_utf8_lossy(&output.stdout).lines().enumerate().filter_map(pattern_row).collect();
    ensure!(!rows.is_empty(), "the example of pelton-pattern printed nothing");
    Ok(rows)
}

/// The first line is the one that a goal stands for.
fn pattern_row((number, line): (usize, &str)) -> Option<Row> {
    let mut fields = line.split('\t');
    let measured = fields.next()?.parse().ok()?;
    let what = format!("pattern matching, one core: {}", fields.nth(1)?);
    let goal = if number == 0 { Goal::AtLeast(1e6) } else { Goal::None };
    Some(Row { what, measured, unit: "events/s", compared: None, goal })
}

fn rate(filters: Filters, messages: usize) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let queue = Arc::new(MemoryQueue::new(messages)?);
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        let before = thread_seconds()?;
        supervisor.start(Plan {
            mapping: mapping(filters)?,
            source: queue.clone(),
            invoker: Arc::new(Answers),
            on_success: None,
            on_failure: None,
            store: None,
        });
        queue.empty.notified().await;
        let took = thread_seconds()? - before;
        let shutdown = supervisor.shutdown(Duration::from_secs(10)).await;
        ensure!(shutdown == Shutdown::Clean && queue.settled.load(Ordering::Relaxed) == messages, "messages were lost");
        Ok(messages as f64 / took)
    })
}

/// Processor time of this thread: other load on the machine doesn't count.
pub fn thread_seconds() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("no processor time of the thread")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}

fn mapping(filters: Filters) -> anyhow::Result<Mapping> {
    let event_source: Arn = QUEUE.parse()?;
    let function: FunctionName = "work".parse()?;
    Ok(Mapping {
        id: MappingId::of(QUEUE, "work"),
        function_arn: function.arn(&event_source).context("no ARN of the function")?,
        event_source,
        function,
        enabled: true,
        batch_size: 10,
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
        stream: None,
    })
}

/// A queue that hands out its messages as the SDK would, and writes their events as the SQS source does.
struct MemoryQueue {
    arn: Arn,
    message: Message,
    messages: usize,
    handed_out: AtomicUsize,
    settled: AtomicUsize,
    empty: Notify,
}

impl MemoryQueue {
    fn new(messages: usize) -> anyhow::Result<Self> {
        let message = Message::builder()
            .message_id("059f36b4-87a3-44ab-83d2-661975830a7d")
            .receipt_handle("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a".repeat(4))
            .md5_of_body("e4e68fb7bd0e697a0ae8f1bb342846b3")
            .body(body(4_711))
            .attributes(Name::ApproximateReceiveCount, "1")
            .attributes(Name::SentTimestamp, "1545082649183")
            .attributes(Name::SenderId, "AIDAIENQZJOLO23YVJ4VO")
            .attributes(Name::ApproximateFirstReceiveTimestamp, "1545082649185")
            .build();
        let (handed_out, settled, empty) = (AtomicUsize::new(0), AtomicUsize::new(0), Notify::new());
        Ok(Self { arn: QUEUE.parse()?, message, messages, handed_out, settled, empty })
    }

    fn record(&self, number: usize) -> Option<Record> {
        Some(Record {
            id: self.message.message_id()?.to_owned(),
            receipt: Receipt(number.to_string()),
            order_key: None,
            receive_count: 1,
            arrived_at: None,
            event: event(&self.message, &self.arn, AbsentMd5::Absent)?.ok()?,
        })
    }
}

#[async_trait]
impl Source for MemoryQueue {
    fn redelivery(&self) -> Redelivery {
        Redelivery::BySource
    }

    async fn poll(
        &self,
        _partition: &PartitionId,
        _cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        let first = self.handed_out.fetch_add(max_records, Ordering::Relaxed).min(self.messages);
        let records: Vec<Record> =
            (first..self.messages.min(first + max_records)).filter_map(|number| self.record(number)).collect();
        if records.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(Polled { records, hidden_for: Some(Duration::from_secs(600)), ..Polled::default() })
    }

    async fn settle(
        &self,
        _partition: &PartitionId,
        settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        if self.settled.fetch_add(settled.len(), Ordering::Relaxed) + settled.len() >= self.messages {
            self.empty.notify_one();
        }
        Ok(Vec::new())
    }
}

/// A function that reports no failures, at once.
pub struct Answers;

#[async_trait]
impl Invoker for Answers {
    async fn call(&self, _function: &FunctionName, _call: Call) -> Result<Response, InvokeError> {
        // A real one waits for its answer: others have their turn.
        tokio::task::yield_now().await;
        Ok(Response {
            request_id: "5a6b7c8d-0000-4000-8000-000000000000".into(),
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: None,
            payload: Bytes::from_static(br#"{"batchItemFailures":[]}"#),
            log_tail: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_goes_through_the_engine() {
        let filters = Filters::compile(&[PATTERN], Decoding::Sqs).unwrap();
        assert!(rate(filters, 1_000).unwrap() > 0.0);
    }

    #[test]
    fn reads_what_the_example_prints() {
        let row = pattern_row((0, "1234567\tevents/s\tsmall event (73 bytes)")).unwrap();
        assert_eq!(row.to_string().matches("1,234,567 events/s").count(), 1);
        assert_eq!((row.is_met(), pattern_row((1, "9\tevents/s\tanother")).unwrap().is_met()), (Some(true), None));
        assert_eq!(pattern_row((0, "nonsense")), None);
    }
}
