//! What every [`Store`] promises, checked against each of them: only what all pass may be relied upon by the engine.
//!
//! A store may be shared with other tests: the suite uses mappings of its own. Renewals and heartbeats may count more
//! than once, where an answer was lost; they never stand still.
#![allow(clippy::expect_used, reason = "a failed expectation is what the suite is for")]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{
    Checkpoint, Lane, Lease, MappingId, NewShard, OpenWindow, OwnerId, PartitionId, Position, SequenceNumber,
    ShardState, Store, StoreError, StreamId,
};

/// A mapping that no other test has.
pub fn new_mapping() -> MappingId {
    MappingId::of(&format!("arn:aws:kinesis:eu-west-1:000000000000:stream/{}", fastrand::u128(..)), "function")
}

fn stream(mapping: MappingId, incarnation: &str) -> StreamId {
    StreamId { mapping, incarnation: incarnation.into() }
}

fn owner(name: &str) -> OwnerId {
    OwnerId(name.into())
}

fn partition(name: &str) -> PartitionId {
    PartitionId(name.into())
}

fn new_shard(name: &str, position: Position) -> NewShard {
    NewShard { partition: partition(name), parents: Vec::new(), position }
}

fn number(digits: &str) -> SequenceNumber {
    digits.parse().expect("digits are a sequence number")
}

fn at(position: Position) -> Checkpoint {
    Checkpoint { position, ..Checkpoint::default() }
}

fn lost(lease: &Lease) -> Result<(), StoreError> {
    Err(StoreError::LeaseLost { partition: lease.partition.clone(), owner: lease.owner.clone() })
}

async fn shards(store: &dyn Store, stream: &StreamId) -> BTreeMap<String, ShardState> {
    let shards = store.shards(stream).await.expect("shards can be listed");
    shards.into_iter().map(|shard| (shard.partition.0.clone(), shard)).collect()
}

async fn shard(store: &dyn Store, stream: &StreamId, name: &str) -> ShardState {
    shards(store, stream).await.remove(name).expect("the shard is known")
}

async fn take(store: &dyn Store, stream: &StreamId, name: &str, who: &str) -> Lease {
    let counter = shard(store, stream, name).await.counter;
    let taken = store.take(stream, &partition(name), &owner(who), counter).await.expect("taking works");
    taken.expect("nobody else takes it")
}

/// A stream with one shard of this name.
async fn stream_of_one(store: &dyn Store, name: &str) -> StreamId {
    let stream = stream(new_mapping(), "2026-01-01T00:00:00Z");
    store.add_shards(&stream, &[new_shard(name, Position::TrimHorizon)]).await.expect("adding works");
    stream
}

/// Runs the suite. A shared store's lease duration should be short, as parts of the suite wait for it.
pub async fn store_suite(store: &dyn Store) {
    shards_are_known_once_they_are_added(store).await;
    long_listings_are_added_too(store).await;
    one_of_two_takes_the_lease(store).await;
    an_old_lease_writes_nothing(store).await;
    checkpoints_come_back_as_they_were_written(store).await;
    streams_are_kept_apart(store).await;
    removed_is_gone(store).await;
    an_operator_moves_a_checkpoint(store).await;
    a_dead_holder_does_not_stop_an_operator(store).await;
    members_show_that_they_live(store).await;
}

async fn shards_are_known_once_they_are_added(store: &dyn Store) {
    let stream = stream(new_mapping(), "one");
    assert_eq!(store.shards(&stream).await, Ok(Vec::new()), "a stream that was never read");
    assert_eq!(store.incarnations(stream.mapping).await, Ok(Vec::new()));
    let taken = store.take(&stream, &partition("a"), &owner("me"), 0).await;
    assert_eq!(taken, Ok(None), "a shard that isn't known can't be taken");
    assert_eq!(store.add_shards(&stream, &[]).await, Ok(()));
    assert_eq!(store.shards(&stream).await, Ok(Vec::new()));

    let child = NewShard {
        partition: partition("b/child"),
        parents: vec![partition("a"), partition("ä \"quoted\"")],
        position: Position::After(number("00123")),
    };
    store.add_shards(&stream, &[new_shard("a", Position::End), child]).await.expect("adding works");
    let known = shards(store, &stream).await;
    assert_eq!(known.keys().collect::<Vec<_>>(), ["a", "b/child"]);
    let expected = ShardState {
        partition: partition("b/child"),
        parents: vec![partition("a"), partition("ä \"quoted\"")],
        checkpoint: at(Position::After(number("00123"))),
        owner: None,
        counter: 0,
        renewals: 0,
    };
    assert_eq!(known["b/child"], expected);

    // Added again, what is known stays as it is, and the rest is added; a name that comes twice is one shard.
    let lease = take(store, &stream, "a", "me").await;
    store.checkpoint(&lease, &at(Position::After(number("5")))).await.expect("the lease is good");
    let again = ["a", "c", "c"].map(|name| new_shard(name, Position::TrimHorizon));
    store.add_shards(&stream, &again).await.expect("adding works");
    let known = shards(store, &stream).await;
    assert_eq!(known.keys().collect::<Vec<_>>(), ["a", "b/child", "c"]);
    assert_eq!(known["a"].checkpoint, at(Position::After(number("5"))));
    assert_eq!((known["a"].owner.clone(), known["a"].counter), (Some(owner("me")), 1));

    // A place that means something else each time it is read is never kept, nor what comes with it.
    let latest = [new_shard("d", Position::TrimHorizon), new_shard("e", Position::Latest)];
    let refused = store.add_shards(&stream, &latest).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let refused = store.checkpoint(&lease, &at(Position::Latest)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(shards(store, &stream).await, known);
    store.forget(stream.mapping).await.expect("forgetting works");
}

async fn long_listings_are_added_too(store: &dyn Store) {
    let stream = stream(new_mapping(), "long");
    let names: Vec<_> = (0..250).map(|index| format!("shardId-{index:012}")).collect();
    let listing: Vec<_> = names.iter().map(|name| new_shard(name, Position::TrimHorizon)).collect();
    store.add_shards(&stream, &listing[..3]).await.expect("adding works");
    store.add_shards(&stream, &listing).await.expect("adding works");
    assert_eq!(shards(store, &stream).await.into_keys().collect::<Vec<_>>(), names);
    store.forget(stream.mapping).await.expect("forgetting works");
    assert_eq!(store.shards(&stream).await, Ok(Vec::new()));
}

async fn one_of_two_takes_the_lease(store: &dyn Store) {
    let stream = stream_of_one(store, "a").await;
    let a = partition("a");
    for counter in 0..10 {
        let (one, two) = (owner("one"), owner("two"));
        let (one, two) = tokio::join!(store.take(&stream, &a, &one, counter), store.take(&stream, &a, &two, counter));
        let taken: Vec<_> = [one, two].into_iter().filter_map(|taken| taken.expect("taking works")).collect();
        let [lease] = taken.as_slice() else { panic!("one of two takes it: {taken:?}") };
        assert_eq!(lease.counter, counter + 1);
        assert_eq!((&lease.stream, &lease.partition), (&stream, &a));
        let row = shard(store, &stream, "a").await;
        assert_eq!((row.owner.as_ref(), row.counter), (Some(&lease.owner), counter + 1));
    }
    // The same process can't have it twice either.
    let me = owner("me");
    let (one, two) = tokio::join!(store.take(&stream, &a, &me, 10), store.take(&stream, &a, &me, 10));
    assert_eq!([one, two].into_iter().filter_map(|taken| taken.expect("taking works")).count(), 1);
    assert_eq!(store.take(&stream, &a, &owner("late"), 3).await, Ok(None), "a counter of long ago");
    assert_eq!(store.take(&stream, &a, &owner("early"), 12).await, Ok(None), "a counter to come");
    store.forget(stream.mapping).await.expect("forgetting works");
}

async fn an_old_lease_writes_nothing(store: &dyn Store) {
    let stream = stream_of_one(store, "a").await;
    let old = take(store, &stream, "a", "old").await;
    store.checkpoint(&old, &at(Position::After(number("10")))).await.expect("the lease is good");
    store.renew(&old).await.expect("the lease is good");
    let renewals = shard(store, &stream, "a").await.renewals;
    assert!(renewals >= 1, "a renewal shows");

    let new = take(store, &stream, "a", "new").await;
    assert_eq!(store.checkpoint(&old, &at(Position::After(number("11")))).await, lost(&old));
    assert_eq!(store.renew(&old).await, lost(&old));
    assert_eq!(store.release(&old).await, Ok(()), "releasing a lease that is lost is no error");
    let row = shard(store, &stream, "a").await;
    assert_eq!((row.checkpoint, row.owner), (at(Position::After(number("10"))), Some(owner("new"))));
    assert_eq!((row.counter, row.renewals), (2, renewals), "nothing of the old lease is left");

    // An owner that takes its own lease again fences itself.
    let newer = take(store, &stream, "a", "new").await;
    assert_eq!(store.renew(&new).await, lost(&new));
    store.renew(&newer).await.expect("the lease is good");

    // Released, anybody can take it at once, and the holder can't write any more.
    store.release(&newer).await.expect("releasing works");
    store.release(&newer).await.expect("releasing twice is no error");
    let row = shard(store, &stream, "a").await;
    assert_eq!((row.owner, row.counter), (None, 3));
    assert_eq!(store.checkpoint(&newer, &at(Position::End)).await, lost(&newer));
    assert_eq!(store.renew(&newer).await, lost(&newer));
    let next = take(store, &stream, "a", "next").await;

    store.remove_shards(&stream, std::slice::from_ref(&next.partition)).await.expect("removing works");
    assert_eq!(store.checkpoint(&next, &at(Position::End)).await, lost(&next), "the shard is gone");
    assert_eq!(store.renew(&next).await, lost(&next));
    assert_eq!(store.release(&next).await, Ok(()));
    assert_eq!(store.shards(&stream).await, Ok(Vec::new()), "no write brings a shard back");
}

/// Checkpoints of every kind: each position, few lanes and many, and states up to AWS's limit of 1 MB.
fn checkpoints() -> Vec<Checkpoint> {
    let arrived_at = "2026-11-25T12:34:56.123456789Z".parse::<Timestamp>().ok();
    let window = |state: String| Some(OpenWindow { start: Timestamp::UNIX_EPOCH, state });
    let large = |letter: &str| format!("{{\"state\":\"{}\"}}", letter.repeat(1_000_000));
    let lane = |state| Lane { settled: Some(number("49590338271490256608559692538361571095")), window: window(state) };
    let after = Position::After(number(&"9".repeat(129)));
    let idle = Lane { settled: None, window: None };
    vec![
        at(Position::TrimHorizon),
        at(Position::AtTimestamp(Timestamp::MAX)),
        Checkpoint { position: Position::After(number("000")), arrived_at, lanes: Vec::new() },
        Checkpoint { position: after.clone(), arrived_at, lanes: vec![idle.clone(), lane("{}".into()), idle.clone()] },
        Checkpoint { position: after.clone(), arrived_at, lanes: vec![lane(large("a"))] },
        // Characters that JSON escapes, and some of several bytes that any cut may hit.
        Checkpoint { position: after.clone(), arrived_at: None, lanes: vec![lane(large("\u{20ac}\\\"\n"))] },
        Checkpoint { position: after, arrived_at, lanes: (0..10).map(|_| lane(large("b"))).collect() },
        at(Position::End),
    ]
}

async fn checkpoints_come_back_as_they_were_written(store: &dyn Store) {
    let stream = stream_of_one(store, "a").await;
    // Its name begins like the other's.
    store.add_shards(&stream, &[new_shard("a/b", Position::TrimHorizon)]).await.expect("adding works");
    let (lease, other) = (take(store, &stream, "a", "me").await, take(store, &stream, "a/b", "me").await);
    let all = checkpoints();
    for (checkpoint, others) in all.iter().zip(all.iter().rev()) {
        store.checkpoint(&other, others).await.expect("the lease is good");
        store.checkpoint(&lease, checkpoint).await.expect("the lease is good");
        let known = shards(store, &stream).await;
        assert!(known["a"].checkpoint == *checkpoint, "{} with {} lanes", checkpoint.position, checkpoint.lanes.len());
        assert!(known["a/b"].checkpoint == *others, "the other shard keeps its own");
    }
    // A checkpoint with large lanes survives that the lease changes hands.
    store.checkpoint(&lease, &all[4]).await.expect("the lease is good");
    let next = take(store, &stream, "a", "next").await;
    assert_eq!(store.checkpoint(&lease, &all[6]).await, lost(&lease));
    assert!(shard(store, &stream, "a").await.checkpoint == all[4], "nothing of the old holder's lanes");
    store.release(&next).await.expect("releasing works");
    assert!(shard(store, &stream, "a").await.checkpoint == all[4]);
    store.forget(stream.mapping).await.expect("forgetting works");
}

async fn streams_are_kept_apart(store: &dyn Store) {
    let (one, two) = (new_mapping(), new_mapping());
    let streams = [stream(one, ""), stream(one, "2026-01-01"), stream(one, "2026-01-01/2"), stream(two, "2026-01-01")];
    for (index, stream) in streams.iter().enumerate() {
        let position = Position::After(number(&index.to_string()));
        store.add_shards(stream, &[new_shard("a", position)]).await.expect("adding works");
    }
    for (index, stream) in streams.iter().enumerate() {
        let known = shard(store, stream, "a").await;
        assert_eq!(known.checkpoint, at(Position::After(number(&index.to_string()))));
    }
    let mut incarnations = store.incarnations(one).await.expect("incarnations can be listed");
    incarnations.sort();
    assert_eq!(incarnations, ["", "2026-01-01", "2026-01-01/2"]);
    assert_eq!(store.incarnations(two).await, Ok(vec!["2026-01-01".to_owned()]));
    let mappings = store.mappings().await.expect("mappings can be listed");
    for mapping in [one, two] {
        assert_eq!(mappings.iter().filter(|&&it| it == mapping).count(), 1, "each is listed once");
    }

    store.heartbeat(one, &owner("me")).await.expect("heartbeats work");
    store.heartbeat(two, &owner("me")).await.expect("heartbeats work");
    store.forget(one).await.expect("forgetting works");
    store.forget(one).await.expect("forgetting twice is no error");
    assert_eq!(store.incarnations(one).await, Ok(Vec::new()));
    assert_eq!(store.members(one).await, Ok(Vec::new()));
    for stream in &streams[..3] {
        assert_eq!(store.shards(stream).await, Ok(Vec::new()));
    }
    let mappings = store.mappings().await.expect("mappings can be listed");
    assert!(!mappings.contains(&one) && mappings.contains(&two));
    assert_eq!(shards(store, &streams[3]).await.len(), 1, "other mappings keep what they have");
    assert_eq!(store.members(two).await.expect("members can be listed").len(), 1);

    // A mapping that is made again begins anew.
    store.add_shards(&streams[1], &[new_shard("a", Position::TrimHorizon)]).await.expect("adding works");
    assert_eq!(shard(store, &streams[1], "a").await.checkpoint, at(Position::TrimHorizon));
    for mapping in [one, two] {
        store.forget(mapping).await.expect("forgetting works");
    }
}

async fn removed_is_gone(store: &dyn Store) {
    let stream = stream_of_one(store, "a").await;
    let added = ["b", "c"].map(|name| new_shard(name, Position::TrimHorizon));
    store.add_shards(&stream, &added).await.expect("adding works");
    store.remove_shards(&stream, &["a", "c", "nobody"].map(partition)).await.expect("removing works");
    assert_eq!(shards(store, &stream).await.into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(store.incarnations(stream.mapping).await.expect("incarnations can be listed").len(), 1);
    store.remove_shards(&stream, &[partition("b")]).await.expect("removing works");
    store.remove_shards(&stream, &[partition("b")]).await.expect("removing twice is no error");
    assert_eq!(store.incarnations(stream.mapping).await, Ok(Vec::new()), "without shards there is no incarnation");
    assert!(!store.mappings().await.expect("mappings can be listed").contains(&stream.mapping));
    store.add_shards(&stream, &added).await.expect("adding works");
    assert_eq!(shards(store, &stream).await.len(), 2);
    store.forget(stream.mapping).await.expect("forgetting works");
}

async fn an_operator_moves_a_checkpoint(store: &dyn Store) {
    let stream = stream_of_one(store, "a").await;
    let a = partition("a");
    let seen = shard(store, &stream, "a").await.counter;
    for checkpoint in checkpoints().into_iter().skip(1).step_by(2) {
        store.reset(&stream, &a, &checkpoint).await.expect("nobody holds the lease");
        assert!(shard(store, &stream, "a").await.checkpoint == checkpoint, "{}", checkpoint.position);
    }
    let taken = store.take(&stream, &a, &owner("late"), seen).await;
    assert_eq!(taken, Ok(None), "nobody begins at a checkpoint that was seen before");

    let text = |refused: Result<(), StoreError>| match refused {
        Err(StoreError::Refused(text)) => text,
        other => panic!("refused, but: {other:?}"),
    };
    let unknown = text(store.reset(&stream, &partition("nobody"), &at(Position::TrimHorizon)).await);
    assert_eq!(unknown, format!("the store knows no shard nobody of mapping {}", stream.mapping));
    text(store.reset(&stream, &a, &at(Position::Latest)).await);

    // While somebody works on it, it stays where it is.
    let lease = take(store, &stream, "a", "worker").await;
    store.checkpoint(&lease, &at(Position::After(number("7")))).await.expect("the lease is good");
    let pause = store.lease_duration().unwrap_or(Duration::from_millis(50)) / 5;
    let renewing = async {
        loop {
            tokio::time::sleep(pause).await;
            store.renew(&lease).await.expect("the lease is good");
        }
    };
    let horizon = at(Position::TrimHorizon);
    let refused = tokio::select! {
        refused = store.reset(&stream, &a, &horizon) => text(refused),
        () = renewing => String::new(),
    };
    assert_eq!(
        refused,
        "the checkpoint of a can't be moved while worker works on it: disable the mapping, wait until it has stopped, and \
         try again"
    );
    assert_eq!(shard(store, &stream, "a").await.checkpoint, at(Position::After(number("7"))));
    store.renew(&lease).await.expect("the lease is good");

    store.release(&lease).await.expect("releasing works");
    store.reset(&stream, &a, &at(Position::TrimHorizon)).await.expect("nobody holds the lease");
    assert_eq!(shard(store, &stream, "a").await.checkpoint, at(Position::TrimHorizon));
    store.forget(stream.mapping).await.expect("forgetting works");
}

/// Only where leases can expire: elsewhere a dead holder's are cleared when the store is opened.
async fn a_dead_holder_does_not_stop_an_operator(store: &dyn Store) {
    if store.lease_duration().is_none() {
        return;
    }
    let stream = stream_of_one(store, "a").await;
    let lease = take(store, &stream, "a", "dead").await;
    store.reset(&stream, &lease.partition, &at(Position::End)).await.expect("the holder has shown no life");
    let row = shard(store, &stream, "a").await;
    assert_eq!((row.checkpoint, row.owner), (at(Position::End), None));
    // It was only asleep.
    assert_eq!(store.checkpoint(&lease, &at(Position::TrimHorizon)).await, lost(&lease));
    assert_eq!(store.renew(&lease).await, lost(&lease));
    take(store, &stream, "a", "next").await;
    store.forget(stream.mapping).await.expect("forgetting works");
}

async fn members_show_that_they_live(store: &dyn Store) {
    let mapping = new_mapping();
    assert_eq!(store.members(mapping).await, Ok(Vec::new()));
    for (who, beats) in [("one", 2), ("two/2", 1)] {
        for _ in 0..beats {
            store.heartbeat(mapping, &owner(who)).await.expect("heartbeats work");
        }
    }
    let members = || async {
        let members = store.members(mapping).await.expect("members can be listed");
        members.into_iter().map(|(owner, beats)| (owner.0, beats)).collect::<BTreeMap<_, _>>()
    };
    let before = members().await;
    assert_eq!(before.keys().collect::<Vec<_>>(), ["one", "two/2"]);
    assert!(before["one"] >= 2 && before["two/2"] >= 1, "{before:?}");
    store.heartbeat(mapping, &owner("one")).await.expect("heartbeats work");
    let after = members().await;
    assert!(after["one"] > before["one"], "a heartbeat shows");
    assert_eq!(after["two/2"], before["two/2"], "who gives none stands still");
    store.leave(mapping, &owner("one")).await.expect("leaving works");
    store.leave(mapping, &owner("one")).await.expect("leaving twice is no error");
    assert_eq!(members().await.into_keys().collect::<Vec<_>>(), ["two/2"]);
    store.forget(mapping).await.expect("forgetting works");
    assert_eq!(store.members(mapping).await, Ok(Vec::new()));
}
