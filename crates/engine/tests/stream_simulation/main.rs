//! The stream side of the engine on fakes in paused time: random schedules of records, shards, settings, faults and
//! crashes, each drawn from a seed, against a small model of what must hold whatever happens.
//!
//! `PELTON_SIMULATION_SEEDS=100000` runs more schedules than the default, `PELTON_SIMULATION_SEED=7` just one and shows
//! everything that happens in it. The seeds are 0, 1, 2, …, so that every run of the test is the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "test support")]

mod call;
mod defect;
mod function;
mod ledger;
mod line;
mod run;
mod schedule;
mod world;

use defect::Defect;
use run::run;
use schedule::Schedule;

const SEEDS: u64 = 500;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn whatever_happens_every_record_comes_to_its_end_and_no_promise_is_broken() {
    let only = variable("PELTON_SIMULATION_SEED");
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..variable("PELTON_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let schedule = Schedule::generate(seed);
        let outcome = run(&schedule, None);
        let story = || format!("{schedule:#?}\n{}", outcome.trace.join("\n"));
        if only.is_some() {
            println!("{}", story());
        }
        assert!(
            outcome.violations.is_empty(),
            "{}\n\nseed {seed}:\n{}\n\nAgain with:\n\
             PELTON_SIMULATION_SEED={seed} cargo test -p pelton-engine --test stream_simulation whatever -- --nocapture",
            story(),
            outcome.violations.join("\n")
        );
    }
}

#[test]
fn a_seed_always_gives_the_same_run() {
    for seed in 0..50 {
        let schedule = Schedule::generate(seed);
        let (first, second) = (run(&schedule, None), run(&schedule, None));
        assert_eq!(first, second, "seed {seed}");
        assert!(!first.trace.is_empty());
    }
}

/// Whatever the model allows must also come up, else it shows nothing.
#[test]
fn the_schedules_reach_every_corner() {
    let outcomes: Vec<_> = (0..300).map(|seed| run(&Schedule::generate(seed), None)).collect();
    for corner in [
        "due: Maybe",
        "due: No",
        "RetryAttemptsExhausted, 1 attempts",
        "RetryAttemptsExhausted, 4 attempts",
        "RecordAgeExceeded, 1 attempts",
        "final",
        "final, early",
        "invoke fails: Transient",
        "invoke fails: Throttled",
        "source fails: Missing",
        "source loses an answer",
        "store fails",
        "store loses an answer",
        "destination fails",
        "destination loses an answer",
        "has expired",
        "ShardDown",
        "StoreDown",
        "DestinationDown",
        "stopped: Cut",
        "Abort",
        "Restart",
        "SHARD_END",
        "from [1, 2]",
        "put 3 into shard 2, -",
    ] {
        let count = outcomes.iter().filter(|outcome| outcome.trace.iter().any(|line| line.contains(corner))).count();
        assert!(count >= 3, "'{corner}' came up in {count} of 300 schedules");
    }
}

/// Runs schedules with a defect until the model complains about it.
fn is_noticed(defect: Defect, kind: &str) {
    let complaint = |seed| {
        let violations = run(&Schedule::generate(seed), Some(defect)).violations;
        violations.into_iter().find(|violation| violation.starts_with(kind))
    };
    assert!((0..150).find_map(complaint).is_some(), "150 schedules, and {defect:?} was never called '{kind}'");
}

#[test]
fn the_model_notices_a_record_that_is_skipped() {
    is_noticed(Defect::SkipsRecords, "early");
    is_noticed(Defect::SkipsRecords, "lost");
}

#[test]
fn the_model_notices_a_broken_order() {
    is_noticed(Defect::ReordersRecords, "order");
}

#[test]
fn the_model_notices_a_record_delivered_twice() {
    is_noticed(Defect::DeliversTwice, "duplicate");
}

#[test]
fn the_model_notices_a_hang() {
    is_noticed(Defect::Hangs, "hang");
}

#[test]
fn the_model_notices_too_many_reads() {
    is_noticed(Defect::ReadsTooOften, "reads");
}

#[test]
fn the_model_notices_a_child_read_before_its_parent() {
    is_noticed(Defect::ReadsChildrenEarly, "child");
}

#[test]
fn the_model_notices_a_checkpoint_that_is_too_far() {
    is_noticed(Defect::MovesCheckpointTooFar, "early");
}

#[test]
fn the_model_notices_a_checkpoint_that_goes_back() {
    is_noticed(Defect::MovesCheckpointBack, "back");
}

#[test]
fn the_model_notices_lost_state_of_a_window() {
    is_noticed(Defect::ForgetsWindows, "state");
}

#[test]
fn the_model_notices_state_that_is_applied_twice() {
    is_noticed(Defect::ForgetsLanes, "state");
}

#[test]
fn the_model_notices_a_lost_execution_record() {
    is_noticed(Defect::LosesRecords, "early");
    is_noticed(Defect::LosesRecords, "lost");
}

#[test]
fn the_model_notices_an_ignored_filter() {
    is_noticed(Defect::IgnoresFilters, "filter");
}

#[test]
fn the_model_notices_a_batch_that_is_too_large() {
    is_noticed(Defect::ExceedsBatchSize, "batch size");
}

#[test]
fn the_model_notices_too_many_invocations_of_a_shard() {
    is_noticed(Defect::ExceedsFactor, "concurrency");
}

#[test]
fn the_model_notices_a_record_that_is_too_old() {
    is_noticed(Defect::IgnoresAge, "age");
}

#[test]
fn the_model_notices_a_retry_too_many() {
    is_noticed(Defect::RetriesOnceMore, "attempts");
}

#[test]
fn the_model_notices_a_batch_that_is_not_halved() {
    is_noticed(Defect::NeverBisects, "bisect");
}

#[test]
fn the_model_notices_a_window_of_another_length() {
    is_noticed(Defect::StretchesWindows, "window");
}
