//! What can be seen of a local function from outside.
use std::sync::{Arc, Mutex, PoisonError};

/// A local function at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessStatus {
    /// Processes that are alive.
    pub running: usize,
    /// Processes that run an invocation.
    pub busy: usize,
    /// How often a process was started in place of one that ended, for whatever reason.
    pub restarts: u64,
    /// The latest reason why a process ended unasked or could not be started; gone after the next success.
    pub last_error: Option<String>,
}

/// Shared by a function and its workers.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<ProcessStatus>>);

/// Counts one process as running or busy until it is dropped.
#[derive(Debug)]
pub struct Mark {
    board: Board,
    counter: fn(&mut ProcessStatus) -> &mut usize,
}

impl Board {
    pub fn read(&self) -> ProcessStatus {
        let mut copy = ProcessStatus::default();
        self.update(|status| copy = status.clone());
        copy
    }

    pub fn update(&self, change: impl FnOnce(&mut ProcessStatus)) {
        // Plain counters stay usable whatever happened to the thread that held the lock.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn running(&self) -> Mark {
        self.mark(|status| &mut status.running)
    }

    pub fn busy(&self) -> Mark {
        self.mark(|status| &mut status.busy)
    }

    fn mark(&self, counter: fn(&mut ProcessStatus) -> &mut usize) -> Mark {
        self.update(|status| *counter(status) += 1);
        Mark { board: self.clone(), counter }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.board.update(|status| *(self.counter)(status) -= 1);
    }
}
