//! How many checkpoints a second SQLite takes with durability on, beside a bare loop that does the same work in one
//! thread, in groups of the same size.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program for people that measures real time"
)]
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pelton_core::{Checkpoint, MappingId, NewShard, OwnerId, PartitionId, Position, Store as _, StreamId};
use pelton_store::SqliteStore;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::task::JoinSet;

const TIME: Duration = Duration::from_secs(4);
const SHARDS: [usize; 4] = [1, 16, 128, 1_000];

#[tokio::main]
async fn main() {
    // In the working folder: the system's folder for temporary files may be in memory.
    let folder = tempfile::tempdir_in(".").unwrap();
    for shards in SHARDS {
        let store = of_store(&folder.path().join(format!("store-{shards}.db")), shards).await;
        let bare = of_bare_loop(&folder.path().join(format!("bare-{shards}.db")), shards);
        let ratio = store / bare;
        println!(
            "{shards:5} shards: store {store:8.0}/s, bare loop in groups of {shards} {bare:8.0}/s, ratio {ratio:.2}"
        );
    }
}

fn checkpoint(number: u64) -> Checkpoint {
    let position = Position::After(format!("4959033827149025660855969253836{number:025}").parse().unwrap());
    Checkpoint { position, arrived_at: Some(jiff::Timestamp::UNIX_EPOCH), lanes: Vec::new() }
}

/// Every shard writes its checkpoint, and the next one as soon as that is on disk.
async fn of_store(path: &Path, shards: usize) -> f64 {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let mapping = MappingId::of("arn:aws:kinesis:eu-west-1:000000000000:stream/s", "f");
    let stream = StreamId { mapping, incarnation: "2026-01-01T00:00:00Z".into() };
    let names: Vec<_> = (0..shards).map(|index| PartitionId(format!("shardId-{index:012}"))).collect();
    let new = |partition: &PartitionId| NewShard {
        partition: partition.clone(),
        parents: Vec::new(),
        position: Position::TrimHorizon,
    };
    store.add_shards(&stream, &names.iter().map(new).collect::<Vec<_>>()).await.unwrap();
    let (written, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    let start = Instant::now();
    for name in names {
        let lease = store.take(&stream, &name, &OwnerId("me".into()), 0).await.unwrap().unwrap();
        let (store, written) = (store.clone(), written.clone());
        tasks.spawn(async move {
            while start.elapsed() < TIME {
                store.checkpoint(&lease, &checkpoint(written.fetch_add(1, Ordering::Relaxed))).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let rate = written.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    store.close().await;
    rate
}

/// The same table, settings and statement, with everything known beforehand: nobody waits for an answer.
fn of_bare_loop(path: &Path, group: usize) -> f64 {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.execute_batch(include_str!("../migrations/0001_shards.sql")).unwrap();
    let (mapping, incarnation) = ("3fa0e0a4-8a8b-5a58-9d7b-0c9c3ea3e5ef", "2026-01-01T00:00:00Z");
    let insert = "INSERT INTO shard VALUES (?1, ?2, ?3, '[]', '\"TrimHorizon\"', NULL, NULL, 'me', 1, 0)";
    let names: Vec<_> = (0..group).map(|index| format!("shardId-{index:012}")).collect();
    for name in &names {
        connection.execute(insert, params![mapping, incarnation, name]).unwrap();
    }
    let (start, mut written) = (Instant::now(), 0_u64);
    while start.elapsed() < TIME {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        for name in &names {
            let position = serde_json::to_string(&checkpoint(written).position).unwrap();
            let mut statement = transaction
                .prepare_cached(
                    "UPDATE shard SET position = ?6, arrived_at = ?7, lanes = ?8
                     WHERE mapping = ?1 AND incarnation = ?2 AND partition = ?3 AND owner = ?4 AND counter = ?5",
                )
                .unwrap();
            let at = "1970-01-01T00:00:00Z";
            let changed = statement
                .execute(params![mapping, incarnation, name, "me", 1, position, at, Option::<String>::None])
                .unwrap();
            assert_eq!(changed, 1);
            written += 1;
        }
        transaction.commit().unwrap();
    }
    written as f64 / start.elapsed().as_secs_f64()
}
