//! The simulated function: takes its time, fails as scheduled, and tells the model what it really did.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use pelton_core::{Call, ErrorKind, FunctionName, InvokeError, Invoker, Response};
use pelton_testkit::FakeQueue;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::schedule::{FunctionFaults, Schedule, hits};

/// The function of one run.
pub struct Function {
    ledger: Arc<Ledger>,
    queue: Arc<FakeQueue>,
    schedule: Schedule,
    slots: Option<Arc<Semaphore>>,
    down_until: Mutex<Instant>,
    rng: Mutex<Rng>,
}

/// What the function answers, and what it has done.
struct Answer {
    payload: Bytes,
    raises: bool,
    processed: Vec<String>,
    failed: Vec<String>,
}

/// Tells the model when an invocation is over, also when it is dropped.
struct Running<'a>(&'a Ledger, &'a [String]);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.invocation_over(self.1);
    }
}

impl Function {
    /// A function that behaves as the schedule says.
    pub fn new(schedule: &Schedule, ledger: &Arc<Ledger>, queue: &Arc<FakeQueue>) -> Self {
        Self {
            ledger: ledger.clone(),
            queue: queue.clone(),
            schedule: schedule.clone(),
            slots: schedule.slots.map(|slots| Arc::new(Semaphore::new(slots))),
            down_until: Mutex::new(Instant::now()),
            rng: Mutex::new(Rng::with_seed(schedule.seed.wrapping_mul(8).wrapping_add(7))),
        }
    }

    /// Can't be reached for a while.
    pub fn go_down(&self, time: Duration) {
        *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn faults(&self) -> FunctionFaults {
        if self.ledger.is_healed() { FunctionFaults::default() } else { self.schedule.function }
    }

    fn error(&self, kind: ErrorKind) -> InvokeError {
        self.ledger.note(format_args!("invoke fails: {kind:?}"));
        InvokeError { function: "work".into(), message: "simulated".into(), kind }
    }

    fn is_poison(&self, id: &str) -> bool {
        self.schedule.messages.iter().any(|message| message.id == id && message.poison)
    }

    /// Decides what becomes of a batch.
    fn answer(&self, ids: &[String]) -> Answer {
        let faults = self.faults();
        let poisoned: Vec<String> = ids.iter().filter(|id| self.is_poison(id)).cloned().collect();
        let reports = self.schedule.report_batch_item_failures;
        let (raises, garbage, mut failed) = self.draw(|rng| {
            let mut failed = poisoned;
            if reports && hits(rng, faults.fails_partially) {
                failed.extend(ids.iter().filter(|_| rng.u32(..3) == 0).cloned());
            }
            (hits(rng, faults.raises), hits(rng, faults.answers_garbage), failed)
        });
        if raises || (!reports && !failed.is_empty()) {
            let payload = Bytes::from_static(b"{\"errorMessage\":\"raised\",\"errorType\":\"Error\"}");
            return Answer { payload, raises: true, processed: vec![], failed: ids.to_vec() };
        }
        if garbage {
            let payload = self.draw(|rng| rng.choice(GARBAGE).copied().unwrap_or_default());
            // Without ReportBatchItemFailures any answer is a success.
            let (processed, failed) = if reports { (vec![], ids.to_vec()) } else { (ids.to_vec(), vec![]) };
            return Answer { payload: Bytes::from_static(payload.as_bytes()), raises: false, processed, failed };
        }
        // In a message group the function stops at its first failure, as AWS asks for. What it lists is drawn: just
        // the first one, or all.
        let mut listed = failed.clone();
        if let Some(first) = ids.iter().position(|id| self.schedule.fifo && failed.contains(id)) {
            failed = ids[first..].to_vec();
            listed = if self.draw(Rng::bool) { vec![ids[first].clone()] } else { failed.clone() };
        }
        let items: Vec<Value> = listed.iter().map(|id| json!({"itemIdentifier": id})).collect();
        let payload = match (reports, listed.is_empty() && self.draw(Rng::bool)) {
            (true, false) => json!({"batchItemFailures": items}),
            _ => Value::Null,
        };
        let processed = ids.iter().filter(|id| !failed.contains(id)).cloned().collect();
        Answer { payload: Bytes::from(payload.to_string()), raises: false, processed, failed }
    }
}

/// Answers that fail the whole batch where ReportBatchItemFailures is on.
const GARBAGE: &[&str] = &[
    "{",
    "7",
    "\"text\"",
    "[1]",
    "{\"batchItemFailures\":7}",
    "{\"batchItemFailures\":[{}]}",
    "{\"batchItemFailures\":[{\"itemIdentifier\":\"nobody\"}]}",
    "{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}",
    "{\"batchItemFailures\":[{\"itemIdentifier\":null}]}",
];

#[async_trait]
impl Invoker for Function {
    async fn call(&self, _function: &FunctionName, call: Call) -> Result<Response, InvokeError> {
        let event: Value = serde_json::from_slice(&call.payload).map_err(|_| self.error(ErrorKind::Payload))?;
        let records = event["Records"].as_array().into_iter().flatten();
        let ids: Vec<String> = records.filter_map(|it| it["messageId"].as_str().map(str::to_owned)).collect();
        let faults = self.faults();
        if *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) > Instant::now() {
            return Err(self.error(ErrorKind::Transient));
        }
        if self.draw(|rng| hits(rng, faults.throttles)) {
            let retry_after = self.draw(|rng| rng.bool().then(|| Duration::from_secs(rng.u64(..5))));
            return Err(self.error(ErrorKind::Throttled { retry_after }));
        }
        if self.draw(|rng| hits(rng, faults.refuses)) {
            return Err(self.error(ErrorKind::Refused));
        }
        self.ledger.invoked(&ids, &self.queue);
        let running = Running(&self.ledger, &ids);
        let duration = self.draw(|rng| self.schedule.duration.mul_f64(rng.f64() * rng.f64()));
        tokio::time::sleep(duration).await;
        let answer = self.answer(&ids);
        drop(running);
        self.ledger.processed(&answer.processed);
        if self.draw(|rng| hits(rng, faults.loses_answer)) {
            return Err(self.error(ErrorKind::Transient));
        }
        self.ledger.answered(&answer.processed, &answer.failed);
        Ok(Response {
            request_id: "simulated".into(),
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: answer.raises.then(|| "Unhandled".into()),
            payload: answer.payload,
            log_tail: None,
        })
    }

    fn slots(&self, _function: &FunctionName) -> Option<Arc<Semaphore>> {
        self.slots.clone()
    }
}
