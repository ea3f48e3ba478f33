//! The seam behind which asynchronous events wait for their function.
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{FunctionName, StoreError, TraceHeader};

/// An event's request id: what the caller was told, and the same for every attempt (spec 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An event that a function is to be invoked with, and that nobody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsyncEvent {
    /// Its request id.
    pub id: EventId,
    /// The function's ARN, always with a qualifier: `$LATEST` where the caller gave none. Events of one text wait in one
    /// line.
    pub function: FunctionName,
    /// What the function is given; JSON.
    pub payload: Bytes,
    /// `X-Amz-Client-Context`, in Base64 as it came.
    pub client_context: Option<String>,
    /// The trace it belongs to, which counts the hops from function to function.
    pub trace: TraceHeader,
    /// When it was accepted: its age counts from here.
    pub accepted_at: Timestamp,
    /// Invocations so far whose function failed. Throttles and errors of the service are none.
    pub attempts: u32,
    /// Throttles and errors of the service in a row.
    pub refusals: u32,
    /// When the next attempt is due.
    pub due_at: Timestamp,
}

/// What a queue has for a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Taken: those that are due, the one that is due longest first.
    pub events: Vec<AsyncEvent>,
    /// When the first of the others is due; `None` if none waits.
    pub next: Option<Timestamp>,
}

/// How much waits for a function, what was taken and not yet ended included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// [`AsyncEvent::function`].
    pub function: FunctionName,
    /// How many events.
    pub events: u64,
}

/// An event as a list shows it: all but its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSummary {
    /// Its request id.
    pub id: EventId,
    /// [`AsyncEvent::function`].
    pub function: FunctionName,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Failed invocations so far.
    pub attempts: u32,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// It is being worked on.
    pub is_taken: bool,
}

/// Keeps asynchronous events. Every call is atomic, and what it wrote is as durable as the store is when it returns `Ok`.
/// An event that was taken is given to nobody else, until it is put back or the queue is opened anew: a crash between a
/// take and a removal has it executed again.
#[async_trait]
pub trait EventQueue: Send + Sync + 'static {
    /// Keeps an event. One of the same id is an error of the caller's and is refused.
    async fn add(&self, event: AsyncEvent) -> Result<(), StoreError>;

    /// Takes at most `most` events of a function that are due at `now`.
    async fn take(&self, function: &FunctionName, now: Timestamp, most: usize) -> Result<Due, StoreError>;

    /// Has a taken event wait for its next attempt: with its new counts, and until its new `due_at`. One that is gone
    /// stays gone.
    async fn put_back(&self, event: &AsyncEvent) -> Result<(), StoreError>;

    /// Forgets an event that came to its end. One that is gone is no error.
    async fn remove(&self, event: EventId) -> Result<(), StoreError>;

    /// Waits for an event that nobody in this process added: the function that has one now. A queue that only this
    /// process fills never has any. Dropping the future loses nothing.
    async fn arrival(&self) -> FunctionName {
        std::future::pending().await
    }

    /// Every function that has events, in no particular order.
    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError>;

    /// For an operator: at most `most` events in the order of their acceptance, of one function or of all, those after
    /// an event if one is given (which may be gone by now if its time of acceptance is told).
    async fn events(
        &self,
        function: Option<&FunctionName>,
        after: Option<(Timestamp, EventId)>,
        most: usize,
    ) -> Result<Vec<EventSummary>, StoreError>;

    /// For an operator: one event; `None` if there is none.
    async fn event(&self, event: EventId) -> Result<Option<AsyncEvent>, StoreError>;

    /// For an operator: forgets an event that waits. `false`: it is gone, or is being worked on.
    async fn cancel(&self, event: EventId) -> Result<bool, StoreError>;
}
