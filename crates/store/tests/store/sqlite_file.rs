//! What can be wrong with a file, in exact words, and that nothing is ever replaced.
use std::path::Path;

use pelton_core::{OwnerId, Position, Store as _, StoreError};
use pelton_store::{OpenError, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{add, after, checkpoints, lost, new_stream, take};

/// Opens a file that can't be used: the error's text, with the folder as `$`. The file stays as it was.
async fn refused(folder: &TempDir, path: &Path) -> String {
    let before = std::fs::read(path).ok();
    let error = SqliteStore::open(path).await.unwrap_err();
    assert_eq!(std::fs::read(path).ok(), before, "the file was changed");
    error.to_string().replace(&folder.path().display().to_string(), "$")
}

/// A closed store with some shards in it.
async fn some_store(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("pelton.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let names: Vec<_> = (0..500).map(|index| format!("shardId-{index:012}")).collect();
    add(&store, &new_stream(), &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    store.close().await;
    path
}

#[tokio::test]
async fn a_file_is_created_and_holds_everything_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stream) = (folder.path().join("pelton.db"), new_stream());
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, &stream, &["a", "b"]).await;
    let lease = take(&store, &stream, "a", "first process").await;
    store.checkpoint(&lease, &after(7)).await.unwrap();
    store.heartbeat(stream.mapping, &lease.owner).await.unwrap();
    store.close().await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == "pelton.db-wal"), "closing leaves one file and its lock: {left:?}");

    let store = SqliteStore::open(&path).await.unwrap();
    let shards = store.shards(&stream).await.unwrap();
    let a = shards.iter().find(|shard| shard.partition.0 == "a").unwrap();
    assert_eq!((a.checkpoint.clone(), a.counter), (after(7), 1));
    assert_eq!(a.owner, None, "the process that held the lease is gone");
    assert_eq!(store.members(stream.mapping).await, Ok(Vec::new()), "and so is its heartbeat");
    assert_eq!(store.checkpoint(&lease, &after(8)).await, lost(&lease));
    store.reset(&stream, &lease.partition, &after(1)).await.unwrap();
    // Dropped without being closed, it can be opened again at once.
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(checkpoints(&store, &stream).await["a"], after(1));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("pelton.db")).await.unwrap();
    store.close().await;
    store.close().await;
    assert_eq!(store.mappings().await, Err(StoreError::Unavailable("the store is closed".into())));
}

#[tokio::test]
async fn calls_made_before_it_is_closed_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stream) = (folder.path().join("pelton.db"), new_stream());
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, &stream, &["a"]).await;
    let lease = take(&store, &stream, "a", "me").await;
    let last = after(9);
    let (written, ()) = tokio::join!(biased; store.checkpoint(&lease, &last), store.close());
    written.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(checkpoints(&store, &stream).await["a"], after(9));
}

#[tokio::test]
async fn a_call_that_fails_does_not_fail_those_it_shares_a_transaction_with() {
    let folder = tempfile::tempdir().unwrap();
    let (store, stream) = (SqliteStore::open(folder.path().join("pelton.db")).await.unwrap(), new_stream());
    let store = std::sync::Arc::new(store);
    let names: Vec<_> = (0..200).map(|index| index.to_string()).collect();
    add(&*store, &stream, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut writes = JoinSet::new();
    for (index, name) in names.iter().enumerate() {
        let (store, lease) = (store.clone(), take(&*store, &stream, name, "me").await);
        if index % 3 == 0 {
            take(&*store, &stream, name, "another").await;
        }
        writes.spawn(async move {
            let written = store.checkpoint(&lease, &after(5)).await;
            let expected = if index % 3 == 0 { lost(&lease) } else { Ok(()) };
            assert_eq!(written, expected, "{index}");
        });
    }
    writes.join_all().await;
    for (name, checkpoint) in checkpoints(&*store, &stream).await {
        let is_lost = name.parse::<usize>().unwrap() % 3 == 0;
        assert_eq!(checkpoint == after(5), !is_lost, "{name}");
    }
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        refused(&folder, &folder.path().join("state/pelton.db")).await,
        "the store $/state/pelton.db can't be created, because the folder $/state doesn't exist: create it, or choose \
         another Path"
    );
}

#[tokio::test]
async fn a_folder_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteStore::open(folder.path()).await.unwrap_err().to_string();
    let path = folder.path().display();
    assert_eq!(
        error,
        format!("the store {path} is no file: let Path name a file in a folder, such as state/pelton.db")
    );
    assert!(matches!(SqliteStore::open("/").await, Err(OpenError::NoFile { .. })));
}

#[tokio::test]
async fn a_file_that_is_in_use_is_refused_by_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("pelton.db"), folder.path().join("link.db"));
    let store = SqliteStore::open(&path).await.unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let expected = |name| {
        format!(
            "the store $/{name} is in use by another process: stop that process, or choose another Path for this one"
        )
    };
    assert_eq!(refused(&folder, &path).await, expected("pelton.db"));
    assert_eq!(refused(&folder, &link).await, expected("link.db"));
    store.close().await;
    SqliteStore::open(&link).await.unwrap();
}

#[tokio::test]
async fn a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = some_store(&folder).await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    assert_eq!(
        refused(&folder, &path).await,
        "the store $/pelton.db has version 7, and this Pelton knows versions up to 4 only: run the newer Pelton that wrote \
         it, or choose another Path and accept that every mapping begins at its StartingPosition"
    );
}

#[tokio::test]
async fn a_database_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE shard (name TEXT)").unwrap();
    let expected = "$/other.db is a SQLite database, but not one of Pelton's: choose another Path";
    assert_eq!(refused(&folder, &path).await, expected);
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let advice = "restore a copy of it, or move $/pelton.db and $/pelton.db-wal away and accept that every mapping begins \
                  at its StartingPosition";
    let path = folder.path().join("pelton.db");
    std::fs::write(&path, "no database, but a text that somebody has put here\n".repeat(100)).unwrap();
    let expected = format!("the store $/pelton.db is damaged (file is not a database): {advice}");
    assert_eq!(refused(&folder, &path).await, expected);
    std::fs::remove_file(&path).unwrap();

    let path = some_store(&folder).await;
    let whole = std::fs::read(&path).unwrap();
    let mut torn = whole.clone();
    let middle = whole.len() / 2;
    torn[middle..middle + 8_192].fill(0xa5);
    for damaged in [&torn[..], &whole[..middle]] {
        std::fs::write(&path, damaged).unwrap();
        let text = refused(&folder, &path).await;
        assert!(text.starts_with("the store $/pelton.db is damaged (") && text.ends_with(advice), "{text}");
    }
    std::fs::write(&path, &whole).unwrap();
    SqliteStore::open(&path).await.unwrap();
}

/// A file as the first version of the schema had it.
fn first_version(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(include_str!("../../migrations/0001_shards.sql")).unwrap();
    connection.pragma_update(None, "application_id", 0x504c_544e).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
}

#[tokio::test]
async fn an_older_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stream) = (folder.path().join("pelton.db"), new_stream());
    let row = [stream.mapping.to_string(), stream.incarnation.clone(), r#"{"After":"42"}"#.into()];
    let insert = "INSERT INTO shard VALUES (?1, ?2, 'a', '[\"parent\"]', ?3, NULL, NULL, 'somebody', 3, 8)";
    first_version(&path).execute(insert, row).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let [a] = store.shards(&stream).await.unwrap().try_into().unwrap();
    assert_eq!((a.checkpoint.position, a.counter, a.renewals), (after(42).position, 3, 8));
    let me = OwnerId("me".into());
    store.heartbeat(stream.mapping, &me).await.unwrap();
    assert_eq!(store.members(stream.mapping).await, Ok(vec![(me, 1)]));
    store.close().await;
    let version = "PRAGMA user_version";
    assert_eq!(Connection::open(&path).unwrap().query_row(version, [], |row| row.get(0)), Ok(4));
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_older_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pelton.db");
    first_version(&path).execute_batch("CREATE TABLE member (name TEXT)").unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(error.to_string().contains("can't be opened: table member already exists"), "{error}");
    let connection = Connection::open(&path).unwrap();
    assert_eq!(connection.query_row("PRAGMA user_version", [], |row| row.get(0)), Ok(1));
    connection.execute_batch("DROP TABLE member").unwrap();
    drop(connection);
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_row_that_somebody_has_spoilt_is_named_and_can_be_set_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stream) = (folder.path().join("pelton.db"), new_stream());
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, &stream, &["a"]).await;
    Connection::open(&path).unwrap().execute("UPDATE shard SET position = 'nowhere'", []).unwrap();
    let expected = "the store's position of a can't be read, it begins 'nowhere': set the shard's checkpoint anew (`pelton \
                    checkpoint reset`) or restore a copy of the store";
    assert_eq!(store.shards(&stream).await, Err(StoreError::Refused(expected.into())));
    store.reset(&stream, &crate::support::partition("a"), &after(1)).await.unwrap();
    assert_eq!(checkpoints(&store, &stream).await["a"].position, Position::After("1".parse().unwrap()));
}

#[tokio::test]
async fn an_operator_sees_and_moves_checkpoints_beside_the_process_that_works_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stream) = (folder.path().join("pelton.db"), new_stream());
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, &stream, &["held", "free"]).await;
    let lease = take(&store, &stream, "held", "me").await;
    store.checkpoint(&lease, &after(7)).await.unwrap();

    let beside = SqliteStore::open_beside(&path).await.unwrap();
    assert_eq!(checkpoints(&beside, &stream).await["held"], after(7));
    let held = "the checkpoint of held can't be moved while me works on it: disable the mapping, wait until it has \
                stopped, and try again";
    let reset = async |name| beside.reset(&stream, &crate::support::partition(name), &after(1)).await;
    assert_eq!(reset("held").await, Err(StoreError::Refused(held.into())));
    assert_eq!(reset("free").await, Ok(()));
    assert_eq!(checkpoints(&store, &stream).await["free"], after(1), "the process sees it at once");
    store.checkpoint(&lease, &after(8)).await.unwrap();
    store.release(&lease).await.unwrap();
    assert_eq!(reset("held").await, Ok(()), "released, it can be moved while the process lives");
    beside.close().await;
    assert_eq!(store.checkpoint(&lease, &after(9)).await, lost(&lease));
}

#[tokio::test]
async fn beside_nobody_the_leases_of_the_dead_are_cleared_and_the_file_stays_free() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stream) = (folder.path().join("pelton.db"), new_stream());
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, &stream, &["a"]).await;
    take(&store, &stream, "a", "the dead").await;
    store.close().await;
    let beside = SqliteStore::open_beside(&path).await.unwrap();
    assert_eq!(beside.shards(&stream).await.unwrap()[0].owner, None);
    assert_eq!(beside.reset(&stream, &crate::support::partition("a"), &after(1)).await, Ok(()));
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(checkpoints(&store, &stream).await["a"], after(1));
}

#[tokio::test]
async fn beside_makes_no_file_and_refuses_what_it_can_not_bring_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pelton.db");
    let error = SqliteStore::open_beside(&path).await.unwrap_err().to_string();
    assert_eq!(error, format!("nothing was kept yet: the store {} doesn't exist", path.display()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");

    let store = SqliteStore::open(&path).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DROP TABLE member; DROP TABLE document; DROP TABLE event; DROP TABLE event_content; PRAGMA user_version = 1").unwrap();
    assert!(matches!(SqliteStore::open_beside(&path).await, Err(OpenError::InUse { .. })));
    store.close().await;
    SqliteStore::open_beside(&path).await.unwrap();
    assert_eq!(connection.query_row("PRAGMA user_version", [], |row| row.get(0)), Ok(4));
}
