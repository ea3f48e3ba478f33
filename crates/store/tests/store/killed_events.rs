//! Events that were acknowledged survive SIGKILL, those that came to their end stay gone, and what was taken is taken
//! again.
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use pelton_core::{EventQueue as _, FunctionName};
use pelton_store::SqliteStore;
use pelton_testkit::event_queue_suite::{at, new_event, new_function};
use tokio::task::JoinSet;

const PATH: &str = "PELTON_STORE_TEST_EVENTS_PATH";
const FUNCTION: &str = "PELTON_STORE_TEST_FUNCTION";
const ROUNDS: usize = 6;
const CALLERS: i64 = 8;

/// This test again, in a process of its own, where it works for ever.
fn start(path: &Path, function: &FunctionName) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed_events::what_was_accepted_survives_a_kill_until_its_end", "--nocapture"]);
    command.env(PATH, path).env(FUNCTION, function.as_str()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Adds two events and ends one, again and again, and says what it does and what it has done.
async fn work_for_ever(path: &str) {
    let function: FunctionName = std::env::var(FUNCTION).unwrap().parse().unwrap();
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (store, function) = (store.clone(), function.clone());
        callers.spawn(async move {
            loop {
                for event in [new_event(&function, caller), new_event(&function, caller)] {
                    let id = event.id;
                    store.add(event).await.unwrap();
                    println!("\nadded {id}");
                }
                for event in store.take(&function, at(CALLERS), 1).await.unwrap().events {
                    println!("\nending {}", event.id);
                    store.remove(event.id).await.unwrap();
                    println!("\nended {}", event.id);
                }
            }
        });
    }
    callers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_survives_a_kill_until_its_end() {
    if let Ok(path) = std::env::var(PATH) {
        return work_for_ever(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, function) = (folder.path().join("pelton.db"), new_function());
    let [mut added, mut ending, mut ended] = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for round in 0..ROUNDS {
        let mut child = start(&path, &function);
        let mut left = fastrand::usize(100..1_000);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((what, id)) = line.split_once(' ') else { continue };
            // The last line may have been cut off.
            let Ok(id) = id.parse::<uuid::Uuid>() else { continue };
            match what {
                "added" => added.insert(id),
                "ending" => ending.insert(id),
                "ended" => ended.insert(id),
                _ => continue,
            };
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert_eq!(left, 0, "the child ended by itself");
        let store = SqliteStore::open(&path).await.unwrap();
        let listed = store.events(None, None, usize::MAX).await.unwrap();
        let kept: BTreeSet<_> = listed.into_iter().map(|event| event.id.0).collect();
        for id in added.difference(&ending) {
            assert!(kept.contains(id), "round {round}: {id} was acknowledged, and is lost");
        }
        assert!(ended.is_disjoint(&kept), "round {round}: some came to their end, and are there");
        assert!(!ended.is_empty());
        let taken = store.take(&function, at(CALLERS), usize::MAX).await.unwrap().events;
        let taken: BTreeSet<_> = taken.into_iter().map(|event| event.id.0).collect();
        assert_eq!(taken, kept, "round {round}: all of them are to be executed");
        store.close().await;
    }
}
