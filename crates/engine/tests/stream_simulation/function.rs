//! The simulated function: takes its time, fails as scheduled, and tells the model what it really did. In windows its
//! state is the list of what it has processed.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use pelton_core::{Clock, ErrorKind, FunctionName, InvokeError, Invoker, Response};
use pelton_testkit::FakeClock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::call::Call;
use crate::ledger::Ledger;
use crate::schedule::{FunctionFaults, Schedule, hits};

/// The function of one run.
pub struct Function {
    ledger: Arc<Ledger>,
    clock: Arc<FakeClock>,
    schedule: Schedule,
    down_until: Mutex<Instant>,
    rng: Mutex<Rng>,
}

/// What the function answers, and what it has done.
struct Answer {
    payload: String,
    raises: bool,
    is_success: bool,
    processed: Vec<u64>,
}

/// Tells the model when an invocation is over, also when it is dropped.
struct Running<'a>(&'a Ledger, &'a Call);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.invocation_over(self.1);
    }
}

/// Answers that fail the whole batch where ReportBatchItemFailures is on.
const GARBAGE: [&str; 5] = [
    "{",
    "7",
    "{\"batchItemFailures\":7}",
    "{\"batchItemFailures\":[{\"itemIdentifier\":\"nobody\"}]}",
    "{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}",
];

impl Function {
    /// A function that behaves as the schedule says.
    pub fn new(schedule: &Schedule, ledger: &Arc<Ledger>, clock: &Arc<FakeClock>) -> Self {
        Self {
            ledger: ledger.clone(),
            clock: clock.clone(),
            schedule: schedule.clone(),
            down_until: Mutex::new(Instant::now()),
            rng: Mutex::new(Rng::with_seed(schedule.seed.wrapping_mul(4096).wrapping_add(7))),
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

    fn raises() -> Answer {
        let payload = "{\"errorMessage\":\"raised\",\"errorType\":\"Error\"}".into();
        Answer { payload, raises: true, is_success: false, processed: vec![] }
    }

    /// Decides what becomes of a batch.
    fn answer(&self, call: &Call) -> Answer {
        let faults = self.faults();
        let reports = self.schedule.report_batch_item_failures;
        let is_poison = |number: &&u64| self.schedule.puts[**number as usize - 1].poison;
        let mut failed: Vec<u64> = call.ids.iter().filter(is_poison).copied().collect();
        if reports && self.draw(|rng| hits(rng, faults.fails_partially)) {
            failed.extend(call.ids.iter().filter(|_| self.draw(|rng| rng.u32(..3) == 0)));
        }
        if self.draw(|rng| hits(rng, faults.raises)) || (!reports && !failed.is_empty()) {
            return Self::raises();
        }
        if call.is_final {
            return Answer { payload: "{\"state\":{}}".into(), raises: false, is_success: true, processed: vec![] };
        }
        let garbage = self.draw(|rng| (hits(rng, faults.answers_garbage), GARBAGE[rng.usize(..GARBAGE.len())]));
        if let (true, payload) = garbage {
            let is_success = !reports && call.window.is_none();
            let processed = if is_success { call.ids.clone() } else { vec![] };
            return Answer { payload: payload.into(), raises: false, is_success, processed };
        }
        let first = call.ids.iter().position(|number| failed.contains(number)).unwrap_or(call.ids.len());
        let mut processed = call.ids[..first].to_vec();
        let mut payload = json!({});
        if !failed.is_empty() || self.draw(Rng::bool) {
            let items: Vec<Value> = failed.iter().map(|id| json!({ "itemIdentifier": id.to_string() })).collect();
            payload["batchItemFailures"] = items.into();
        }
        let mut is_success = failed.is_empty();
        match call.window {
            Some(_) if self.draw(|rng| hits(rng, faults.lacks_state)) => {
                processed.clear();
                is_success = false;
            }
            Some(_) => {
                let ids = [&call.state[..], &processed[..]].concat();
                payload["state"] = json!({ "ids": ids });
            }
            None => {}
        }
        Answer { payload: payload.to_string(), raises: false, is_success, processed }
    }
}

#[async_trait]
impl Invoker for Function {
    async fn call(&self, _function: &FunctionName, asked: pelton_core::Call) -> Result<Response, InvokeError> {
        let event: Value = serde_json::from_slice(&asked.payload).map_err(|_| self.error(ErrorKind::Payload))?;
        let call = Call::of(&event);
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
        self.ledger.invoked(&call, self.clock.now());
        let running = Running(&self.ledger, &call);
        let duration = self.draw(|rng| self.schedule.duration.mul_f64(rng.f64() * rng.f64()));
        tokio::time::sleep(duration).await;
        let answer = self.answer(&call);
        drop(running);
        self.ledger.processed(&answer.processed);
        if self.draw(|rng| hits(rng, faults.loses_answer)) {
            return Err(self.error(ErrorKind::Transient));
        }
        self.ledger.answered(&call, answer.is_success, &answer.processed);
        Ok(Response {
            request_id: "simulated".into(),
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error: answer.raises.then(|| "Unhandled".into()),
            payload: answer.payload.into(),
            log_tail: None,
        })
    }
}
