//! Invocations on their way to a worker.
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pelton_core::{Arn, TraceHeader};
use tokio::sync::{Semaphore, oneshot};

/// One invocation, and where its answer goes.
#[derive(Debug)]
pub struct Invocation {
    pub request_id: String,
    pub function_arn: Arn,
    /// `None`: a new trace.
    pub trace: Option<TraceHeader>,
    /// JSON, in characters that a header may hold.
    pub client_context: Option<String>,
    pub wants_log: bool,
    pub payload: Bytes,
    pub answer: oneshot::Sender<Answer>,
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `Unhandled` if the function failed.
    pub function_error: Option<&'static str>,
    pub payload: Bytes,
    /// If it was wanted.
    pub log_tail: Option<Bytes>,
}

#[derive(Debug)]
struct Waiting {
    invocation: Invocation,
    /// Fired when a worker takes the invocation; until then the caller may give up by dropping the receiver.
    taken: oneshot::Sender<()>,
}

/// First in, first out, for many workers. Bounded by its callers: a function lets in only as many invocations as it has
/// processes.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
    /// One permit for each invocation in the queue.
    ready: Semaphore,
}

impl Queue {
    pub fn new() -> Self {
        Self { waiting: Mutex::default(), ready: Semaphore::new(0) }
    }

    /// `taken` fires when a worker takes the invocation.
    pub fn push(&self, invocation: Invocation, taken: oneshot::Sender<()>) {
        self.lock().push_back(Waiting { invocation, taken });
        self.ready.add_permits(1);
    }

    /// Removes an invocation that nobody waits for any more; does nothing if it has been taken.
    pub fn withdraw(&self, request_id: &str) {
        let mut waiting = self.lock();
        let before = waiting.len();
        waiting.retain(|waiting| waiting.invocation.request_id != request_id);
        let removed = waiting.len() < before;
        drop(waiting);
        // A worker that holds the permit already will find that the queue has nothing for it.
        if removed && let Ok(permit) = self.ready.try_acquire() {
            permit.forget();
        }
    }

    /// Waits for the next invocation that still has a caller. Cancel safe: nothing is lost when it is dropped.
    pub async fn take(&self) -> Invocation {
        loop {
            match self.ready.acquire().await {
                Ok(permit) => permit.forget(),
                // The semaphore is never closed.
                Err(_) => std::future::pending().await,
            }
            if let Some(invocation) = self.front() {
                return invocation;
            }
        }
    }

    /// The next invocation that still has a caller, if there is one.
    pub fn try_take(&self) -> Option<Invocation> {
        while let Ok(permit) = self.ready.try_acquire() {
            permit.forget();
            if let Some(invocation) = self.front() {
                return Some(invocation);
            }
        }
        None
    }

    fn front(&self) -> Option<Invocation> {
        let Waiting { invocation, taken } = self.lock().pop_front()?;
        taken.send(()).ok().map(|()| invocation)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, request_id: &str) -> oneshot::Receiver<()> {
        let (taken, was_taken) = oneshot::channel();
        let invocation = Invocation {
            request_id: request_id.into(),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".parse().unwrap(),
            trace: None,
            client_context: None,
            wants_log: false,
            payload: Bytes::from_static(b"{}"),
            answer: oneshot::channel().0,
        };
        queue.push(invocation, taken);
        was_taken
    }

    #[tokio::test]
    async fn skips_invocations_whose_caller_has_given_up() {
        let queue = Queue::new();
        drop(push(&queue, "1"));
        let mut kept = push(&queue, "2");
        assert_eq!(queue.take().await.request_id, "2");
        assert_eq!(kept.try_recv(), Ok(()));
        assert!(queue.try_take().is_none());
    }

    #[tokio::test]
    async fn a_withdrawn_invocation_leaves_nothing_behind() {
        let queue = Queue::new();
        let _first = push(&queue, "1");
        let _second = push(&queue, "2");
        queue.withdraw("1");
        queue.withdraw("no such id");
        assert_eq!(queue.lock().len(), 1);
        assert_eq!(queue.take().await.request_id, "2");
        assert!(queue.try_take().is_none());
        assert_eq!(queue.ready.available_permits(), 0);
    }
}
