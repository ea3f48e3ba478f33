//! What follows an invocation of a batch of messages, message by message. Pure: no clock, no I/O.
use std::borrow::Borrow;
use std::collections::HashSet;

use pelton_core::Record;

use crate::response::Outcome;

/// When a record is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// `MaximumRetryAttempts`: retries after the first attempt; `None` sets no limit.
    pub maximum_retry_attempts: Option<u32>,
    /// The queue's own `maxReceiveCount`, after which it moves a message to its dead-letter queue.
    pub maximum_receives: Option<u32>,
}

/// What to do with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Processed: remove it from its source.
    Deliver,
    /// Hand it back to its source, which will deliver it again.
    Return,
    /// Its retries are used up: report it, then remove it from its source.
    GiveUp,
    /// Its source is about to move it to its dead-letter queue: report it, then hand it back.
    ReportAndReturn,
}

/// Decides for every record of a batch, in the batch's order.
pub fn next<R: Borrow<Record>>(records: &[R], outcome: &Outcome, policy: &Policy) -> Vec<Next> {
    let failed: Vec<bool> = match outcome {
        Outcome::Succeeded => vec![false; records.len()],
        Outcome::Failed(_) => vec![true; records.len()],
        Outcome::PartiallyFailed(ids) => {
            let mut blocked = HashSet::new();
            let fails = |record: &R| {
                let record = record.borrow();
                let fails = ids.contains(&record.id);
                match &record.order_key {
                    // A message group resumes at its first failure: what follows must not overtake it.
                    Some(key) => blocked.contains(key) || (fails && blocked.insert(key.clone())),
                    None => fails,
                }
            };
            records.iter().map(fails).collect()
        }
    };
    let verdict =
        |(record, failed): (&R, bool)| if failed { after_failure(record.borrow(), policy) } else { Next::Deliver };
    records.iter().zip(failed).map(verdict).collect()
}

/// A queue counts the attempts itself: they are a message's receives.
fn after_failure(record: &Record, policy: &Policy) -> Next {
    let attempts = record.receive_count;
    if policy.maximum_retry_attempts.is_some_and(|retries| attempts > retries) {
        return Next::GiveUp;
    }
    if policy.maximum_receives.is_some_and(|receives| attempts >= receives) {
        return Next::ReportAndReturn;
    }
    Next::Return
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pelton_core::Receipt;
    use proptest::prelude::*;

    use super::*;

    fn record(id: usize, group: Option<u8>, receive_count: u32) -> Record {
        Record {
            id: id.to_string(),
            receipt: Receipt(id.to_string()),
            order_key: group.map(|group| group.to_string()),
            receive_count,
            arrived_at: None,
            event: Bytes::new(),
        }
    }

    const QUEUE: Policy = Policy { maximum_retry_attempts: None, maximum_receives: None };

    fn partial(ids: &[usize]) -> Outcome {
        Outcome::PartiallyFailed(ids.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_standard_queue_gets_back_just_what_failed() {
        let records: Vec<_> = (0..4).map(|id| record(id, None, 1)).collect();
        assert_eq!(next(&records, &partial(&[1]), &QUEUE), [Next::Deliver, Next::Return, Next::Deliver, Next::Deliver]);
    }

    #[test]
    fn a_message_group_comes_back_from_its_first_failure_on() {
        let records = [record(0, Some(1), 1), record(1, Some(2), 1), record(2, Some(1), 1), record(3, Some(2), 1)];
        assert_eq!(next(&records, &partial(&[0]), &QUEUE), [Next::Return, Next::Deliver, Next::Return, Next::Deliver]);
    }

    #[test]
    fn the_last_receive_is_reported_and_left_to_the_redrive() {
        let failed = Outcome::Failed("error".into());
        let policy = Policy { maximum_receives: Some(3), ..QUEUE };
        let verdicts = next(&[record(0, None, 2), record(1, None, 3)], &failed, &policy);
        assert_eq!(verdicts, [Next::Return, Next::ReportAndReturn]);
        let policy = Policy { maximum_receives: Some(5), maximum_retry_attempts: Some(2) };
        let verdicts = next(&[record(0, None, 2), record(1, None, 3)], &failed, &policy);
        assert_eq!(verdicts, [Next::Return, Next::GiveUp], "MaximumRetryAttempts 2 allows three attempts");
    }

    proptest! {
        #[test]
        fn failures_are_never_delivered_and_no_order_is_broken(
            groups in proptest::collection::vec((proptest::option::of(0u8..3), 1u32..6), 1..12),
            failing in proptest::collection::btree_set(0usize..12, 0..6),
            whole in any::<bool>(),
            retries in proptest::option::of(0u32..4),
            receives in proptest::option::of(1u32..5),
        ) {
            let records: Vec<_> = groups.iter().enumerate().map(|(id, (group, count))| record(id, *group, *count)).collect();
            let failing: Vec<usize> = failing.into_iter().filter(|id| *id < records.len()).collect();
            let outcome = if whole { Outcome::Failed("error".into()) } else if failing.is_empty() { Outcome::Succeeded } else { partial(&failing) };
            let policy = Policy { maximum_retry_attempts: retries, maximum_receives: receives };
            let verdicts = next(&records, &outcome, &policy);
            prop_assert_eq!(verdicts.len(), records.len());
            for (id, verdict) in verdicts.iter().enumerate() {
                let failed = whole || failing.contains(&id);
                prop_assert!(!(failed && *verdict == Next::Deliver), "a failed record was delivered");
                let blocked = (0..id).any(|before| {
                    verdicts[before] != Next::Deliver && records[before].order_key.is_some() && records[before].order_key == records[id].order_key
                });
                prop_assert!(!(blocked && *verdict == Next::Deliver), "record {} overtook a failed one", id);
                if !failed && !blocked {
                    prop_assert_eq!(*verdict, Next::Deliver);
                }
                let count = records[id].receive_count;
                if *verdict != Next::Deliver {
                    prop_assert_eq!(*verdict == Next::GiveUp, retries.is_some_and(|retries| count > retries));
                }
            }
        }
    }
}
