//! One way over the network: latency and faults.
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use pelton_core::ErrorKind;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::schedule::{Faults, Schedule, hits};

/// More calls than any sound run makes: a loop without a pause would otherwise stop time itself.
const MOST_CALLS: u32 = 60_000;

pub struct Line {
    pub ledger: Arc<Ledger>,
    name: &'static str,
    faults: Faults,
    latency: Duration,
    down_until: Mutex<Instant>,
    rng: Mutex<Rng>,
    calls: Mutex<u32>,
}

impl Line {
    /// A line that draws its faults from the schedule's seed and its name.
    pub fn new(schedule: &Schedule, ledger: &Arc<Ledger>, name: &'static str, faults: Faults) -> Self {
        let salt = name.bytes().map(u64::from).sum::<u64>();
        Self {
            ledger: ledger.clone(),
            name,
            faults,
            latency: schedule.latency,
            down_until: Mutex::new(Instant::now()),
            rng: Mutex::new(Rng::with_seed(schedule.seed.wrapping_mul(4096).wrapping_add(salt))),
            calls: Mutex::new(0),
        }
    }

    /// Nothing gets through for a while.
    pub fn go_down(&self, time: Duration) {
        *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn faults(&self) -> Faults {
        if self.ledger.is_healed() { Faults::default() } else { self.faults }
    }

    /// Whether the cursor's token has expired.
    pub fn expires(&self) -> bool {
        let faults = self.faults();
        self.draw(|rng| hits(rng, faults.expires))
    }

    async fn travel(&self) {
        let latency = self.draw(|rng| self.latency.mul_f64(rng.f64()));
        tokio::time::sleep(latency).await;
    }

    /// Makes one call: there, maybe done, and back.
    pub async fn call<T>(&self, work: impl Future<Output = T>) -> Result<T, ErrorKind> {
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
        let faults = self.faults();
        let (fails, loses_answer, kind) = self.draw(|rng| {
            let kind = match rng.u32(..10) {
                0 => ErrorKind::Refused,
                1 | 2 => ErrorKind::Throttled { retry_after: rng.bool().then(|| Duration::from_secs(rng.u64(..4))) },
                // For a moment, though it is there.
                3 if self.name == "source" => ErrorKind::Missing,
                _ => ErrorKind::Transient,
            };
            (is_down || hits(rng, faults.fails), hits(rng, faults.loses_answer), kind)
        });
        if fails {
            self.ledger.note(format_args!("{} fails: {kind:?}", self.name));
            return Err(kind);
        }
        let done = work.await;
        self.travel().await;
        if loses_answer {
            self.ledger.note(format_args!("{} loses an answer: {kind:?}", self.name));
            return Err(kind);
        }
        Ok(done)
    }
}
