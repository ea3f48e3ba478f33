use jiff::Timestamp;
use pelton_core::Clock;
use tokio::time::Instant;

/// A wall clock that goes by tokio's: it stands where paused time stands.
#[derive(Debug, Clone)]
pub struct FakeClock {
    start: Instant,
    began_at: Timestamp,
}

impl FakeClock {
    /// It is this time now. Must be called within a tokio runtime.
    pub fn at(now: Timestamp) -> Self {
        Self { start: Instant::now(), began_at: now }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        // Durations of tests are far from the end of time.
        self.began_at.saturating_add(self.start.elapsed()).unwrap_or(self.began_at)
    }
}
