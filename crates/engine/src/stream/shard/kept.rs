//! What a checkpoint keeps of the lanes of a shard, and the lanes that are made of it. Pure.
use pelton_core::Checkpoint;

use crate::stream::lane::{Lane, Rules};

/// The lanes as they were at the checkpoint: each passes over what it has settled beyond the position. Where their number
/// has changed, keys are spread otherwise now. Then a window that was open can't go on, and ends early, so that the
/// function gets its state; so does one of a mapping that has no windows any more.
pub(super) fn restored(checkpoint: &Checkpoint, count: usize, rules: Rules) -> Vec<Lane> {
    let (with_records, left_over): (Vec<_>, Vec<_>) =
        checkpoint.lanes.iter().partition(|lane| lane.settled.is_some() || lane.window.is_none());
    let go_on = with_records.len() == count;
    let has_windows = !rules.window.is_zero();
    let mut lanes: Vec<Lane> = (0..count)
        .map(|index| {
            let before = with_records.get(index).filter(|_| go_on);
            let window = before.and_then(|lane| lane.window.clone()).filter(|_| has_windows);
            Lane::new(rules, before.and_then(|lane| lane.settled.clone()), window)
        })
        .collect();
    let ending = if go_on && has_windows { left_over } else { checkpoint.lanes.iter().collect() };
    lanes.extend(
        ending.into_iter().filter_map(|lane| Some(Lane::ending(rules, lane.window.clone()?, lane.settled.clone()))),
    );
    lanes
}

/// What the checkpoint keeps of lanes. A lane that only ends a window is told from others by having settled nothing.
pub(super) fn to_keep(lanes: &[Lane], with_records: usize) -> Vec<pelton_core::Lane> {
    let keep = |(index, lane): (usize, &Lane)| {
        let state = lane.kept();
        match (index < with_records, &state.settled) {
            (true, None) => Some(pelton_core::Lane::default()),
            (true, Some(_)) => Some(state),
            (false, _) => state.window.is_some().then_some(state),
        }
    };
    lanes.iter().enumerate().filter_map(keep).collect()
}
