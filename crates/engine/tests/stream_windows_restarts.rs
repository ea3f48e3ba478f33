//! Tumbling windows in paused time, across restarts, crashes and changed settings.
#![allow(clippy::unwrap_used, reason = "test support")]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::stream::{World, mapping, settings};
use common::until;
use common::windows::*;
use pelton_core::{ErrorKind, Mapping};
use pelton_testkit::{FakeInvoker, Reply};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_window_whose_state_is_too_large_ends_early_also_after_a_crash() {
    let world = World::new(1);
    put(&world, 1);
    let unreachable_at_the_end = Arc::new(FakeInvoker::deciding_on_event(|event| match is_final(event) {
        true => Reply::Refuses(ErrorKind::Transient),
        false => Reply::Returns(json!({ "state": large(event, &records_of(event)) })),
    }));
    let run = world.start(windowed(10), &unreachable_at_the_end);
    position(&run, 1).await;
    seconds(1).await;
    drop(run);
    put(&world, 1);
    let invoker = gathering();
    let run = world.start(windowed(10), &invoker);
    seen(&invoker, 3).await;
    assert_eq!(views(&invoker), ["00 [] <- {1} early", "00 [2] <- {}", "00 [] <- {2} final"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn state_survives_a_restart_in_order_and_a_crash() {
    for crashes in [false, true] {
        let world = World::new(1);
        put(&world, 3);
        let invoker = gathering();
        let run = world.start(windowed(2), &invoker);
        position(&run, 3).await;
        seconds(1).await;
        match crashes {
            true => drop(run),
            false => drop(run.stop().await),
        }
        put(&world, 1);
        let run = world.start(windowed(2), &invoker);
        seen(&invoker, 4).await;
        let expected = ["00 [1,2] <- {}", "00 [3] <- {1,2}", "00 [4] <- {1,2,3}", "00 [] <- {1,2,3,4} final"];
        assert_eq!(views(&invoker), expected, "crashes: {crashes}");
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_was_over_while_nobody_was_there_is_ended_at_the_next_start() {
    let world = World::new(1);
    put(&world, 1);
    let invoker = gathering();
    let run = world.start(windowed(2), &invoker);
    position(&run, 1).await;
    run.stop().await;
    seconds(100).await;
    let run = world.start(windowed(2), &invoker);
    seen(&invoker, 2).await;
    assert_eq!(views(&invoker), ["00 [1] <- {}", "00 [] <- {1} final"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_no_lane_is_given_a_record_that_its_state_holds() {
    for crashes in [false, true] {
        let world = World::new(1);
        let keys = keys(2);
        [0, 1, 1, 1].into_iter().for_each(|lane: usize| {
            world.stream.put(1, &keys[lane]);
        });
        let stuck = Arc::new(FakeInvoker::deciding_on_event(|event| match records_of(event) == ["1"] {
            true => Reply::Raises,
            false => gather(event),
        }));
        let run = world.start(lanes(2), &stuck);
        until("the other lane is through", async || views(&stuck).contains(&"00 [4] <- {2,3}".to_owned())).await;
        seconds(1).await;
        assert_eq!(run.shard(1).position, "TRIM_HORIZON");
        match crashes {
            true => drop(run),
            false => drop(run.stop().await),
        }
        world.stream.put(1, &keys[1]);
        let invoker = gathering();
        let run = world.start(lanes(2), &invoker);
        seen(&invoker, 4).await;
        let mut seen = views(&invoker);
        seen.sort();
        let expected = ["00 [1] <- {}", "00 [5] <- {2,3,4}", "00 [] <- {1} final", "00 [] <- {2,3,4,5} final"];
        assert_eq!(seen, expected, "crashes: {crashes}");
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn windows_of_a_changed_factor_end_early_one_after_the_other() {
    let world = World::new(1);
    let three = keys(3);
    three.iter().for_each(|key| {
        world.stream.put(1, key);
    });
    let invoker = gathering();
    let run = world.start(lanes(3), &invoker);
    position(&run, 3).await;
    run.stop().await;
    put(&world, 2);
    let invoker = Arc::new(FakeInvoker::deciding_on_event(gather).taking(Duration::from_millis(100)));
    let run = world.start(lanes(1), &invoker);
    seen(&invoker, 6).await;
    assert_eq!(invoker.most_at_once(), 1);
    let mut ends: Vec<String> = views(&invoker);
    let rest = ends.split_off(3);
    ends.sort();
    assert_eq!(ends, ["00 [] <- {1} early", "00 [] <- {2} early", "00 [] <- {3} early"]);
    assert_eq!(rest, ["00 [4] <- {}", "00 [5] <- {4}", "00 [] <- {4,5} final"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn windows_of_a_mapping_that_has_none_any_more_end_early() {
    let world = World::new(1);
    put(&world, 2);
    let invoker = gathering();
    let run = world.start(windowed(10), &invoker);
    position(&run, 2).await;
    run.stop().await;
    put(&world, 1);
    let run = world.start(Mapping { batch_size: 10, ..mapping(settings()) }, &invoker);
    position(&run, 3).await;
    seen(&invoker, 3).await;
    assert_eq!(views(&invoker)[..2], ["00 [1,2] <- {}", "00 [] <- {1,2} early"]);
    assert_eq!(views(&invoker)[2], "plain [3]");
    run.stop().await;
    seconds(100).await;
    let run = world.start(windowed(10), &invoker);
    put(&world, 1);
    position(&run, 4).await;
    assert_eq!(views(&invoker)[3], "40 [4] <- {}", "the state has not come back");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_window_in_which_nothing_was_settled_is_not_ended_early() {
    let world = World::new(1);
    put_at(&world, [5]);
    put_at(&world, [15]);
    let stuck = Arc::new(FakeInvoker::deciding_on_event(|event| match records_of(event) == ["2"] {
        true => Reply::Raises,
        false => gather(event),
    }));
    let run = world.start(windowed(1), &stuck);
    until("the second window has begun", async || views(&stuck).contains(&"10 [2] <- {}".to_owned())).await;
    run.stop().await;
    let invoker = gathering();
    let run = world.start(lanes(2), &invoker);
    seen(&invoker, 2).await;
    assert_eq!(views(&invoker), ["10 [2] <- {}", "10 [] <- {2} final"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn left_over_windows_survive_a_crash() {
    let world = World::new(1);
    let keys = keys(2);
    keys.iter().for_each(|key| {
        world.stream.put(1, key);
    });
    let run = world.start(lanes(2), &gathering());
    position(&run, 2).await;
    run.stop().await;
    world.stream.put(1, "key");
    let unreachable = Arc::new(FakeInvoker::deciding_on_event(|event| match is_final(event) {
        true => Reply::Refuses(ErrorKind::Transient),
        false => gather(event),
    }));
    let run = world.start(lanes(3), &unreachable);
    position(&run, 3).await;
    drop(run);
    let invoker = gathering();
    let run = world.start(lanes(3), &invoker);
    seen(&invoker, 3).await;
    let mut seen = views(&invoker);
    seen.sort();
    assert_eq!(seen, ["00 [] <- {1} early", "00 [] <- {2} early", "00 [] <- {3} final"]);
    run.stop().await;
}
