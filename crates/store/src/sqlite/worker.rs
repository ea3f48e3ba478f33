//! A thread with a connection of its own: it takes what waits, does it in one transaction, and answers when that is on
//! disk.
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use pelton_core::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::database::{Database, failure};
use super::open_error::OpenError;

/// Calls that wait for the thread; further ones wait to be let in.
const WAITING: usize = 1_024;
/// Calls in one transaction, at most: what one of them waits for the others.
const GROUP: usize = 1_024;
/// What the calls of one transaction write, roughly, unless a single one writes more: what SQLite's log grows by.
const GROUP_BYTES: usize = 8 * 1_024 * 1_024;

/// A call, on its way to the thread and back.
trait Job: Send {
    /// How much it writes, roughly and in bytes, if that is much.
    fn size(&self) -> usize;
    /// An error fails the whole group. What only this call can't have isn't an error but a value.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Call<Work, Value> {
    work: Option<Work>,
    size: usize,
    value: Option<Value>,
    reply: oneshot::Sender<Result<Value, StoreError>>,
}

impl<Work, Value: Send> Job for Call<Work, Value>
where
    Work: FnOnce(&Connection) -> rusqlite::Result<Value> + Send,
{
    fn size(&self) -> usize {
        self.size
    }

    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(connection)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        // The caller may have stopped waiting.
        let _ = reply.send(committed.and_then(|()| value.ok_or_else(ended)));
    }
}

/// The thread, seen from outside. Dropped, it lets the calls that were made end.
pub struct Worker {
    sender: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    handle: JoinHandle<()>,
    /// Closed when the thread has nothing left to do.
    end: oneshot::Receiver<()>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Worker").finish_non_exhaustive()
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Worker {
    /// Starts the thread and opens the file in it.
    pub async fn start(path: PathBuf, open: fn(&Path) -> Result<Database, OpenError>) -> Result<Self, OpenError> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (opened, opening) = oneshot::channel();
        let (ending, end) = oneshot::channel();
        let failed = |detail: String| OpenError::Failed { path: path.clone(), detail };
        let file = path.clone();
        let work = move || {
            match open(&file) {
                Ok(database) => {
                    let _ = opened.send(Ok(()));
                    serve(database, receiver);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            }
            drop(ending);
        };
        let thread = std::thread::Builder::new().name("pelton-store".into()).spawn(work);
        let handle = thread.map_err(|error| failed(error.to_string()))?;
        opening.await.map_err(|_| failed("its thread has ended".into()))??;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(Thread { handle, end })) })
    }

    /// Does the work in a transaction, and returns when that is on disk. A caller that stops waiting may have its work
    /// done none the less.
    pub async fn call<Work, Value>(&self, work: Work) -> Result<Value, StoreError>
    where
        Work: FnOnce(&Connection) -> rusqlite::Result<Value> + Send + 'static,
        Value: Send + 'static,
    {
        self.call_of_size(0, work).await
    }

    /// [`Self::call`] for work that writes this many bytes.
    pub async fn call_of_size<Work, Value>(&self, size: usize, work: Work) -> Result<Value, StoreError>
    where
        Work: FnOnce(&Connection) -> rusqlite::Result<Value> + Send + 'static,
        Value: Send + 'static,
    {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, answer) = oneshot::channel();
        let call = Call { work: Some(work), size, value: None, reply };
        sender.ok_or_else(ended)?.send(Box::new(call)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    fn stop(&self) -> Option<Thread> {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub async fn close(&self) {
        if let Some(thread) = self.stop() {
            // An error is the end that is waited for.
            let _ = thread.end.await;
            join(thread.handle);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Waits, so that the file can be opened again at once.
        if let Some(thread) = self.stop() {
            join(thread.handle);
        }
    }
}

fn join(handle: JoinHandle<()>) {
    if handle.join().is_err() {
        tracing::error!("the store's thread has panicked");
    }
}

fn serve(mut database: Database, mut receiver: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = receiver.blocking_recv() {
        let mut size = first.size();
        group.push(first);
        while group.len() < GROUP
            && size < GROUP_BYTES
            && let Ok(next) = receiver.try_recv()
        {
            size = size.saturating_add(next.size());
            group.push(next);
        }
        let committed = commit(&mut database, &mut group).map_err(|error| failure(&database.path, &error));
        for job in group.drain(..) {
            job.answer(committed.clone());
        }
    }
}

fn commit(database: &mut Database, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let transaction = database.begin()?;
    for job in group {
        job.run(&transaction)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_said_in_sqlites_words_and_writes_go_on_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pelton.db");
        let worker = Worker::start(path.clone(), Database::open).await.unwrap();
        let beat = |owner: &'static str, size: usize| {
            let owner = pelton_core::OwnerId(format!("{owner}{}", "x".repeat(size)));
            let mapping = pelton_core::MappingId::of("arn", "function");
            worker.call(move |connection| super::super::rows::heartbeat(connection, mapping, &owner))
        };
        let limit = |pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            worker.call(move |connection| connection.query_row(&sql, [], |_| Ok(())))
        };
        beat("before", 0).await.unwrap();
        limit(1).await.unwrap();
        let text = format!("the store {} failed: database or disk is full", path.display());
        assert_eq!(beat("too large", 100_000).await, Err(StoreError::Unavailable(text)));
        limit(1_000_000).await.unwrap();
        beat("after", 100_000).await.unwrap();
        let count = "SELECT count(*) FROM member";
        let count = worker.call(move |connection| connection.query_row(count, [], |row| row.get::<_, i64>(0))).await;
        assert_eq!(count, Ok(2));
    }
    #[tokio::test]
    async fn nothing_is_acknowledged_while_another_holds_the_file_and_writes_go_on_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pelton.db");
        let worker = Worker::start(path.clone(), Database::open).await.unwrap();
        let patience = "PRAGMA busy_timeout = 50";
        worker.call(move |connection| connection.query_row(patience, [], |_| Ok(()))).await.unwrap();
        let beat = || {
            let mapping = pelton_core::MappingId::of("arn", "function");
            let owner = pelton_core::OwnerId("me".into());
            worker.call(move |connection| super::super::rows::heartbeat(connection, mapping, &owner))
        };
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let text = format!("the store {} failed: database is locked", path.display());
        assert_eq!(beat().await, Err(StoreError::Unavailable(text)));
        other.execute_batch("ROLLBACK").unwrap();
        beat().await.unwrap();
    }
}
