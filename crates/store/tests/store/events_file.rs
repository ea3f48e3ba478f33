//! Asynchronous events outlive the process; an operator looks at them beside it.
use std::path::PathBuf;

use bytes::Bytes;
use pelton_core::{AsyncEvent, Due, EventQueue as _, StoreError};
use pelton_store::SqliteStore;
use pelton_testkit::event_queue_suite::{at, new_event, new_function};
use rusqlite::Connection;
use tempfile::TempDir;

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("pelton.db")
}

#[tokio::test]
async fn what_was_taken_is_taken_again_after_a_restart_however_the_process_ended() {
    let folder = tempfile::tempdir().unwrap();
    let function = new_function();
    let [taken, waits, done, again] = [1, 2, 3, 4].map(|second| new_event(&function, second));
    let store = SqliteStore::open(path(&folder)).await.unwrap();
    for event in [&taken, &done, &again, &waits] {
        store.add(event.clone()).await.unwrap();
    }
    assert_eq!(store.take(&function, at(1), 10).await.unwrap().events, std::slice::from_ref(&taken));
    store.remove(done.id).await.unwrap();
    let again = AsyncEvent { attempts: 2, refusals: 1, due_at: at(60), ..again };
    store.put_back(&again).await.unwrap();
    for is_closed in [true, false] {
        if is_closed {
            store.close().await;
        }
        let store = SqliteStore::open(path(&folder)).await;
        if is_closed {
            let store = store.unwrap();
            assert_eq!(store.waiting().await.unwrap()[0].events, 3);
            let expected = Due { events: vec![taken.clone(), waits.clone()], next: Some(at(60)) };
            assert_eq!(store.take(&function, at(10), 10).await, Ok(expected));
            drop(store);
        } else {
            let expected = Due { events: vec![taken.clone(), waits.clone(), again.clone()], next: None };
            assert_eq!(store.unwrap().take(&function, at(60), 10).await, Ok(expected));
        }
    }
}

#[tokio::test]
async fn an_operator_sees_and_cancels_beside_the_process_that_works_on_events() {
    let folder = tempfile::tempdir().unwrap();
    let function = new_function();
    let [taken, waits, later] = [1, 2, 3].map(|second| new_event(&function, second));
    let store = SqliteStore::open(path(&folder)).await.unwrap();
    for event in [&taken, &waits, &later] {
        store.add(event.clone()).await.unwrap();
    }
    store.take(&function, at(1), 1).await.unwrap();

    let beside = SqliteStore::open_beside(path(&folder)).await.unwrap();
    let listed = beside.events(None, None, 10).await.unwrap();
    assert_eq!(
        listed.iter().map(|it| (it.id, it.is_taken)).collect::<Vec<_>>(),
        [(taken.id, true), (waits.id, false), (later.id, false)]
    );
    assert_eq!(beside.event(waits.id).await, Ok(Some(waits.clone())));
    assert_eq!(beside.cancel(taken.id).await, Ok(false), "the process works on it");
    assert_eq!(beside.cancel(waits.id).await, Ok(true));
    let due = store.take(&function, at(9), 10).await.unwrap();
    assert_eq!(
        due.events,
        std::slice::from_ref(&later),
        "what is taken is given to nobody else, what is cancelled is gone"
    );
    beside.close().await;
    store.remove(taken.id).await.unwrap();
    store.put_back(&later).await.unwrap();
    assert_eq!(store.take(&function, at(9), 10).await.unwrap().events, [later]);
}

#[tokio::test]
async fn beside_nobody_what_the_dead_had_taken_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let function = new_function();
    let event = new_event(&function, 1);
    let store = SqliteStore::open(path(&folder)).await.unwrap();
    store.add(event.clone()).await.unwrap();
    store.take(&function, at(1), 1).await.unwrap();
    drop(store);
    let beside = SqliteStore::open_beside(path(&folder)).await.unwrap();
    assert_eq!(beside.cancel(event.id).await, Ok(true));
}

#[tokio::test]
async fn a_closed_store_keeps_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(path(&folder)).await.unwrap();
    store.close().await;
    let closed = StoreError::Unavailable("the store is closed".into());
    assert_eq!(store.add(new_event(&new_function(), 1)).await, Err(closed.clone()));
    assert_eq!(store.waiting().await, Err(closed));
}

#[tokio::test]
async fn a_change_of_a_large_event_does_not_write_its_payload_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(path(&folder)).await.unwrap();
    let function = new_function();
    let payload = Bytes::from(format!("\"{}\"", "x".repeat(1_024 * 1_024)));
    let event = AsyncEvent { payload, ..new_event(&function, 1) };
    store.add(event.clone()).await.unwrap();
    let beside = Connection::open(path(&folder)).unwrap();
    beside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    for attempts in 1..=5 {
        assert_eq!(store.take(&function, at(1), 1).await.unwrap().events.len(), 1);
        store.put_back(&AsyncEvent { attempts, ..event.clone() }).await.unwrap();
    }
    let log = std::fs::metadata(folder.path().join("pelton.db-wal")).unwrap().len();
    assert!((1..300_000).contains(&log), "the log grew by {log} bytes");
}

#[tokio::test]
async fn many_large_events_at_once_leave_a_small_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(path(&folder)).await.unwrap();
    let function = new_function();
    let payload = Bytes::from(format!("\"{}\"", "x".repeat(1_000_000)));
    let adds =
        (0..100).map(|second| store.add(AsyncEvent { payload: payload.clone(), ..new_event(&function, second) }));
    assert!(futures_util::future::join_all(adds).await.iter().all(Result::is_ok));
    let log = std::fs::metadata(folder.path().join("pelton.db-wal")).unwrap().len();
    assert!(log < 40_000_000, "the log has {log} bytes");
    assert_eq!(store.take(&function, at(100), 1_000).await.unwrap().events.len(), 100);
}

#[tokio::test]
async fn a_function_that_somebody_has_spoilt_is_named_and_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(path(&folder)).await.unwrap();
    let function = new_function();
    let (spoilt, good) = (new_event(&new_function(), 1), new_event(&function, 2));
    store.add(spoilt.clone()).await.unwrap();
    store.add(good.clone()).await.unwrap();
    let sql = "UPDATE event SET function = 'no function' WHERE function <> ?1";
    Connection::open(path(&folder)).unwrap().execute(sql, [function.as_str()]).unwrap();
    let waiting = store.waiting().await.unwrap();
    assert_eq!(waiting.iter().map(|it| (&it.function, it.events)).collect::<Vec<_>>(), [(&function, 1)]);
    let expected = format!(
        "the store's function of the event {} can't be read, it begins 'no function': cancel the event (`pelton events \
         cancel`) or restore a copy of the store",
        spoilt.id
    );
    assert_eq!(store.event(spoilt.id).await, Err(StoreError::Refused(expected.clone())));
    assert_eq!(store.events(None, None, 10).await, Err(StoreError::Refused(expected)));
    assert_eq!(store.cancel(spoilt.id).await, Ok(true));
    let sql = "UPDATE event SET attempts = -1, due_at = -9223372036854775808";
    Connection::open(path(&folder)).unwrap().execute(sql, []).unwrap();
    let (taken, added) = tokio::join!(store.take(&function, at(2), 10), store.add(new_event(&function, 3)));
    assert_eq!((taken.unwrap().events[0].attempts, added), (u32::MAX, Ok(())), "it is nobody else's trouble");
}

/// The plans of the statements that an event meets between acceptance and end.
#[tokio::test]
async fn no_statement_of_the_way_of_an_event_scans_or_sorts() {
    let folder = tempfile::tempdir().unwrap();
    SqliteStore::open(path(&folder)).await.unwrap().close().await;
    let connection = Connection::open(path(&folder)).unwrap();
    let due = "FROM event WHERE function = 'f' AND taken = 0";
    let statements = [
        format!("SELECT number, attempts {due} AND due_at <= 1 ORDER BY due_at, number LIMIT 3"),
        format!("SELECT due_at {due} ORDER BY due_at LIMIT 1"),
        "UPDATE event SET attempts = 1, due_at = 2, taken = 0 WHERE id = x'00'".into(),
        "UPDATE event SET taken = 1 WHERE number = 1".into(),
        "UPDATE event SET taken = 0 WHERE taken = 1".into(),
        "DELETE FROM event WHERE id = x'00' AND taken = 0 RETURNING number".into(),
        "DELETE FROM event_content WHERE number = 1".into(),
        "SELECT id FROM event WHERE (accepted_at, id) > (1, x'00') ORDER BY accepted_at, id LIMIT 5".into(),
    ];
    for sql in statements {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps: Vec<String> = plan.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let is_search =
            |step: &String| step.starts_with("SEARCH") || step.starts_with("SCAN event USING INDEX event_taken");
        assert!(!steps.is_empty() && steps.iter().all(is_search), "{sql}: {steps:?}");
    }
}
