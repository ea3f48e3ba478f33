//! What must hold at the end of a campaign, told from what the function was asked.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::witness::Invocation;

/// How long before a kill a batch may have been answered and yet come again: the time in which a checkpoint is written
/// on a busy machine.
const CHECKPOINT_LAG: Duration = Duration::from_secs(1);

/// All that is known at the end.
pub struct Account {
    /// The records in the order of their streams: of two with one key, the earlier one first.
    pub order: Vec<u64>,
    /// Those that always fail.
    pub failing: BTreeSet<u64>,
    /// Those that have a record at the destination.
    pub given_up: BTreeSet<u64>,
    /// All invocations, by their starts.
    pub invocations: Vec<Invocation>,
    /// In the order in which they were processed, again for each time.
    pub processed: Vec<u64>,
    /// When a process was killed: the first one, which has the first door, and so on.
    pub kills: Vec<Instant>,
}

impl Account {
    /// Each record was processed, or it always fails and has its record.
    pub fn nothing_is_lost(&self) {
        let processed: BTreeSet<u64> = self.processed.iter().copied().collect();
        let done = |number: &&u64| processed.contains(number) || self.given_up.contains(number);
        let lost: Vec<&u64> = self.order.iter().filter(|number| !done(number)).collect();
        assert!(lost.is_empty(), "neither processed nor recorded: {lost:?}");
        assert_eq!(self.given_up, self.failing, "given up, and told to fail");
    }

    /// No record is processed for the first time before each of its key's earlier ones was, or was given up.
    pub fn order_holds(&self, key: impl Fn(u64) -> u64) {
        let mut waiting: HashMap<u64, Vec<u64>> = HashMap::new();
        for number in self.order.iter().rev().filter(|number| !self.given_up.contains(number)) {
            waiting.entry(key(*number)).or_default().push(*number);
        }
        let mut done = BTreeSet::new();
        for number in &self.processed {
            if done.insert(*number) {
                assert_eq!(waiting.get_mut(&key(*number)).and_then(Vec::pop), Some(*number), "the next of its key");
            }
        }
    }

    /// Through one door, no two invocations have records of one key at the same time.
    pub fn keys_are_worked_on_once_at_a_time(&self, key: impl Fn(u64) -> u64) {
        let mut running: HashMap<(usize, u64), &Invocation> = HashMap::new();
        for invocation in &self.invocations {
            for (number, _) in &invocation.records {
                let place = (invocation.door, key(*number));
                if let Some(before) =
                    running.insert(place, invocation).filter(|before| before.start != invocation.start)
                {
                    let is_over = before.end.is_some_and(|end| end <= invocation.start);
                    assert!(is_over, "{before:?} still ran when {invocation:?} began");
                }
            }
        }
    }

    /// A record that was processed comes again only after a kill, and only if the process that was killed had no time to
    /// keep that it was: its batch was in flight, or had just been answered. Gives how often one came again.
    pub fn only_what_was_in_flight_comes_again(&self) -> usize {
        let mut processed: HashMap<u64, (Instant, usize)> = HashMap::new();
        let mut ends: Vec<&Invocation> = self.invocations.iter().filter(|it| it.end.is_some()).collect();
        ends.sort_by_key(|invocation| invocation.end);
        let mut ends = ends.into_iter().peekable();
        let (mut again, mut longest) = (0, Duration::ZERO);
        for invocation in &self.invocations {
            while let Some(ended) = ends.next_if(|it| it.end.is_some_and(|end| end <= invocation.start)) {
                let done = ended.records[..ended.processed].iter().map(|(number, _)| *number);
                processed.extend(done.zip(std::iter::repeat((ended.end.unwrap(), ended.door))));
            }
            for (number, _) in &invocation.records {
                let Some((at, door)) = processed.get(number) else { continue };
                assert_ne!(*door, invocation.door, "{number} was processed and comes again without a kill");
                let kill = self.kills.get(*door).unwrap_or_else(|| panic!("{number} comes again without a kill"));
                let before = kill.saturating_duration_since(*at);
                assert!(before < CHECKPOINT_LAG, "{number} comes again, and was processed {before:?} before the kill");
                again += 1;
                longest = longest.max(before);
            }
        }
        eprintln!("{again} records came again, processed at most {longest:?} before a kill");
        again
    }

    /// No shard is worked on through two doors for longer than a lease. Needs a flow of records in every shard: whoever
    /// hasn't been seen to work for the time of a lease has stopped.
    pub fn shards_are_worked_on_by_one_at_a_time(&self, lease: Duration) {
        let mut spells: BTreeMap<(&str, usize), Vec<(Instant, Instant)>> = BTreeMap::new();
        for invocation in &self.invocations {
            let spells = spells.entry((&invocation.shard, invocation.door)).or_default();
            match spells.last_mut().filter(|(_, end)| *end + lease > invocation.start) {
                Some((_, end)) => *end = invocation.start,
                None => spells.push((invocation.start, invocation.start)),
            }
        }
        let mut longest = Duration::ZERO;
        for ((shard, door), spells_of_one) in &spells {
            for (start, end) in spells_of_one {
                let others = spells.iter().filter(|((other_shard, other), _)| other_shard == shard && other != door);
                for ((_, other), (other_start, other_end)) in
                    others.flat_map(|(key, all)| all.iter().map(move |it| (key, it)))
                {
                    let overlap = (*end.min(other_end)).saturating_duration_since(*start.max(other_start));
                    assert!(overlap <= lease, "{door} and {other} both worked on {shard} for {overlap:?}");
                    longest = longest.max(overlap);
                }
            }
        }
        eprintln!("two worked on one shard for at most {longest:?}");
    }
}

#[cfg(test)]
mod tests;
