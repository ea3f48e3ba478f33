//! What was acknowledged survives SIGKILL.
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use pelton_core::{Position, Store as _};
use pelton_store::{OpenError, SqliteStore};
use pelton_testkit::store_suite::new_mapping;
use tokio::task::JoinSet;

use crate::support::{add, after, checkpoints, take};

const PATH: &str = "PELTON_STORE_TEST_PATH";
const MAPPING: &str = "PELTON_STORE_TEST_MAPPING";
const ROUNDS: usize = 8;
const SHARDS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

fn stream() -> pelton_core::StreamId {
    let mapping = std::env::var(MAPPING).unwrap().parse().map(pelton_core::MappingId).unwrap();
    pelton_core::StreamId { mapping, incarnation: String::new() }
}

fn number(position: &Position) -> u64 {
    match position {
        Position::After(number) => number.as_str().parse().unwrap(),
        _ => 0,
    }
}

/// This test again, in a process of its own, where it writes for ever.
fn start(path: &Path, mapping: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::whatever_was_acknowledged_survives_a_kill", "--nocapture"]);
    command.env(PATH, path).env(MAPPING, mapping).stdout(Stdio::piped()).spawn().unwrap()
}

/// Moves every shard on, and says so after each step.
async fn write_for_ever(path: &str) {
    let (store, stream) = (Arc::new(SqliteStore::open(path).await.unwrap()), stream());
    add(&*store, &stream, &SHARDS).await;
    let from = checkpoints(&*store, &stream).await;
    let mut shards = JoinSet::new();
    for name in SHARDS {
        let (store, lease) = (store.clone(), take(&*store, &stream, name, "child").await);
        let from = number(&from[name].position);
        shards.spawn(async move {
            for next in from + 1.. {
                store.checkpoint(&lease, &after(next)).await.unwrap();
                println!("\nacknowledged {name} {next}");
            }
        });
    }
    shards.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_a_kill() {
    if let Ok(path) = std::env::var(PATH) {
        return write_for_ever(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, mapping) = (folder.path().join("pelton.db"), new_mapping());
    let stream = pelton_core::StreamId { mapping, incarnation: String::new() };
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut child = start(&path, &mapping.to_string());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = fastrand::usize(1..400);
        for line in lines {
            let line = line.unwrap();
            let Some((name, next)) = line.strip_prefix("acknowledged ").and_then(|it| it.split_once(' ')) else {
                continue;
            };
            // The last line may have been cut off.
            if let Ok(next) = next.parse::<u64>() {
                acknowledged.insert(name.to_owned(), next);
                left = left.saturating_sub(1);
            }
            if left == 1 {
                let refused = SqliteStore::open(&path).await;
                assert!(matches!(refused, Err(OpenError::InUse { .. })), "another process has it: {refused:?}");
            }
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert_eq!(left, 0, "the child ended by itself");
        let store = SqliteStore::open(&path).await.unwrap();
        let kept = checkpoints(&store, &stream).await;
        for (name, next) in &acknowledged {
            let kept = number(&kept[name].position);
            // The one after it may have been written, but not acknowledged any more.
            assert!(kept == *next || kept == next + 1, "round {round}, shard {name}: acknowledged {next}, kept {kept}");
        }
        store.close().await;
    }
}
