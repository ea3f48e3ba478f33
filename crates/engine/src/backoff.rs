//! Every delay between retries in Pelton. The only module that knows the `backoff` crate.
//!
//! Chance comes from `fastrand`'s generator of the thread, so that a test that seeds it gets the same delays again.
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Delays that double from `base` to `cap`, each drawn at random from half to one and a half times its value, so that
/// pollers that failed together don't come back together. Never gives up: how often to retry is the caller's decision.
#[derive(Debug)]
pub struct Backoff {
    delays: ExponentialBackoff,
    cap: Duration,
}

impl Backoff {
    /// The first delay is around `base`, no delay is above `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        let delays = ExponentialBackoff {
            current_interval: base,
            initial_interval: base,
            // Drawn below instead, from a source of chance that a simulation can seed.
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: cap,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { delays, cap }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        // Without a limit on the elapsed time the crate always has a next delay.
        let delay = self.delays.next_backoff().unwrap_or(self.cap);
        delay.mul_f64(0.5 + fastrand::f64()).min(self.cap)
    }

    /// The delay after so many failures in a row, for those whose count is kept elsewhere: around `base` after the first.
    pub fn after(failures: u32, base: Duration, cap: Duration) -> Duration {
        let mut backoff = Self::new(base, cap);
        // Doubled so often, every delay is at its cap.
        for _ in 1..failures.min(u32::BITS) {
            backoff.delays.next_backoff();
        }
        backoff.next_delay()
    }

    /// The next delay, or what the other side asked for, if that is longer.
    pub fn next_delay_or(&mut self, retry_after: Option<Duration>) -> Duration {
        self.next_delay().max(retry_after.unwrap_or_default())
    }

    /// Starts again at `base`, after a success.
    pub fn reset(&mut self) {
        self.delays.current_interval = self.delays.initial_interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_grow_to_the_cap_and_start_again(base in 1u64..1_000, factor in 1u64..100, steps in 1usize..40) {
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(base * factor));
            let mut backoff = Backoff::new(base, cap);
            for step in 0..steps {
                let ideal = base.saturating_mul(1 << step.min(20)).min(cap);
                let delay = backoff.next_delay();
                prop_assert!(delay <= cap, "{delay:?} is above the cap");
                prop_assert!(delay >= ideal / 2 - Duration::from_micros(1), "{delay:?} is below half of {ideal:?}");
            }
            backoff.reset();
            prop_assert!(backoff.next_delay() <= base * 3 / 2);
        }
    }

    #[test]
    fn a_count_of_failures_gives_its_delay() {
        for (failures, ideal) in [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            let ideal = Duration::from_secs(ideal);
            let delay = Backoff::after(failures, Duration::from_secs(1), Duration::from_secs(300));
            let range = ideal / 2..=(ideal * 3 / 2).min(Duration::from_secs(300));
            assert!(range.contains(&delay), "{delay:?} after {failures} failures");
        }
    }

    #[test]
    fn what_the_other_side_asks_for_wins() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        assert_eq!(backoff.next_delay_or(Some(Duration::from_secs(60))), Duration::from_secs(60));
    }
}
