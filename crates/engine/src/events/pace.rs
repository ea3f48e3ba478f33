//! How many events of a function are worked on at a time: all there is room for while it answers, few and with pauses
//! while it can't be asked, so that a million waiting events don't run against a closed door one after the other.
use std::time::Duration;

use tokio::time::Instant;

use crate::Backoff;

/// Events of one function that are worked on at a time, at most: invocations and reports.
pub(crate) const MOST_TAKEN: usize = 256;
/// Shorter than the shortest pause of an event that was refused, which therefore never waits for this one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What asking the function came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It answered.
    Answered,
    /// It could not be asked.
    Refused,
    /// Nobody asked it.
    Not,
}

/// The pace of one function.
#[derive(Debug)]
pub(crate) struct Pace {
    most: usize,
    backoff: Backoff,
    resumes_at: Option<Instant>,
}

impl Pace {
    pub fn new(delay_scale: f64) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE.mul_f64(delay_scale), LONGEST_PAUSE.mul_f64(delay_scale));
        Self { most: MOST_TAKEN, backoff, resumes_at: None }
    }

    /// How many may be worked on at a time.
    pub fn most(&self) -> usize {
        self.most
    }

    /// When more may be taken, if not now.
    pub fn resumes_at(&self, now: Instant) -> Option<Instant> {
        self.resumes_at.filter(|at| *at > now)
    }

    pub fn note(&mut self, asked: Asked, now: Instant) {
        match asked {
            Asked::Answered => {
                self.most = (self.most * 2).min(MOST_TAKEN);
                self.resumes_at = None;
                self.backoff.reset();
            }
            Asked::Refused => {
                self.most = (self.most / 2).max(1);
                // Those that were asked together are refused together: one pause for all.
                if self.resumes_at(now).is_none() {
                    self.resumes_at = Some(now + self.backoff.next_delay());
                }
            }
            Asked::Not => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_slow_it_down_to_one_at_a_time_and_answers_bring_it_back() {
        let (mut pace, now) = (Pace::new(1.0), Instant::now());
        assert_eq!((pace.most(), pace.resumes_at(now)), (MOST_TAKEN, None));
        (0..MOST_TAKEN).for_each(|_| pace.note(Asked::Refused, now));
        assert_eq!(pace.most(), 1);
        let resumes_at = pace.resumes_at(now).unwrap();
        assert!(resumes_at <= now + FIRST_PAUSE * 3 / 2, "one pause for all that were refused together");
        let mut later = resumes_at;
        for _ in 0..20 {
            assert_eq!(pace.resumes_at(later), None);
            pace.note(Asked::Refused, later);
            let next = pace.resumes_at(later).unwrap();
            assert!(next <= later + LONGEST_PAUSE);
            later = next;
        }
        pace.note(Asked::Not, later);
        assert_eq!(pace.most(), 1, "what wasn't asked tells nothing");
        (0..8).for_each(|_| pace.note(Asked::Answered, later));
        assert_eq!((pace.most(), pace.resumes_at(later)), (MOST_TAKEN, None));
    }
}
