//! Several supervisors on one store and one stream, in paused time: who works on which shard, and what happens when one
//! of them comes, goes, dies, or sleeps.
#![allow(clippy::unwrap_used, reason = "test support")]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::stream::{Gate, Log, Run, World, mapping, settings};
use common::until;
use pelton_core::{Mapping, OwnerId, Position, ShardState, Source, StartingPosition, StreamSettings};
use pelton_store::MemoryStore;
use pelton_testkit::{FakeInvoker, shard};
use tokio::time::Instant;

const LEASE: Duration = Duration::from_secs(10);

/// One of several processes, as far as they go.
struct Replica {
    run: Run,
    gate: Arc<Gate>,
    invoker: Arc<FakeInvoker>,
    owner: OwnerId,
}

struct Cluster {
    world: World,
    log: Arc<Log>,
    /// The shard that each record is in.
    shard_of: BTreeMap<String, usize>,
    keys: BTreeMap<String, String>,
    /// What every replica that there ever was has invoked.
    invokers: Vec<(OwnerId, Arc<FakeInvoker>)>,
    takes: Duration,
}

impl Cluster {
    fn new(shards: usize, takes: Duration) -> Self {
        Self {
            world: World::with_store(shards, MemoryStore::shared(LEASE)),
            log: Arc::default(),
            shard_of: BTreeMap::new(),
            keys: BTreeMap::new(),
            invokers: Vec::new(),
            takes,
        }
    }

    fn join(&mut self) -> Replica {
        self.join_with(Mapping { batch_size: 2, ..mapping(settings()) })
    }

    fn join_with(&mut self, mapping: Mapping) -> Replica {
        let gate = Gate::new(&self.world.store, &self.log);
        let invoker = Arc::new(FakeInvoker::scripted([]).taking(self.takes));
        let run = self.world.start_on(gate.clone(), mapping, &invoker);
        let owner = run.supervisor.owner().clone();
        self.invokers.push((owner.clone(), invoker.clone()));
        Replica { run, gate, invoker, owner }
    }

    fn put(&mut self, shard: usize, key: &str) {
        let id = self.world.stream.put(shard, key).to_string();
        self.shard_of.insert(id.clone(), shard);
        self.keys.insert(id, key.to_owned());
    }

    /// A record for every shard, each with a key of its own.
    fn put_everywhere(&mut self, shards: usize) {
        (1..=shards).for_each(|shard| self.put(shard, &format!("key-{shard}")));
    }

    /// How many shards each replica holds.
    async fn held(&self) -> BTreeMap<OwnerId, usize> {
        let mut held = BTreeMap::new();
        let open = |row: &ShardState| row.checkpoint.position != Position::End;
        for owner in self.world.rows().await.into_iter().filter(open).filter_map(|row| row.owner) {
            *held.entry(owner).or_default() += 1;
        }
        held
    }

    /// Waits until these replicas hold so many shards, and nobody else any.
    async fn share(&self, expected: &[(&Replica, usize)]) {
        let expected: BTreeMap<OwnerId, usize> =
            expected.iter().map(|(replica, count)| (replica.owner.clone(), *count)).collect();
        until("the shards are shared out", async || self.held().await == expected).await;
    }

    fn batches(&self) -> Vec<(Instant, OwnerId, Vec<String>)> {
        let of = |(owner, invoker): &(OwnerId, Arc<FakeInvoker>)| {
            invoker.seen().into_iter().map(|it| (it.at, owner.clone(), it.ids)).collect::<Vec<_>>()
        };
        let mut batches: Vec<_> = self.invokers.iter().flat_map(of).collect();
        batches.sort_by_key(|(at, ..)| *at);
        batches
    }

    fn delivered(&self) -> Vec<String> {
        self.batches().into_iter().flat_map(|(_, _, ids)| ids).collect()
    }

    async fn all_settled(&self) {
        let is_settled = |row: &ShardState| {
            let of_shard = self.shard_of.iter().filter(|(_, number)| shard(**number) == row.partition);
            let last = of_shard.filter_map(|(id, _)| id.parse::<u64>().ok()).max().unwrap_or(0);
            match &row.checkpoint.position {
                Position::After(number) => number.as_str().parse::<u64>().unwrap() >= last,
                position => *position == Position::End || last == 0,
            }
        };
        until("everything is settled", async || self.world.rows().await.iter().all(is_settled)).await;
    }

    /// What must hold whatever happened: nothing is lost, the first deliveries of each key are in order, an invocation
    /// begins only while its replica is the last that has taken the shard, and checkpoints never go back and are never
    /// written by one that has lost its lease.
    fn check(&self) {
        let delivered: BTreeSet<String> = self.delivered().into_iter().collect();
        assert_eq!(delivered, self.shard_of.keys().cloned().collect(), "everything is delivered");
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for id in self.delivered() {
            if seen.insert(id.clone()) {
                let number: u64 = id.parse().unwrap();
                let before = last.insert(&self.keys[&id], number);
                assert!(before.is_none_or(|before| before < number), "{id} came after {before:?} of its key");
            }
        }
        let taken = self.log.taken();
        for (at, owner, ids) in self.batches() {
            let partition = shard(self.shard_of[&ids[0]]);
            let holder = taken.iter().rev().find(|taken| taken.at <= at && taken.partition == partition);
            assert_eq!(holder.map(|taken| &taken.owner), Some(&owner), "{ids:?} of {partition} at {at:?}");
        }
        let mut written: BTreeMap<_, (u64, OwnerId, Position)> = BTreeMap::new();
        for write in self.log.written() {
            let next = (write.counter, write.owner, write.position);
            if let Some(before) = written.insert(write.partition.clone(), next.clone()) {
                assert!(before.0 <= next.0, "{} wrote after {}", next.1, before.1);
                if let (Position::After(before), Position::After(next)) = (&before.2, &next.2) {
                    assert!(before <= next, "the checkpoint of {} went back from {before} to {next}", write.partition);
                }
            }
        }
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn shards_are_shared_evenly() {
    let mut cluster = Cluster::new(7, Duration::ZERO);
    let replicas = [cluster.join(), cluster.join(), cluster.join()];
    let is_even = |held: &BTreeMap<OwnerId, usize>| {
        let mut counts: Vec<usize> = held.values().copied().collect();
        counts.sort();
        counts == [2, 2, 3]
    };
    until("even shares", async || is_even(&cluster.held().await)).await;
    let before = cluster.held().await;
    let taken = cluster.log.taken().len();
    cluster.put_everywhere(7);
    seconds(300).await;
    assert_eq!(cluster.held().await, before, "nothing moves without need");
    assert_eq!(cluster.log.taken().len(), taken);
    cluster.check();
    for replica in replicas {
        replica.run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_joins_gets_its_share_and_no_record_is_delivered_twice() {
    let mut cluster = Cluster::new(4, Duration::from_secs(1));
    let first = cluster.join();
    cluster.share(&[(&first, 4)]).await;
    (0..40).for_each(|_| cluster.put_everywhere(4));
    let second = cluster.join();
    let joined = Instant::now();
    cluster.share(&[(&first, 2), (&second, 2)]).await;
    assert!(joined.elapsed() < LEASE / 2, "{:?}", joined.elapsed());
    cluster.all_settled().await;
    cluster.check();
    assert_eq!(cluster.delivered().len(), 160, "none twice");
    assert!(!first.invoker.seen().is_empty() && !second.invoker.seen().is_empty());
    first.run.stop().await;
    second.run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_killed_is_replaced_within_a_lease() {
    let mut cluster = Cluster::new(4, Duration::from_millis(100));
    let (first, second) = (cluster.join(), cluster.join());
    cluster.share(&[(&first, 2), (&second, 2)]).await;
    for _ in 0..3 {
        cluster.put_everywhere(4);
        seconds(5).await;
    }
    cluster.put_everywhere(4);
    tokio::time::sleep(Duration::from_millis(150)).await;
    drop(first.run);
    let killed = Instant::now();
    cluster.put_everywhere(4);
    cluster.share(&[(&second, 4)]).await;
    assert!(killed.elapsed() <= LEASE + LEASE / 8, "{:?}", killed.elapsed());
    cluster.all_settled().await;
    cluster.check();
    second.run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_in_order_hands_its_shards_over_at_once() {
    let mut cluster = Cluster::new(4, Duration::from_secs(1));
    let (first, second) = (cluster.join(), cluster.join());
    cluster.share(&[(&first, 2), (&second, 2)]).await;
    (0..5).for_each(|_| cluster.put_everywhere(4));
    seconds(1).await;
    first.run.stop().await;
    let stopped = Instant::now();
    assert!(!cluster.held().await.contains_key(&first.owner), "it has released its leases");
    cluster.share(&[(&second, 4)]).await;
    assert!(stopped.elapsed() <= LEASE / 4, "{:?}", stopped.elapsed());
    cluster.all_settled().await;
    cluster.check();
    assert_eq!(cluster.delivered().len(), 20, "none twice");
    second.run.stop().await;
}

/// As a process that is stopped with SIGSTOP, or that can't reach the store.
#[tokio::test(start_paused = true)]
async fn one_that_slept_past_its_lease_writes_nothing_and_stops_at_once() {
    let mut cluster = Cluster::new(2, Duration::from_secs(4));
    let (first, second) = (cluster.join(), cluster.join());
    cluster.share(&[(&first, 1), (&second, 1)]).await;
    (0..30).for_each(|_| cluster.put_everywhere(2));
    seconds(6).await;
    first.gate.shut();
    let shut = Instant::now();
    cluster.share(&[(&second, 2)]).await;
    let replaced = shut.elapsed();
    assert!(replaced <= LEASE + LEASE / 8, "{replaced:?}");
    let began_late = |it: &pelton_testkit::Invocation| it.at >= shut + LEASE * 7 / 10;
    seconds(20).await;
    assert!(!first.invoker.seen().iter().any(began_late), "nothing begins once the lease has lapsed");
    let written = cluster.log.written().iter().filter(|it| it.owner == first.owner).count();
    first.gate.open();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(first.run.status().in_flight, 0, "its work is stopped");
    assert_eq!(cluster.log.written().iter().filter(|it| it.owner == first.owner).count(), written, "it wrote nothing");
    cluster.share(&[(&first, 1), (&second, 1)]).await;
    cluster.all_settled().await;
    cluster.check();
    first.run.stop().await;
    second.run.stop().await;
}

/// The invocation began in good time and lasts: it is cut off as soon as it is known that another has the shard.
#[tokio::test(start_paused = true)]
async fn work_in_flight_is_dropped_when_the_lease_turns_out_to_be_lost() {
    let mut cluster = Cluster::new(1, Duration::from_secs(300));
    let first = cluster.join();
    cluster.share(&[(&first, 1)]).await;
    cluster.put_everywhere(1);
    until("it is invoked", async || !first.invoker.seen().is_empty()).await;
    first.gate.shut();
    let second = cluster.join();
    cluster.share(&[(&second, 1)]).await;
    assert_eq!(first.run.status().in_flight, 1);
    first.gate.open();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(first.run.status().in_flight, 0);
    cluster.all_settled().await;
    cluster.check();
    first.run.stop().await;
    second.run.stop().await;
}

/// Regression: the one that took the lease began at the checkpoint that it had seen before, not at the one that the
/// sleeper wrote when it woke in between, and moved it back.
#[tokio::test(start_paused = true)]
async fn one_that_takes_a_lease_begins_at_the_last_checkpoint_that_was_written() {
    let mut cluster = Cluster::new(1, Duration::from_secs(1));
    let first = cluster.join();
    cluster.share(&[(&first, 1)]).await;
    cluster.put_everywhere(1);
    until("it is invoked", async || !first.invoker.seen().is_empty()).await;
    first.gate.shut();
    let second = cluster.join();
    second.gate.open_at_take(&first.gate);
    cluster.share(&[(&second, 1)]).await;
    seconds(5).await;
    cluster.put_everywhere(1);
    cluster.all_settled().await;
    assert_eq!(cluster.delivered(), ["1", "2"]);
    cluster.check();
    first.run.stop().await;
    second.run.stop().await;
}

/// Regression: a replica whose listing was a little older than its fellow's took a shard that had been read to its end
/// and forgotten for a new one, and read it again from its beginning.
#[tokio::test(start_paused = true)]
async fn a_forgotten_shard_is_not_read_again() {
    for offset in [5, 10, 15, 20, 25] {
        let mut cluster = Cluster::new(2, Duration::ZERO);
        let first = cluster.join();
        seconds(offset).await;
        let second = cluster.join();
        cluster.share(&[(&first, 1), (&second, 1)]).await;
        cluster.put_everywhere(2);
        cluster.world.stream.reshard(&[1], &[3, 4]);
        cluster.put(3, "key-1");
        cluster.all_settled().await;
        cluster.world.stream.unlist(1);
        until("it is forgotten", async || cluster.world.rows().await.iter().all(|row| row.partition != shard(1))).await;
        seconds(120).await;
        let rows: Vec<_> = cluster.world.rows().await.into_iter().map(|row| row.partition).collect();
        assert_eq!(rows, [shard(2), shard(3), shard(4)], "{offset} s apart");
        assert_eq!(cluster.delivered().len(), 3, "none twice");
        cluster.check();
        first.run.stop().await;
        second.run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn children_are_read_after_their_parents_whoever_has_them() {
    let mut cluster = Cluster::new(2, Duration::from_secs(2));
    let (first, second) = (cluster.join(), cluster.join());
    cluster.share(&[(&first, 1), (&second, 1)]).await;
    for _ in 0..10 {
        cluster.put(1, "key-1");
        cluster.put(2, "key-2");
    }
    cluster.world.stream.reshard(&[1, 2], &[3]);
    (0..5).for_each(|_| cluster.put(3, "key-1"));
    cluster.world.stream.reshard(&[3], &[4, 5]);
    (0..5).for_each(|_| cluster.put(4, "key-1"));
    (0..5).for_each(|_| cluster.put(5, "key-2"));
    until("all is delivered", async || cluster.delivered().len() == 35).await;
    cluster.all_settled().await;
    cluster.check();
    first.run.stop().await;
    second.run.stop().await;
}

/// Replicas come, go, die and sleep at random, with lanes, while records flow.
#[tokio::test(start_paused = true)]
async fn whatever_replicas_do_nothing_is_lost_and_order_is_kept() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        fastrand::seed(seed);
        let mut cluster = Cluster::new(5, Duration::from_millis(rng.u64(0..3_000)));
        let lanes = StreamSettings { parallelization_factor: rng.usize(1..4), ..settings() };
        let mapping = Mapping { batch_size: rng.usize(1..5), ..mapping(lanes) };
        let mut replicas = vec![cluster.join_with(mapping.clone())];
        for _ in 0..40 {
            for _ in 0..rng.usize(0..20) {
                let key = rng.usize(0..30);
                cluster.put(1 + key % 5, &format!("key-{key}"));
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(0..6_000))).await;
            let picked = rng.usize(0..replicas.len());
            match rng.u32(0..6) {
                0 | 1 if replicas.len() < 4 => replicas.push(cluster.join_with(mapping.clone())),
                2 if replicas.len() > 1 => drop(replicas.swap_remove(picked)),
                3 if replicas.len() > 1 => {
                    let leaving = replicas.swap_remove(picked);
                    leaving.gate.open();
                    leaving.run.stop().await;
                }
                4 => replicas[picked].gate.shut(),
                _ => replicas.iter().for_each(|replica| replica.gate.open()),
            }
        }
        replicas.iter().for_each(|replica| replica.gate.open());
        cluster.all_settled().await;
        cluster.check();
        for replica in replicas {
            replica.run.stop().await;
        }
    }
}

/// Regression: a listing that took longer than a quarter of a lease was broken off and begun anew, for ever.
#[tokio::test(start_paused = true)]
async fn a_listing_that_takes_longer_than_renewals_can_wait_is_used_when_it_comes() {
    let mut cluster = Cluster::new(2, Duration::ZERO);
    cluster.world.stream.list_slowly(LEASE);
    let replica = cluster.join();
    cluster.share(&[(&replica, 2)]).await;
    cluster.put_everywhere(2);
    cluster.world.stream.reshard(&[1], &[3]);
    cluster.put(3, "key-1");
    cluster.put(2, "key-2");
    until("all is delivered", async || cluster.delivered().len() == 4).await;
    cluster.all_settled().await;
    assert!(cluster.world.rows().await.iter().all(|row| row.counter <= 1), "no lease was lost meanwhile");
    cluster.check();
    replica.run.stop().await;
}

/// Each checkpoint is a request that costs money, and takes its turn with the renewals of leases.
#[tokio::test(start_paused = true)]
async fn checkpoints_in_a_shared_store_come_at_most_ten_a_second_and_shard() {
    let mut cluster = Cluster::new(1, Duration::from_millis(20));
    let replica = cluster.join();
    (0..1_000).for_each(|_| cluster.put(1, "key-1"));
    cluster.share(&[(&replica, 1)]).await;
    let start = Instant::now();
    cluster.all_settled().await;
    let seconds = start.elapsed().as_secs_f64();
    let writes = cluster.log.written().len();
    assert!(seconds > 9.0 && writes as f64 <= seconds * 10.0 + 1.0, "{writes} in {seconds} s");
    cluster.check();
    replica.run.stop().await;
}

/// Regression: a replica that handed a shard over before it had read it was never shown as Enabled.
#[tokio::test(start_paused = true)]
async fn a_replica_is_enabled_without_the_shards_that_it_has_handed_over() {
    let mut cluster = Cluster::new(2, Duration::ZERO);
    cluster.world.stream.break_shard(2, true);
    let latest = StreamSettings { starting_position: StartingPosition::Latest, ..settings() };
    let first = cluster.join_with(mapping(latest.clone()));
    cluster.share(&[(&first, 2)]).await;
    seconds(60).await;
    assert_ne!(first.run.status().state, "Enabled", "it does not know yet where shard 2 begins");
    let second = cluster.join_with(mapping(latest));
    cluster.share(&[(&first, 1), (&second, 1)]).await;
    first.run.enabled().await;
    cluster.world.stream.break_shard(2, false);
    cluster.put_everywhere(2);
    cluster.all_settled().await;
    cluster.check();
    first.run.stop().await;
    second.run.stop().await;
}

/// What a replica reads of a shard it has let go of would count against the shard's limit of reads.
#[tokio::test(start_paused = true)]
async fn only_one_replica_reads_a_shard() {
    let mut cluster = Cluster::new(1, Duration::ZERO);
    let replicas = [cluster.join(), cluster.join(), cluster.join()];
    seconds(60).await;
    let polls = cluster.world.stream.polls(1);
    let interval = cluster.world.stream.idle_wait();
    assert!(polls.windows(2).skip(30).all(|pair| pair[1] - pair[0] >= interval), "one reader");
    for replica in replicas {
        replica.run.stop().await;
    }
}

/// The store can't be reached, so nobody tells: what is in flight is dropped a lease after another may have begun.
#[tokio::test(start_paused = true)]
async fn work_in_flight_never_outlasts_its_lease_by_more_than_another_one() {
    let mut cluster = Cluster::new(1, Duration::from_secs(1_000));
    let only = cluster.join();
    cluster.share(&[(&only, 1)]).await;
    cluster.put_everywhere(1);
    until("the function runs", async || only.run.status().in_flight == 1).await;
    only.gate.shut();
    tokio::time::sleep(LEASE * 12 / 10).await;
    assert_eq!(only.run.status().in_flight, 1, "it may come to its end");
    tokio::time::sleep(LEASE * 6 / 10).await;
    assert_eq!(only.run.status().in_flight, 0);
}
