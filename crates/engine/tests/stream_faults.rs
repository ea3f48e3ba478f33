//! Streams in paused time when the source or the store fails: what is visible, what is waited for, what isn't lost.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::stream::{Gate, Log, World, mapping, settings};
use common::{ids, until};
use pelton_core::{ErrorKind, Mapping, StartingPosition, StreamSettings};
use pelton_testkit::{FakeInvoker, shard};

fn put(world: &World, count: usize) {
    (0..count).for_each(|_| {
        world.stream.put(1, "key");
    });
}

/// Regression: a store that failed right after the first listing made the mapping Enabled before it had any position.
#[tokio::test(start_paused = true)]
async fn a_mapping_is_not_enabled_before_its_starting_position_is_kept() {
    let world = World::new(1);
    put(&world, 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let gate = Gate::new(&world.store, &Arc::new(Log::default()));
    gate.fail_looks([true, true]);
    let invoker = Arc::new(FakeInvoker::scripted([]));
    let latest = StreamSettings { starting_position: StartingPosition::Latest, ..settings() };
    let run = world.start_on(gate, mapping(latest), &invoker);
    run.enabled().await;
    put(&world, 1);
    until("what was put after Enabled is delivered", async || !invoker.seen().is_empty()).await;
    assert_eq!(invoker.batches(), [ids(2..3)]);
    run.stop().await;
}

/// Regression: a shard that was missing once made its mapping read the whole store a hundred times a second for ever.
#[tokio::test(start_paused = true)]
async fn a_shard_that_was_missing_for_a_moment_leaves_no_hurry_behind() {
    let world = World::new(1);
    put(&world, 1);
    let gate = Gate::new(&world.store, &Arc::new(Log::default()));
    let run = world.start_on(gate.clone(), mapping(settings()), &Arc::new(FakeInvoker::scripted([])));
    until("all is delivered", async || run.shard(1).position == "1").await;
    world.stream.fail([ErrorKind::Missing]);
    put(&world, 1);
    until("it goes on", async || run.shard(1).position == "2").await;
    let before = gate.looks();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let looks = gate.looks() - before;
    assert!(looks <= 4, "{looks} looks at the store in a minute");
    run.stop().await;
}

/// Regression: what had been read was thrown away, and then given up with the shard.
#[tokio::test(start_paused = true)]
async fn what_was_read_of_a_shard_that_is_gone_is_still_delivered() {
    let world = World::new(1);
    put(&world, 10);
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(5)));
    let run = world.start(Mapping { batch_size: 2, ..mapping(settings()) }, &invoker);
    until("the first batch is under way", async || !invoker.seen().is_empty()).await;
    world.stream.reshard(&[1], &[2]);
    world.stream.put(2, "key");
    world.stream.remove(1);
    until("the child is read", async || run.shard(2).position == "11").await;
    run.stop().await;
    assert_eq!(invoker.batches().concat(), ids(1..12));
}

/// Regression: a shard that ended during a look counted as one too many, and another was stopped for it.
#[tokio::test(start_paused = true)]
async fn a_shard_that_ends_stops_no_other() {
    let world = World::new(2);
    let log = Arc::new(Log::default());
    let gate = Gate::new(&world.store, &log);
    let run = world.start_on(gate.clone(), mapping(settings()), &Arc::new(FakeInvoker::scripted([])));
    run.enabled().await;
    gate.slow_looks(Duration::from_secs(2));
    let looks = gate.looks();
    until("a look is under way", async || gate.looks() > looks).await;
    world.stream.reshard(&[1], &[3]);
    until("the child is begun", async || run.shard(3).position == "TRIM_HORIZON" && gate.looks() > looks + 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    run.stop().await;
    let taken: Vec<_> = log.taken().into_iter().map(|taken| taken.partition).collect();
    assert_eq!(taken, [shard(1), shard(2), shard(3)]);
}

#[tokio::test(start_paused = true)]
async fn checkpoints_that_can_not_be_written_stop_nothing_and_are_written_later() {
    let world = World::new(1);
    let gate = Gate::new(&world.store, &Arc::new(Log::default()));
    put(&world, 1);
    let invoker = Arc::new(FakeInvoker::scripted([]));
    let run = world.start_on(gate.clone(), mapping(settings()), &invoker);
    until("the first is delivered", async || run.shard(1).position == "1").await;
    gate.shut();
    for number in 2..10 {
        put(&world, 1);
        until("delivered", async || invoker.seen().len() == number).await;
    }
    gate.open();
    until("the checkpoint follows", async || world.rows().await[0].checkpoint.position.to_string() == "9").await;
    run.stop().await;
    assert_eq!(invoker.batches().concat(), ids(1..10));
}
