//! Which shards are read, from where, and how often, in paused time.
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::stream::{World, batch_size, mapping, put, settings, succeeding};
use common::{ids, until};
use pelton_core::{Mapping, StartingPosition, StreamSettings};
use pelton_store::MemoryStore;
use pelton_testkit::FakeInvoker;

#[tokio::test(start_paused = true)]
async fn children_are_read_after_their_parents_and_from_their_beginning() {
    let world = World::new(1);
    let latest = StreamSettings { starting_position: StartingPosition::Latest, ..settings() };
    put(&world, 1, 3);
    let invoker = Arc::new(FakeInvoker::scripted([]).taking(Duration::from_secs(3)));
    let run = world.start(Mapping { batch_size: 2, ..mapping(latest) }, &invoker);
    run.enabled().await;
    put(&world, 1, 3);
    world.stream.reshard(&[1], &[2, 3]);
    put(&world, 2, 2);
    put(&world, 3, 2);
    world.stream.unlist(1);
    world.stream.reshard(&[2, 3], &[4]);
    put(&world, 4, 1);
    until("all is delivered", async || invoker.batches().concat().len() == 8).await;
    let order: Vec<u64> = invoker.batches().concat().iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(order[..3], [4, 5, 6], "LATEST begins behind the third record");
    assert_eq!(order[7], 11, "the merged shard comes after both of its parents");
    until("the settled shards are forgotten once they are not listed", async || run.status().shards.len() == 3).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_put_after_enabled_is_missed_also_by_a_restart_before_the_first_record() {
    let world = World::new(2);
    put(&world, 1, 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let latest = || StreamSettings { starting_position: StartingPosition::Latest, ..settings() };
    let run = world.start(mapping(latest()), &succeeding());
    run.enabled().await;
    run.stop().await;
    put(&world, 1, 1);
    put(&world, 2, 1);
    let invoker = succeeding();
    let run = world.start(mapping(latest()), &invoker);
    until("both are delivered", async || invoker.seen().len() == 2).await;
    let mut batches = invoker.batches();
    batches.sort();
    assert_eq!(batches, [ids(2..3), ids(3..4)]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_made_anew_does_not_inherit_the_position() {
    let world = World::new(1);
    put(&world, 1, 5);
    let invoker = succeeding();
    let run = world.start(batch_size(10), &invoker);
    until("the first stream is read", async || run.shard(1).position == "5").await;
    run.stop().await;
    world.stream.recreate();
    let early = world.stream.put(1, "key");
    let run = world.start(batch_size(10), &invoker);
    until("the new one is read from its start", async || run.shard(1).position == early.to_string()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn trimmed_records_are_told_and_reading_goes_on() {
    let world = World::new(1);
    put(&world, 1, 2);
    let invoker = succeeding();
    let run = world.start(batch_size(10), &invoker);
    until("all is read", async || run.shard(1).position == "2").await;
    run.stop().await;
    put(&world, 1, 3);
    world.stream.trim(1, 4);
    let run = world.start(batch_size(10), &invoker);
    until("reading goes on", async || run.shard(1).position == "5").await;
    let error = run.status().last_error.expect("it is told").message;
    assert!(error.contains("shard-1: the position in the checkpoint is older"), "{error}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_gone_is_told_and_its_children_are_read() {
    let world = World::new(1);
    put(&world, 1, 1);
    let invoker = succeeding();
    let run = world.start(batch_size(10), &invoker);
    until("all is read", async || run.shard(1).position == "1").await;
    run.stop().await;
    world.stream.reshard(&[1], &[2]);
    put(&world, 2, 1);
    world.stream.remove(1);
    let run = world.start(batch_size(10), &invoker);
    until("the child is read", async || run.shard(2).position == "2").await;
    let error = run.status().last_error.expect("it is told").message;
    assert!(error.contains("shard-1"), "{error}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_is_read_at_its_interval_and_a_busy_one_at_most_five_times_a_second() {
    let world = World::new(1);
    let run = world.start(batch_size(10), &succeeding());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let polls = world.stream.polls(1);
    assert!((48..=52).contains(&polls.len()), "{} reads in 10 s", polls.len());
    put(&world, 1, 200_000);
    until("all is read", async || run.shard(1).position == "200000").await;
    for window in world.stream.polls(1).windows(6) {
        assert!(window[5] - window[0] >= Duration::from_secs(1));
    }
    run.stop().await;
}

/// Regression: a replica remembered that it had added a shard, and began behind its latest record when it took it over.
#[tokio::test(start_paused = true)]
async fn a_replica_that_takes_a_shard_over_goes_on_where_it_was_left() {
    let world = World::with_store(2, MemoryStore::shared(Duration::from_secs(10)));
    let latest = || StreamSettings { starting_position: StartingPosition::Latest, ..settings() };
    let invoker = succeeding();
    let [one, other] = [world.start(mapping(latest()), &invoker), world.start(mapping(latest()), &invoker)];
    one.enabled().await;
    other.enabled().await;
    until("both have a shard", async || {
        let owners: std::collections::BTreeSet<_> =
            world.rows().await.into_iter().filter_map(|row| row.owner).collect();
        owners.len() == 2
    })
    .await;
    for (left, dies) in [(one, other)] {
        drop(dies);
        put(&world, 1, 5);
        put(&world, 2, 5);
        until("all is delivered", async || invoker.batches().concat().len() == 10).await;
        left.stop().await;
    }
    let mut delivered = invoker.batches().concat();
    delivered.sort_by_key(|id| id.parse::<u64>().unwrap());
    assert_eq!(delivered, ids(1..11));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_made_anew_under_a_mapping_that_begins_with_latest_is_read_from_its_beginning() {
    let world = World::new(1);
    let latest = StreamSettings { starting_position: StartingPosition::Latest, ..settings() };
    let invoker = succeeding();
    let run = world.start(mapping(latest), &invoker);
    run.enabled().await;
    world.stream.recreate();
    let first = world.stream.put(1, "key");
    until("what came before anybody noticed is delivered", async || {
        invoker.batches().concat().contains(&first.to_string())
    })
    .await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_shards_is_not_enabled_and_loses_nothing_of_its_first_one() {
    let world = World::new(0);
    let latest = StreamSettings { starting_position: StartingPosition::Latest, ..settings() };
    let invoker = succeeding();
    let run = world.start(mapping(latest), &invoker);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(run.status().state, "Creating");
    world.stream.reshard(&[], &[1]);
    put(&world, 1, 2);
    until("both are delivered", async || invoker.batches().concat().len() == 2).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_shard_shows_for_as_long_as_it_is_whatever_the_others_do() {
    let world = World::new(2);
    world.stream.break_shard(1, true);
    let run = world.start(batch_size(10), &succeeding());
    until("it shows", async || run.status().last_processing_result.starts_with("PROBLEM: ")).await;
    for _ in 0..100 {
        put(&world, 2, 1);
        tokio::time::sleep(Duration::from_millis(337)).await;
        assert_eq!(run.status().last_processing_result, "PROBLEM: broken on purpose");
    }
    world.stream.break_shard(1, false);
    until("it is over", async || run.status().last_processing_result == "OK").await;
    run.stop().await;
}
