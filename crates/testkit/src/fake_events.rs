use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::{AsyncEvent, Due, EventId, EventQueue, EventSummary, FunctionName, StoreError, Waiting};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

/// Arrivals that nobody has asked for yet, at most.
const MOST_ARRIVALS: usize = 100;

/// A call of a [`FakeEvents`] that fails without an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFault {
    /// The next addition.
    Add,
    /// The next take.
    Take,
    /// The next return of an event to the queue.
    PutBack,
    /// The next removal.
    Remove,
    /// The next listing.
    Waiting,
}

#[derive(Debug)]
struct Kept {
    event: AsyncEvent,
    is_taken: bool,
}

#[derive(Debug, Default)]
struct State {
    events: BTreeMap<EventId, Kept>,
    faults: VecDeque<EventFault>,
    most_taken: usize,
    takes: usize,
}

/// A queue of asynchronous events in memory.
#[derive(Debug)]
pub struct FakeEvents {
    state: Mutex<State>,
    arrivals: (mpsc::Sender<FunctionName>, AsyncMutex<mpsc::Receiver<FunctionName>>),
}

impl Default for FakeEvents {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MOST_ARRIVALS);
        Self { state: Mutex::default(), arrivals: (sender, AsyncMutex::new(receiver)) }
    }
}

impl FakeEvents {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, in the order of the ids, with whether it is taken.
    pub fn kept(&self) -> Vec<(AsyncEvent, bool)> {
        self.state().events.values().map(|kept| (kept.event.clone(), kept.is_taken)).collect()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.state().events.is_empty()
    }

    /// The most events that were taken at the same time.
    pub fn most_taken(&self) -> usize {
        self.state().most_taken
    }

    /// How often something was taken, or nothing was found.
    pub fn takes(&self) -> usize {
        self.state().takes
    }

    /// The next calls of these kinds fail, once for each time a kind is given.
    pub fn inject(&self, faults: impl IntoIterator<Item = EventFault>) {
        self.state().faults.extend(faults);
    }

    /// Adds an event as another process would that shares the queue.
    pub async fn add_elsewhere(&self, event: AsyncEvent) {
        let function = event.function.clone();
        self.state().events.insert(event.id, Kept { event, is_taken: false });
        // The receiver lives as long as the sender.
        let _ = self.arrivals.0.send(function).await;
    }

    /// As after a crash: what was taken can be taken again.
    pub fn reopen(&self) {
        self.state().events.values_mut().for_each(|kept| kept.is_taken = false);
    }

    fn call(&self, fault: EventFault) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.state();
        match state.faults.iter().position(|it| *it == fault) {
            Some(i) => {
                state.faults.remove(i);
                Err(StoreError::Unavailable("the disk is full".into()))
            }
            None => Ok(state),
        }
    }
}

#[async_trait]
impl EventQueue for FakeEvents {
    async fn add(&self, event: AsyncEvent) -> Result<(), StoreError> {
        let mut state = self.call(EventFault::Add)?;
        if state.events.contains_key(&event.id) {
            return Err(StoreError::Refused(format!("there is an event {} already", event.id)));
        }
        state.events.insert(event.id, Kept { event, is_taken: false });
        Ok(())
    }

    async fn take(&self, function: &FunctionName, now: Timestamp, most: usize) -> Result<Due, StoreError> {
        let mut state = self.call(EventFault::Take)?;
        state.takes += 1;
        let waiting = |kept: &&mut Kept| !kept.is_taken && kept.event.function == *function;
        let mut waiting: Vec<&mut Kept> = state.events.values_mut().filter(waiting).collect();
        waiting.sort_by_key(|kept| (kept.event.due_at, kept.event.accepted_at));
        let due = waiting.iter().take_while(|kept| kept.event.due_at <= now).count().min(most);
        let next = waiting.get(due).map(|kept| kept.event.due_at);
        let events = waiting.into_iter().take(due);
        let events = events
            .map(|kept| {
                kept.is_taken = true;
                kept.event.clone()
            })
            .collect();
        let taken = state.events.values().filter(|kept| kept.is_taken).count();
        state.most_taken = state.most_taken.max(taken);
        Ok(Due { events, next })
    }

    async fn put_back(&self, event: &AsyncEvent) -> Result<(), StoreError> {
        if let Some(kept) = self.call(EventFault::PutBack)?.events.get_mut(&event.id) {
            *kept = Kept { event: event.clone(), is_taken: false };
        }
        Ok(())
    }

    async fn remove(&self, event: EventId) -> Result<(), StoreError> {
        self.call(EventFault::Remove)?.events.remove(&event);
        Ok(())
    }

    async fn arrival(&self) -> FunctionName {
        match self.arrivals.1.lock().await.recv().await {
            Some(function) => function,
            None => std::future::pending().await,
        }
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let state = self.call(EventFault::Waiting)?;
        let mut counts: BTreeMap<FunctionName, u64> = BTreeMap::new();
        for kept in state.events.values() {
            *counts.entry(kept.event.function.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().map(|(function, events)| Waiting { function, events }).collect())
    }

    async fn events(
        &self,
        function: Option<&FunctionName>,
        after: Option<(Timestamp, EventId)>,
        most: usize,
    ) -> Result<Vec<EventSummary>, StoreError> {
        let state = self.state();
        let is_wanted = |kept: &&Kept| {
            let event = &kept.event;
            function.is_none_or(|function| event.function == *function)
                && after.is_none_or(|after| (event.accepted_at, event.id) > after)
        };
        let mut events: Vec<&Kept> = state.events.values().filter(is_wanted).collect();
        events.sort_by_key(|kept| (kept.event.accepted_at, kept.event.id));
        let summary = |kept: &Kept| EventSummary {
            id: kept.event.id,
            function: kept.event.function.clone(),
            accepted_at: kept.event.accepted_at,
            attempts: kept.event.attempts,
            due_at: kept.event.due_at,
            is_taken: kept.is_taken,
        };
        Ok(events.into_iter().take(most).map(summary).collect())
    }

    async fn event(&self, event: EventId) -> Result<Option<AsyncEvent>, StoreError> {
        Ok(self.state().events.get(&event).map(|kept| kept.event.clone()))
    }

    async fn cancel(&self, event: EventId) -> Result<bool, StoreError> {
        let mut state = self.state();
        let waits = state.events.get(&event).is_some_and(|kept| !kept.is_taken);
        if waits {
            state.events.remove(&event);
        }
        Ok(waits)
    }
}
