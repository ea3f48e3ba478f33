//! What lies between the engine and the queue, and between the engine and its destinations: latency and faults.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use pelton_core::{
    Cursor, Destination, DestinationError, Disposition, ErrorKind, ExecutionRecord, PartitionId, Polled, Receipt,
    Redelivery, SettleError, Source, SourceError, Subject, Unsettled,
};
use pelton_testkit::FakeQueue;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::schedule::{NetworkFaults, Schedule, hits};

/// What a client waits for an answer before it gives up.
const TIME_OUT: Duration = Duration::from_secs(10);
/// More calls than any sound run makes: a loop without a pause would otherwise stop time itself.
const MOST_CALLS: u32 = 100_000;

/// How one call goes.
#[derive(Debug, Clone, Copy)]
enum Course {
    Works,
    /// Not done, and failed.
    Fails(ErrorKind),
    /// Done, but failed.
    LosesAnswer(ErrorKind),
}

/// One way over the network.
pub struct Line {
    pub ledger: Arc<Ledger>,
    faults: NetworkFaults,
    latency: Duration,
    down_until: Mutex<Instant>,
    rng: Mutex<Rng>,
    calls: Mutex<u32>,
}

impl Line {
    /// A line that draws its faults from the schedule's seed and a salt of its own.
    pub fn new(schedule: &Schedule, ledger: &Arc<Ledger>, salt: u64) -> Self {
        Self {
            ledger: ledger.clone(),
            faults: schedule.network,
            latency: schedule.latency,
            down_until: Mutex::new(Instant::now()),
            rng: Mutex::new(Rng::with_seed(schedule.seed.wrapping_mul(8).wrapping_add(salt))),
            calls: Mutex::new(0),
        }
    }

    /// Nothing gets through for a while.
    pub fn go_down(&self, time: Duration) {
        *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn travel(&self) {
        let latency = self.draw(|rng| self.latency.mul_f64(rng.f64()));
        tokio::time::sleep(latency).await;
    }

    /// Makes one call: there, maybe done, and back.
    async fn call<T>(&self, work: impl Future<Output = T>) -> Result<T, ErrorKind> {
        let calls = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            *calls += 1;
            *calls
        };
        if calls > MOST_CALLS {
            self.ledger.violation("hang: calls without end");
            std::future::pending::<()>().await;
        }
        self.travel().await;
        let is_down = *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) > Instant::now();
        let faults = if self.ledger.is_healed() { NetworkFaults::default() } else { self.faults };
        let (course, hangs) = self.draw(|rng| {
            let kind = match rng.u32(..8) {
                0 => ErrorKind::Refused,
                1 => ErrorKind::Throttled { retry_after: rng.bool().then(|| Duration::from_secs(rng.u64(..4))) },
                _ => ErrorKind::Transient,
            };
            let hangs = hits(rng, faults.hangs);
            let course = if is_down || hits(rng, faults.fails) || (hangs && rng.bool()) {
                Course::Fails(kind)
            } else if hangs || hits(rng, faults.loses_answer) {
                Course::LosesAnswer(kind)
            } else {
                Course::Works
            };
            (course, hangs)
        });
        if hangs {
            tokio::time::sleep(TIME_OUT / 2).await;
        }
        let result = match course {
            Course::Works => Ok(work.await),
            Course::Fails(kind) => {
                self.ledger.note(format_args!("call fails: {kind:?}"));
                Err(kind)
            }
            Course::LosesAnswer(kind) => {
                work.await;
                self.ledger.note(format_args!("answer lost: {kind:?}"));
                Err(kind)
            }
        };
        if hangs {
            tokio::time::sleep(TIME_OUT / 2).await;
        }
        self.travel().await;
        result
    }

    /// Picks what of a list is refused.
    fn refused(&self, receipt: &Receipt) -> Option<Unsettled> {
        let rate = if self.ledger.is_healed() { 0 } else { self.faults.partial };
        let error = SettleError::Failed("refused".into());
        self.draw(|rng| hits(rng, rate)).then(|| Unsettled { receipt: receipt.clone(), error })
    }
}

fn source_error(kind: ErrorKind) -> SourceError {
    SourceError { message: format!("simulated: {kind:?}"), kind }
}

/// The queue, behind its line.
pub struct RemoteQueue {
    pub line: Line,
    pub queue: Arc<FakeQueue>,
}

#[async_trait]
impl Source for RemoteQueue {
    fn redelivery(&self) -> Redelivery {
        self.queue.redelivery()
    }

    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        let work = async {
            let polled = self.queue.poll(partition, cursor, max_records, wait).await;
            for record in polled.iter().flat_map(|polled| &polled.records) {
                self.line.ledger.note(format_args!("receive {}", record.receipt.0));
            }
            polled
        };
        let polled = self.line.call(work).await.map_err(source_error)??;
        for record in &polled.records {
            self.line.ledger.received(&record.id, record.receive_count);
        }
        Ok(polled)
    }

    async fn settle(
        &self,
        partition: &PartitionId,
        settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        settled.iter().for_each(|(receipt, disposition)| self.line.ledger.settling(receipt, *disposition));
        let mut refused = Vec::new();
        let mut list = settled.to_vec();
        list.retain(|(receipt, _)| {
            let is_refused = self.line.refused(receipt);
            refused.extend(is_refused.clone());
            // Refused in words, yet done: an answer may be wrong as well as lost.
            is_refused.is_none() || self.line.draw(Rng::bool)
        });
        let result = self.line.call(self.queue.settle(partition, &list)).await.map_err(source_error)?;
        let mut unsettled = result?;
        unsettled.retain(|it| refused.iter().all(|refused| refused.receipt != it.receipt));
        unsettled.extend(refused);
        Ok(unsettled)
    }

    async fn extend(
        &self,
        partition: &PartitionId,
        receipts: &[Receipt],
        hidden_for: Duration,
    ) -> Result<Vec<Unsettled>, SourceError> {
        let (mut refused, mut list) = (Vec::new(), Vec::new());
        for receipt in receipts {
            match self.line.refused(receipt) {
                Some(unsettled) => refused.push(unsettled),
                None => list.push(receipt.clone()),
            }
        }
        let result = self.line.call(self.queue.extend(partition, &list, hidden_for)).await.map_err(source_error)?;
        let mut unsettled = result?;
        unsettled.extend(refused);
        Ok(unsettled)
    }

    fn idle_wait(&self) -> Duration {
        self.queue.idle_wait()
    }
}

/// A destination, behind its line.
pub struct RemoteDestination {
    pub line: Line,
    /// Whether its records are those of messages given up.
    pub on_failure: bool,
}

#[async_trait]
impl Destination for RemoteDestination {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        let work = async {
            let payload = match &record.subject {
                Subject::Invocation { request_payload: Some(payload), .. } => payload.get(),
                _ => "null",
            };
            let event: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
            for id in event["Records"].as_array().into_iter().flatten().filter_map(|it| it["messageId"].as_str()) {
                if self.on_failure {
                    self.line.ledger.reported(id);
                }
            }
        };
        self.line.call(work).await.map_err(|kind| DestinationError {
            destination: "simulated".into(),
            message: format!("{kind:?}"),
            kind,
        })
    }
}
