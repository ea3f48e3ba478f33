//! Where asynchronous events come in.
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pelton_core::{AsyncEvent, Clock, EventId, EventQueue, FunctionName, StoreError, TraceHeader};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::StatusHandle;

/// An event that somebody hands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its request id, as the caller is told.
    pub id: EventId,
    /// The function's ARN, with a qualifier. Whether there is such a function is checked before.
    pub function: FunctionName,
    /// What the function is given; JSON.
    pub payload: Bytes,
    /// `X-Amz-Client-Context`, in Base64 as it came.
    pub client_context: Option<String>,
    /// The trace as it came.
    pub trace: TraceHeader,
}

/// Takes events in. Cheap to clone; stays valid after a shutdown, when what it takes in waits for the next start.
#[derive(Clone)]
pub struct EventDoor {
    pub(super) queue: Arc<dyn EventQueue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: StatusHandle,
    pub(super) bell: Arc<Bell>,
    pub(super) adding: TaskTracker,
}

impl EventDoor {
    /// Takes an event in. It is as durable as the queue is when this returns `Ok`, and due at once. Dropping the future
    /// leaves open whether it was taken in; if it was, it is executed.
    ///
    /// # Errors
    /// If the queue can't keep it: the event isn't taken in, as far as the queue can tell.
    pub async fn accept(&self, new: NewEvent) -> Result<(), StoreError> {
        let NewEvent { id, function, payload, client_context, trace } = new;
        let now = self.clock.now();
        let (accepted_at, due_at) = (now, now);
        let event =
            AsyncEvent { id, function, payload, client_context, trace, accepted_at, attempts: 0, refusals: 0, due_at };
        // A caller that goes away must not keep an event that is being written from being noticed.
        let added = self.adding.spawn(self.clone().add(event)).await;
        added.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the event could not be kept: {error}"))))
    }

    async fn add(self, event: AsyncEvent) -> Result<(), StoreError> {
        let function = event.function.clone();
        let watch = self.status.function(&function);
        let adding = watch.adding();
        let result = self.queue.add(event).await;
        if result.is_ok() {
            adding.accepted();
        }
        // Also after an error: one that tells of a lost answer leaves an event behind.
        self.bell.ring(function);
        result
    }
}

/// Tells which functions got events. Holds each function once, however often it is rung for it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    functions: Mutex<HashSet<FunctionName>>,
    rung: Notify,
}

impl Bell {
    pub fn ring(&self, function: FunctionName) {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner).insert(function);
        self.rung.notify_one();
    }

    /// Waits until it was rung. Dropping the future loses nothing.
    pub async fn rung(&self) -> HashSet<FunctionName> {
        loop {
            let functions = std::mem::take(&mut *self.functions.lock().unwrap_or_else(PoisonError::into_inner));
            if !functions.is_empty() {
                return functions;
            }
            self.rung.notified().await;
        }
    }
}
