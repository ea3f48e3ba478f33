//! Which shards a process works on, among all that share a store. Pure.
use std::collections::BTreeMap;

use pelton_core::{OwnerId, PartitionId, Position, ShardState};

/// The shards that may be worked on: not read to their end, and everything before them is settled. A parent that is not
/// known has been settled and forgotten, or is older than the mapping.
pub(crate) fn workable(states: &[ShardState]) -> Vec<&ShardState> {
    let is_open = |partition: &PartitionId| {
        states.iter().any(|state| state.partition == *partition && state.checkpoint.position != Position::End)
    };
    let is_workable =
        |state: &&ShardState| state.checkpoint.position != Position::End && !state.parents.iter().any(is_open);
    states.iter().filter(is_workable).collect()
}

/// The settled shards that nobody needs to know any more: no longer listed, and their children are known.
pub(crate) fn forgettable(states: &[ShardState], is_listed: impl Fn(&PartitionId) -> bool) -> Vec<PartitionId> {
    let has_child = |partition: &PartitionId| states.iter().any(|state| state.parents.contains(partition));
    let is_forgettable = |state: &&ShardState| {
        state.checkpoint.position == Position::End && !is_listed(&state.partition) && has_child(&state.partition)
    };
    states.iter().filter(is_forgettable).map(|state| state.partition.clone()).collect()
}

/// How many shards `me` is to hold, given how many each living process holds now, `me` among them. As even as can be;
/// where it doesn't come out even, whoever holds more already keeps more, so that nothing moves without need.
pub(crate) fn share(me: &OwnerId, held: &BTreeMap<OwnerId, usize>, shards: usize) -> usize {
    let members = held.len().max(1);
    let mut order: Vec<(&OwnerId, usize)> = held.iter().map(|(owner, count)| (owner, *count)).collect();
    order.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    let place = order.iter().position(|(owner, _)| *owner == me).unwrap_or(members);
    shards / members + usize::from(place < shards % members)
}

#[cfg(test)]
mod tests {
    use pelton_core::Checkpoint;
    use proptest::prelude::*;

    use super::*;

    fn state(name: &str, parents: &[&str], position: Position) -> ShardState {
        ShardState {
            partition: PartitionId(name.into()),
            parents: parents.iter().map(|parent| PartitionId((*parent).into())).collect(),
            checkpoint: Checkpoint { position, ..Checkpoint::default() },
            owner: None,
            counter: 0,
            renewals: 0,
        }
    }

    #[test]
    fn children_wait_for_all_their_parents() {
        let names = |states: &[ShardState]| -> Vec<String> {
            workable(states).iter().map(|state| state.partition.0.clone()).collect()
        };
        let mut states = vec![
            state("a", &["older"], Position::TrimHorizon),
            state("b", &[], Position::End),
            state("merged", &["a", "b"], Position::TrimHorizon),
            state("split", &["b"], Position::TrimHorizon),
        ];
        assert_eq!(names(&states), ["a", "split"]);
        states[0].checkpoint.position = Position::End;
        assert_eq!(names(&states), ["merged", "split"]);
    }

    #[test]
    fn a_settled_shard_is_kept_while_it_is_listed_and_until_its_children_are_known() {
        let states =
            [state("a", &[], Position::End), state("b", &[], Position::End), state("c", &["a"], Position::TrimHorizon)];
        assert_eq!(forgettable(&states, |_| false), [PartitionId("a".into())]);
        assert_eq!(forgettable(&states, |_| true), []);
    }

    proptest! {
        /// Everybody's share adds up to all shards, nobody's differs by more than one, and who follows his share ends in
        /// a state that nobody changes any more.
        #[test]
        fn shares_are_even_and_stable(counts in proptest::collection::vec(0usize..9, 1..6), more in 0usize..9) {
            let held: BTreeMap<OwnerId, usize> =
                counts.iter().enumerate().map(|(i, count)| (OwnerId(i.to_string()), *count)).collect();
            let shards = counts.iter().sum::<usize>() + more;
            let settle = |held: &BTreeMap<OwnerId, usize>| -> BTreeMap<OwnerId, usize> {
                held.keys().map(|owner| (owner.clone(), share(owner, held, shards))).collect()
            };
            let after = settle(&held);
            prop_assert_eq!(after.values().sum::<usize>(), shards);
            let (most, least) = (after.values().max().unwrap(), after.values().min().unwrap());
            prop_assert!(most - least <= 1);
            prop_assert_eq!(settle(&after), after);
        }
    }
}
