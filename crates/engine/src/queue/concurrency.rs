//! How many pollers a mapping runs: more while batches come back full, fewer when they don't or when the function is
//! in trouble.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};

/// Lambda's own ceiling for a standard queue (developer guide, "Using Lambda with Amazon SQS": 1,250).
pub const MAXIMUM_POLLERS: usize = 1_250;

/// Receives that one mapping runs at a time. More don't make a queue faster, they only cost it.
const MAXIMUM_RECEIVES: usize = 8;

/// The pollers of one partition.
#[derive(Debug)]
pub struct Concurrency {
    maximum: usize,
    running: AtomicUsize,
    wanted: AtomicUsize,
    grow: Notify,
    /// Invocations of the mapping that may run at a time: `ScalingConfig.MaximumConcurrency`.
    pub permits: Arc<Semaphore>,
    /// Receives of the mapping that may run at a time.
    pub receives: Arc<Semaphore>,
}

impl Concurrency {
    /// At most `maximum` pollers, at least one.
    pub fn new(maximum: usize) -> Self {
        let maximum = maximum.clamp(1, MAXIMUM_POLLERS);
        Self {
            maximum,
            running: AtomicUsize::new(0),
            wanted: AtomicUsize::new(1),
            grow: Notify::new(),
            permits: Arc::new(Semaphore::new(maximum)),
            receives: Arc::new(Semaphore::new(MAXIMUM_RECEIVES)),
        }
    }

    /// Pollers that run now.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Takes a place for one more poller, if one is wanted.
    pub fn enter(&self) -> bool {
        let wanted = self.wanted.load(Ordering::Relaxed);
        self.running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |running| (running < wanted).then_some(running + 1))
            .is_ok()
    }

    /// Gives up the place of a poller that has nothing to do, unless it is the last one.
    pub fn try_leave(&self) -> bool {
        let left = self
            .running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |running| (running > 1).then(|| running - 1))
            .is_ok();
        if left {
            self.wanted.store(self.running().max(1), Ordering::Relaxed);
        }
        left
    }

    /// Whether there are more pollers than wanted, and this one is to go. It has then left.
    pub fn is_superfluous(&self) -> bool {
        let wanted = self.wanted.load(Ordering::Relaxed);
        self.running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |running| {
                (running > wanted.max(1)).then(|| running - 1)
            })
            .is_ok()
    }

    /// A poller has ended otherwise.
    pub fn left(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// A batch was full, so there is more to fetch: one more poller, if the ones there are aren't waiting for a turn.
    pub fn batch_was_full(&self) {
        if self.receives.available_permits() == 0 {
            return;
        }
        let running = self.running();
        if running < self.maximum {
            self.wanted.store(running + 1, Ordering::Relaxed);
            self.grow.notify_one();
        }
    }

    /// The function failed or was throttled: half as many.
    pub fn reduce(&self) {
        self.wanted.store((self.running() / 2).max(1), Ordering::Relaxed);
    }

    /// Waits until another poller may be wanted.
    pub async fn growth(&self) {
        self.grow.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_full_batches_to_its_maximum_and_shrinks_with_errors_and_empty_polls() {
        let concurrency = Concurrency::new(5);
        assert!(concurrency.enter());
        assert!(!concurrency.enter(), "one is enough while idle");
        for running in 2..=5 {
            concurrency.batch_was_full();
            assert!(concurrency.enter());
            assert_eq!(concurrency.running(), running);
        }
        concurrency.batch_was_full();
        assert!(!concurrency.enter(), "the maximum is hard");
        concurrency.reduce();
        assert!(concurrency.is_superfluous() && concurrency.is_superfluous() && concurrency.is_superfluous());
        assert!(!concurrency.is_superfluous());
        assert_eq!(concurrency.running(), 2);
        assert!(concurrency.try_leave());
        assert!(!concurrency.try_leave(), "the last poller stays");
        assert!(!concurrency.enter());
    }

    #[test]
    fn does_not_grow_while_pollers_wait_for_their_turn_to_receive() {
        let concurrency = Concurrency::new(100);
        assert!(concurrency.enter());
        let _busy = concurrency.receives.clone().try_acquire_many_owned(8).unwrap();
        concurrency.batch_was_full();
        assert!(!concurrency.enter());
    }
}
