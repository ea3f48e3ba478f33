//! What follows an invocation of a batch of a stream, and when a record is too old. Pure: no clock, no I/O.
use std::borrow::Borrow;
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::Record;

use crate::response::Outcome;

/// How often a batch is tried, and whether it may be halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// `MaximumRetryAttempts`: retries after the first attempt; `None` sets no limit.
    pub maximum_retry_attempts: Option<u32>,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// All of it is processed.
    Deliver,
    /// So many records from its start, at least one, are processed. The rest is tried again as a batch of its own, with
    /// all its retries: the checkpoint has moved (spec 5.3).
    Resume(usize),
    /// It is halved, the second half beginning here, and each half is tried by itself. This uses up no retry.
    Split(usize),
    /// It is tried again as it is.
    Retry,
    /// Its retries are used up.
    GiveUp,
}

/// Decides. `attempts` counts the invocations of this very batch, the last one included.
pub(crate) fn next<R: Borrow<Record>>(records: &[R], outcome: &Outcome, attempts: u32, policy: Policy) -> Next {
    let first_failed = match outcome {
        Outcome::Succeeded => None,
        Outcome::Failed(_) => Some(0),
        // Several ids: the lowest is the checkpoint (spec 6).
        Outcome::PartiallyFailed(ids) => records.iter().position(|record| ids.contains(&record.borrow().id)),
    };
    match first_failed {
        None => Next::Deliver,
        // With bisect on, AWS cuts the batch at the returned number: the same.
        Some(delivered) if delivered > 0 => Next::Resume(delivered),
        Some(_) if policy.bisect && records.len() > 1 => Next::Split(records.len().div_ceil(2)),
        Some(_) if policy.maximum_retry_attempts.is_some_and(|retries| attempts > retries) => Next::GiveUp,
        Some(_) => Next::Retry,
    }
}

/// How many records from the start of a batch are alike: all too old, or none of them; and which of the two. Nothing is
/// ever too old without a limit.
pub(crate) fn front_by_age(
    arrivals: impl Iterator<Item = Option<Timestamp>>,
    now: Timestamp,
    maximum_age: Option<Duration>,
) -> (usize, bool) {
    let mut ages = arrivals.map(|arrived_at| is_too_old(arrived_at, now, maximum_age)).peekable();
    let is_too_old = ages.peek().copied().unwrap_or(false);
    (ages.take_while(|age| *age == is_too_old).count(), is_too_old)
}

fn is_too_old(arrived_at: Option<Timestamp>, now: Timestamp, maximum_age: Option<Duration>) -> bool {
    time_left(arrived_at, now, maximum_age).is_some_and(|left| left.is_zero())
}

/// How long a record may still be tried; `None`: without limit.
pub(crate) fn time_left(
    arrived_at: Option<Timestamp>,
    now: Timestamp,
    maximum_age: Option<Duration>,
) -> Option<Duration> {
    let age = now.duration_since(arrived_at?);
    // A record from the future is as young as can be.
    let age = Duration::try_from(age).unwrap_or_default();
    Some(maximum_age?.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pelton_core::Receipt;
    use proptest::prelude::*;

    use super::*;

    fn records(count: usize) -> Vec<Record> {
        let record = |number: usize| Record {
            id: number.to_string(),
            receipt: Receipt(number.to_string()),
            order_key: None,
            receive_count: 1,
            arrived_at: None,
            event: Bytes::new(),
        };
        (0..count).map(record).collect()
    }

    fn partial(ids: &[usize]) -> Outcome {
        Outcome::PartiallyFailed(ids.iter().map(ToString::to_string).collect())
    }

    const PLAIN: Policy = Policy { maximum_retry_attempts: Some(2), bisect: false };
    const BISECT: Policy = Policy { maximum_retry_attempts: Some(2), bisect: true };

    /// Spec 5.3: N retries are N + 1 invocations.
    #[test]
    fn a_failing_batch_is_tried_once_and_as_often_again_as_allowed() {
        let failed = Outcome::Failed("error".into());
        let after = |attempts, policy| next(&records(3), &failed, attempts, policy);
        assert_eq!([1, 2, 3].map(|attempts| after(attempts, PLAIN)), [Next::Retry, Next::Retry, Next::GiveUp]);
        let none = Policy { maximum_retry_attempts: Some(0), bisect: false };
        assert_eq!(after(1, none), Next::GiveUp);
        let forever = Policy { maximum_retry_attempts: None, bisect: false };
        assert_eq!(after(u32::MAX, forever), Next::Retry);
    }

    #[test]
    fn a_partial_failure_resumes_at_the_lowest_number() {
        assert_eq!(next(&records(4), &partial(&[3, 1]), 9, PLAIN), Next::Resume(1));
        assert_eq!(next(&records(4), &partial(&[3, 1]), 9, BISECT), Next::Resume(1), "cut at the returned number");
        assert_eq!(next(&records(4), &partial(&[0]), 1, PLAIN), Next::Retry, "no progress");
        assert_eq!(next(&records(4), &partial(&[0]), 1, BISECT), Next::Split(2));
    }

    #[test]
    fn halving_ends_with_single_records_and_uses_up_no_retry() {
        let failed = Outcome::Failed("error".into());
        assert_eq!(next(&records(5), &failed, 9, BISECT), Next::Split(3));
        assert_eq!(next(&records(2), &failed, 9, BISECT), Next::Split(1));
        assert_eq!(next(&records(1), &failed, 1, BISECT), Next::Retry);
        assert_eq!(next(&records(1), &failed, 3, BISECT), Next::GiveUp);
    }

    #[test]
    fn too_old_records_are_told_from_the_fresh_ones_behind_them() {
        let now = Timestamp::from_second(1_000).unwrap();
        let ages = |ages: &[i64]| {
            let arrivals: Vec<_> = ages.iter().map(|age| Timestamp::from_second(1_000 - age).ok()).collect();
            front_by_age(arrivals.into_iter(), now, Some(Duration::from_secs(60)))
        };
        assert_eq!(ages(&[100, 60, 59, 1]), (2, true));
        assert_eq!(ages(&[59, 100]), (1, false));
        assert_eq!(ages(&[1, 2, -5]), (3, false), "the future is young");
        assert_eq!(ages(&[]), (0, false));
        assert_eq!(front_by_age([Some(Timestamp::UNIX_EPOCH)].into_iter(), now, None), (1, false));
    }

    proptest! {
        #[test]
        fn nothing_failed_is_delivered_and_everything_ends(
            count in 1usize..9,
            failing in proptest::collection::btree_set(0usize..9, 0..4),
            whole in any::<bool>(),
            attempts in 1u32..6,
            retries in proptest::option::of(0u32..4),
            bisect in any::<bool>(),
        ) {
            let failing: Vec<usize> = failing.into_iter().filter(|id| *id < count).collect();
            let outcome = match (whole, failing.is_empty()) {
                (true, _) => Outcome::Failed("error".into()),
                (false, true) => Outcome::Succeeded,
                (false, false) => partial(&failing),
            };
            let first = if whole { Some(0) } else { failing.first().copied() };
            match next(&records(count), &outcome, attempts, Policy { maximum_retry_attempts: retries, bisect }) {
                Next::Deliver => prop_assert_eq!(first, None),
                Next::Resume(delivered) => prop_assert!(delivered > 0 && first == Some(delivered)),
                Next::Split(at) => prop_assert!(bisect && first == Some(0) && (1..count).contains(&at)),
                Next::Retry => prop_assert!(first == Some(0) && retries.is_none_or(|retries| attempts <= retries)),
                Next::GiveUp => prop_assert!(first == Some(0) && retries.is_some_and(|retries| attempts > retries)),
            }
        }
    }
}
