//! Asynchronous events, as long as the process lives.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::{AsyncEvent, Due, EventId, EventQueue, EventSummary, FunctionName, StoreError, Waiting};

use super::MemoryStore;
use crate::refusal::known_event;

#[derive(Debug, Default)]
pub struct Events {
    kept: HashMap<EventId, Kept>,
    /// Of each function that has some: those that are not taken, by the time when they are due.
    due: HashMap<FunctionName, BTreeSet<Key>>,
    accepted: BTreeSet<(Timestamp, EventId)>,
    counts: BTreeMap<FunctionName, u64>,
    numbers: u64,
}

#[derive(Debug)]
struct Kept {
    event: AsyncEvent,
    /// Rises with every event.
    number: u64,
    is_taken: bool,
}

/// When it is due, [`Kept::number`], and which.
type Key = (Timestamp, u64, EventId);

impl Kept {
    fn key(&self) -> Key {
        (self.event.due_at, self.number, self.event.id)
    }

    fn summary(&self) -> EventSummary {
        let AsyncEvent { id, function, accepted_at, attempts, due_at, .. } = &self.event;
        let (id, function, accepted_at) = (*id, function.clone(), *accepted_at);
        EventSummary { id, function, accepted_at, attempts: *attempts, due_at: *due_at, is_taken: self.is_taken }
    }
}

impl Events {
    fn add(&mut self, event: AsyncEvent) -> Result<(), StoreError> {
        if self.kept.contains_key(&event.id) {
            return Err(known_event(event.id));
        }
        self.numbers += 1;
        self.accepted.insert((event.accepted_at, event.id));
        *self.counts.entry(event.function.clone()).or_default() += 1;
        let kept = Kept { event, number: self.numbers, is_taken: false };
        self.due.entry(kept.event.function.clone()).or_default().insert(kept.key());
        self.kept.insert(kept.event.id, kept);
        Ok(())
    }

    fn take(&mut self, function: &FunctionName, now: Timestamp, most: usize) -> Due {
        let Some(due) = self.due.get_mut(function) else { return Due::default() };
        let mut events = Vec::new();
        while events.len() < most
            && let Some(first) = due.first().copied().filter(|(due_at, ..)| *due_at <= now)
        {
            due.remove(&first);
            if let Some(kept) = self.kept.get_mut(&first.2) {
                kept.is_taken = true;
                events.push(kept.event.clone());
            }
        }
        let next = due.first().map(|(due_at, ..)| *due_at);
        if next.is_none() {
            self.due.remove(function);
        }
        Due { events, next }
    }

    fn put_back(&mut self, event: &AsyncEvent) {
        let Some(kept) = self.kept.get_mut(&event.id) else { return };
        let line = self.due.entry(kept.event.function.clone()).or_default();
        line.remove(&kept.key());
        kept.event.attempts = event.attempts;
        kept.event.refusals = event.refusals;
        kept.event.due_at = event.due_at;
        kept.is_taken = false;
        line.insert(kept.key());
    }

    fn remove(&mut self, event: EventId) {
        let Some(kept) = self.kept.remove(&event) else { return };
        let function = &kept.event.function;
        self.accepted.remove(&(kept.event.accepted_at, event));
        if let Some(due) = self.due.get_mut(function) {
            due.remove(&kept.key());
            if due.is_empty() {
                self.due.remove(function);
            }
        }
        if let Some(count) = self.counts.get_mut(function) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(function);
            }
        }
    }

    fn list(
        &self,
        function: Option<&FunctionName>,
        after: Option<(Timestamp, EventId)>,
        most: usize,
    ) -> Vec<EventSummary> {
        use std::ops::Bound::{Excluded, Unbounded};
        let events = self.accepted.range((after.map_or(Unbounded, Excluded), Unbounded));
        let kept = events.filter_map(|(_, event)| self.kept.get(event));
        let wanted = kept.filter(|kept| function.is_none_or(|function| kept.event.function == *function));
        wanted.take(most).map(Kept::summary).collect()
    }
}

#[async_trait]
impl EventQueue for MemoryStore {
    async fn add(&self, event: AsyncEvent) -> Result<(), StoreError> {
        self.rows().events.add(event)
    }

    async fn take(&self, function: &FunctionName, now: Timestamp, most: usize) -> Result<Due, StoreError> {
        Ok(self.rows().events.take(function, now, most))
    }

    async fn put_back(&self, event: &AsyncEvent) -> Result<(), StoreError> {
        self.rows().events.put_back(event);
        Ok(())
    }

    async fn remove(&self, event: EventId) -> Result<(), StoreError> {
        self.rows().events.remove(event);
        Ok(())
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let rows = self.rows();
        let waiting =
            |(function, events): (&FunctionName, &u64)| Waiting { function: function.clone(), events: *events };
        Ok(rows.events.counts.iter().map(waiting).collect())
    }

    async fn events(
        &self,
        function: Option<&FunctionName>,
        after: Option<(Timestamp, EventId)>,
        most: usize,
    ) -> Result<Vec<EventSummary>, StoreError> {
        Ok(self.rows().events.list(function, after, most))
    }

    async fn event(&self, event: EventId) -> Result<Option<AsyncEvent>, StoreError> {
        Ok(self.rows().events.kept.get(&event).map(|kept| kept.event.clone()))
    }

    async fn cancel(&self, event: EventId) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let waits = rows.events.kept.get(&event).is_some_and(|kept| !kept.is_taken);
        if waits {
            rows.events.remove(event);
        }
        Ok(waits)
    }
}
