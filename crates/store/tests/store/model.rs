//! SQLite against the store in memory, with random calls, and opened again at random.
use pelton_core::{Lease, NewShard, OwnerId, Store, StreamId};
use pelton_store::{MemoryStore, SqliteStore};
use pelton_testkit::store_suite::new_mapping;
use proptest::prelude::*;

use crate::support::{after, partition, with_windows};

const STREAMS: usize = 3;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const OWNERS: [&str; 2] = ["one", "two"];

#[derive(Debug, Clone)]
enum Step {
    Add { stream: usize, names: Vec<usize>, position: u64 },
    Take { stream: usize, name: usize, owner: usize, stale: u64 },
    Renew { lease: usize },
    Checkpoint { lease: usize, number: u64, lanes: usize },
    Release { lease: usize },
    Remove { stream: usize, names: Vec<usize> },
    Reset { stream: usize, name: usize, number: u64 },
    Forget { stream: usize },
    Heartbeat { stream: usize, owner: usize },
    Leave { stream: usize, owner: usize },
    Reopen { close: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let (stream, name, owner) = (0..STREAMS, 0..NAMES.len(), 0..OWNERS.len());
    let names = prop::collection::vec(name.clone(), 0..4);
    // The latest leases more often than the first.
    let lease = 0..4_usize;
    let number = 0..100_u64;
    prop_oneof![
        3 => (stream.clone(), names.clone(), number.clone())
            .prop_map(|(stream, names, position)| Step::Add { stream, names, position }),
        6 => (stream.clone(), name.clone(), owner.clone(), prop_oneof![4 => Just(0), 1 => 1..3_u64])
            .prop_map(|(stream, name, owner, stale)| Step::Take { stream, name, owner, stale }),
        2 => lease.clone().prop_map(|lease| Step::Renew { lease }),
        6 => (lease.clone(), number.clone(), 0..3_usize)
            .prop_map(|(lease, number, lanes)| Step::Checkpoint { lease, number, lanes }),
        2 => lease.prop_map(|lease| Step::Release { lease }),
        1 => (stream.clone(), names).prop_map(|(stream, names)| Step::Remove { stream, names }),
        2 => (stream.clone(), name, number).prop_map(|(stream, name, number)| Step::Reset { stream, name, number }),
        1 => stream.clone().prop_map(|stream| Step::Forget { stream }),
        1 => (stream.clone(), owner.clone()).prop_map(|(stream, owner)| Step::Heartbeat { stream, owner }),
        1 => (stream, owner).prop_map(|(stream, owner)| Step::Leave { stream, owner }),
        1 => any::<bool>().prop_map(|close| Step::Reopen { close }),
    ]
}

/// Calls one store. What comes back, as text, and a lease that was taken.
async fn call(store: &dyn Store, streams: &[StreamId], leases: &[Lease], step: &Step) -> (String, Option<Lease>) {
    let partitions = |names: &[usize]| names.iter().map(|&name| partition(NAMES[name])).collect::<Vec<_>>();
    let owner = |owner: usize| OwnerId(OWNERS[owner].into());
    let lease = |back: usize| leases.iter().rev().nth(back);
    let answer = match step {
        Step::Add { stream, names, position } => {
            let shard = |partition| NewShard { partition, parents: Vec::new(), position: after(*position).position };
            let shards: Vec<_> = partitions(names).into_iter().map(shard).collect();
            store.add_shards(&streams[*stream], &shards).await
        }
        Step::Take { stream, name, owner: by, stale } => {
            let (stream, name) = (&streams[*stream], partition(NAMES[*name]));
            let shards = store.shards(stream).await.unwrap();
            let counter = shards.iter().find(|shard| shard.partition == name).map_or(0, |shard| shard.counter);
            let taken = store.take(stream, &name, &owner(*by), counter.saturating_sub(*stale)).await;
            return (format!("{taken:?}"), taken.unwrap());
        }
        Step::Renew { lease: back } => match lease(*back) {
            Some(lease) => store.renew(lease).await,
            None => Ok(()),
        },
        Step::Checkpoint { lease: back, number, lanes } => match lease(*back) {
            Some(lease) => store.checkpoint(lease, &with_windows(*number, *lanes, 50)).await,
            None => Ok(()),
        },
        Step::Release { lease: back } => match lease(*back) {
            Some(lease) => store.release(lease).await,
            None => Ok(()),
        },
        Step::Remove { stream, names } => store.remove_shards(&streams[*stream], &partitions(names)).await,
        Step::Reset { stream, name, number } => {
            store.reset(&streams[*stream], &partition(NAMES[*name]), &after(*number)).await
        }
        Step::Forget { stream } => store.forget(streams[*stream].mapping).await,
        Step::Heartbeat { stream, owner: by } => store.heartbeat(streams[*stream].mapping, &owner(*by)).await,
        Step::Leave { stream, owner: by } => store.leave(streams[*stream].mapping, &owner(*by)).await,
        Step::Reopen { .. } => Ok(()),
    };
    (format!("{answer:?}"), None)
}

/// Everything that can be seen of a store.
async fn contents(store: &dyn Store, streams: &[StreamId]) -> Vec<String> {
    fn sorted<T: std::fmt::Debug>(items: Vec<T>) -> String {
        let mut lines: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
        lines.sort();
        lines.join("\n")
    }
    let mut seen = vec![sorted(store.mappings().await.unwrap())];
    for stream in streams {
        seen.push(sorted(store.shards(stream).await.unwrap()));
        seen.push(sorted(store.incarnations(stream.mapping).await.unwrap()));
        seen.push(sorted(store.members(stream.mapping).await.unwrap()));
    }
    seen
}

/// What opening does to a store whose process is gone.
async fn clear(model: &MemoryStore, streams: &[StreamId]) {
    for stream in streams {
        for shard in model.shards(stream).await.unwrap() {
            if let Some(owner) = shard.owner {
                let (stream, partition, counter) = (stream.clone(), shard.partition, shard.counter);
                model.release(&Lease { stream, partition, owner, counter }).await.unwrap();
            }
        }
        for (owner, _) in model.members(stream.mapping).await.unwrap() {
            model.leave(stream.mapping, &owner).await.unwrap();
        }
    }
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (one, two) = (new_mapping(), new_mapping());
    let streams = [(one, ""), (one, "b"), (two, "b")]
        .map(|(mapping, incarnation)| StreamId { mapping, incarnation: incarnation.into() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pelton.db");
    let (model, mut store) = (MemoryStore::new(), SqliteStore::open(&path).await.unwrap());
    let mut leases = Vec::new();
    for step in steps {
        if let Step::Reopen { close } = step {
            if close {
                store.close().await;
            }
            drop(store);
            store = SqliteStore::open(&path).await.unwrap();
            clear(&model, &streams).await;
        }
        let (expected, _) = call(&model, &streams, &leases, &step).await;
        let (found, lease) = call(&store, &streams, &leases, &step).await;
        prop_assert_eq!(found, expected, "{:?}", step);
        prop_assert_eq!(contents(&store, &streams).await, contents(&model, &streams).await, "{:?}", step);
        leases.extend(lease);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn sqlite_does_what_the_store_in_memory_does(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}
