//! When a shard may be read next. Pure: time is given.
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Reads that Kinesis allows of a shard in a second (service quota of GetRecords: five transactions a second and shard).
const READS: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

/// The reads of one shard.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The pause after a read that found everything read; counted from the beginning of the read.
    interval: Duration,
    /// Reads come as they come: records are pushed.
    unlimited: bool,
    started: VecDeque<Instant>,
    next: Option<Instant>,
}

impl Pace {
    pub fn new(interval: Duration, unlimited: bool) -> Self {
        Self { interval, unlimited, started: VecDeque::with_capacity(READS), next: None }
    }

    /// When the next read may begin; `None`: now.
    pub fn due(&self) -> Option<Instant> {
        if self.unlimited {
            return self.next;
        }
        let quota = self.started.front().filter(|_| self.started.len() >= READS).map(|first| *first + SECOND);
        self.next.max(quota)
    }

    /// A read begins.
    pub fn begins(&mut self, now: Instant) {
        if self.started.len() >= READS {
            self.started.pop_front();
        }
        self.started.push_back(now);
    }

    /// A read has ended, and there is more to be read at once, or not.
    pub fn ended(&mut self, more: bool) {
        self.next = if more || self.unlimited { None } else { self.started.back().map(|start| *start + self.interval) };
    }

    /// A read has failed, and the next is to wait.
    pub fn failed(&mut self, now: Instant, pause: Duration) {
        self.next = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test(start_paused = true)]
    async fn an_empty_read_is_followed_by_a_pause_from_its_beginning() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(200), false);
        assert_eq!(pace.due(), None);
        pace.begins(start);
        pace.ended(false);
        assert_eq!(pace.due(), Some(start + Duration::from_millis(200)));
        pace.ended(true);
        assert_eq!(pace.due(), None, "more is there");
    }

    proptest! {
        /// Whatever reads find and however long they take, no second holds more than five of them.
        #[test]
        fn never_more_than_five_reads_a_second(reads in proptest::collection::vec((any::<bool>(), 0u64..300), 1..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let mut pace = Pace::new(Duration::from_millis(10), false);
                let (mut now, mut starts) = (Instant::now(), vec![]);
                for (more, takes) in reads {
                    now = now.max(pace.due().unwrap_or(now));
                    pace.begins(now);
                    starts.push(now);
                    now += Duration::from_millis(takes);
                    pace.ended(more);
                }
                for window in starts.windows(READS + 1) {
                    assert!(window[READS] - window[0] >= SECOND);
                }
            });
        }
    }
}
