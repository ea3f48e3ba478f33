//! The thread that owns the file: it takes what waits, does it in one transaction, and answers when that is on disk.
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use pelton_core::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::database::{Database, failure};
use super::open_error::OpenError;

/// Calls that wait for the thread; further ones wait to be let in.
const WAITING: usize = 1_024;
/// Calls in one transaction, at most: what one of them waits for the others.
const GROUP: usize = 1_024;

/// A call, on its way to the thread and back.
trait Job: Send {
    /// An error fails the whole group. What only this call can't have isn't an error but a value.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Call<Work, Value> {
    work: Option<Work>,
    value: Option<Value>,
    reply: oneshot::Sender<Result<Value, StoreError>>,
}

impl<Work, Value: Send> Job for Call<Work, Value>
where
    Work: FnOnce(&Connection) -> rusqlite::Result<Value> + Send,
{
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
pub struct Writer {
    sender: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    handle: JoinHandle<()>,
    /// Closed when the thread has nothing left to do.
    end: oneshot::Receiver<()>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Writer {
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
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, answer) = oneshot::channel();
        let call = Call { work: Some(work), value: None, reply };
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

impl Drop for Writer {
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
        group.push(first);
        while group.len() < GROUP
            && let Ok(next) = receiver.try_recv()
        {
            group.push(next);
        }
        let committed = commit(&mut database.connection, &mut group).map_err(|error| failure(&database.path, &error));
        for job in group.drain(..) {
            job.answer(committed.clone());
        }
    }
}

fn commit(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    // Takes the file's write lock at once: a read that would become a write could find that it is too late.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
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
        let writer = Writer::start(path.clone(), Database::open).await.unwrap();
        let beat = |owner: &'static str, size: usize| {
            let owner = pelton_core::OwnerId(format!("{owner}{}", "x".repeat(size)));
            let mapping = pelton_core::MappingId::of("arn", "function");
            writer.call(move |connection| super::super::rows::heartbeat(connection, mapping, &owner))
        };
        let limit = |pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            writer.call(move |connection| connection.query_row(&sql, [], |_| Ok(())))
        };
        beat("before", 0).await.unwrap();
        limit(1).await.unwrap();
        let text = format!("the store {} failed: database or disk is full", path.display());
        assert_eq!(beat("too large", 100_000).await, Err(StoreError::Unavailable(text)));
        limit(1_000_000).await.unwrap();
        beat("after", 100_000).await.unwrap();
        let count = "SELECT count(*) FROM member";
        let count = writer.call(move |connection| connection.query_row(count, [], |row| row.get::<_, i64>(0))).await;
        assert_eq!(count, Ok(2));
    }
}
