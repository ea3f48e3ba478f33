//! The whole engine on fakes in paused time: random schedules of messages, settings and faults, each drawn from a seed,
//! against a small model of what must hold whatever happens.
//!
//! `PELTON_SIMULATION_SEEDS=100000` runs more schedules than the default, `PELTON_SIMULATION_SEED=7` just one and shows
//! everything that happens in it. The seeds are 0, 1, 2, …, so that every run of the test is the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "test support")]

mod defect;
mod function;
mod ledger;
mod network;
mod run;
mod schedule;

use defect::Defect;
use run::run;
use schedule::Schedule;

const SEEDS: u64 = 2_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn whatever_happens_nothing_is_lost_and_no_promise_is_broken() {
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
             PELTON_SIMULATION_SEED={seed} cargo test -p pelton-engine --test simulation whatever -- --nocapture",
            story(),
            outcome.violations.join("\n")
        );
    }
}

#[test]
fn a_seed_always_gives_the_same_run() {
    for seed in 0..100 {
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
        "Delivered",
        "Filtered",
        "Discarded",
        "Returned { after: None }",
        "Returned { after: Some(0ns) }",
        "Returned { after: Some(1",
        "record of",
        "invoke fails: Transient",
        "invoke fails: Throttled",
        "invoke fails: Refused",
        "QueueDown",
        "FunctionDown",
        "DestinationDown",
        "stopped: Clean",
        "stopped: Cut",
        "Abort",
        "dead-letter queue: 1",
        "call fails",
        "answer lost",
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
    assert!((0..100).find_map(complaint).is_some(), "100 schedules, and {defect:?} was never called '{kind}'");
}

#[test]
fn the_model_notices_a_lost_message() {
    is_noticed(Defect::LosesMessages, "lost");
}

#[test]
fn the_model_notices_a_message_deleted_too_early() {
    is_noticed(Defect::DeletesEarly, "early");
}

#[test]
fn the_model_notices_a_lost_record() {
    is_noticed(Defect::LosesRecords, "early");
    is_noticed(Defect::LosesRecords, "lost");
}

#[test]
fn the_model_notices_a_broken_order() {
    is_noticed(Defect::ReordersGroups, "order");
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
fn the_model_notices_too_many_invocations() {
    is_noticed(Defect::ExceedsConcurrency, "concurrency");
}

#[test]
fn the_model_notices_a_message_delivered_twice() {
    is_noticed(Defect::DeliversTwice, "duplicate");
}

#[test]
fn the_model_notices_a_hang() {
    is_noticed(Defect::Hangs, "hang");
}
