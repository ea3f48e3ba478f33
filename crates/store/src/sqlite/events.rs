//! Asynchronous events in the file.
mod rows;

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::{AsyncEvent, Due, EventId, EventQueue, EventSummary, FunctionName, StoreError, Waiting};

use super::SqliteStore;
use crate::refusal::known_event;

/// What an event takes in the file beside its texts, roughly.
const OVERHEAD: usize = 512;

#[async_trait]
impl EventQueue for SqliteStore {
    async fn add(&self, event: AsyncEvent) -> Result<(), StoreError> {
        let id = event.id;
        let size = event.payload.len() + event.client_context.as_ref().map_or(0, String::len) + OVERHEAD;
        let added = self.writer.call_of_size(size, move |connection| rows::add(connection, &event)).await?;
        added.then_some(()).ok_or_else(|| known_event(id))
    }

    async fn take(&self, function: &FunctionName, now: Timestamp, most: usize) -> Result<Due, StoreError> {
        let function = function.clone();
        self.writer.call(move |connection| rows::take(connection, &function, now, most)).await
    }

    async fn put_back(&self, event: &AsyncEvent) -> Result<(), StoreError> {
        let (id, attempts, refusals, due_at) = (event.id, event.attempts, event.refusals, event.due_at);
        self.writer.call(move |connection| rows::put_back(connection, id, attempts, refusals, due_at)).await
    }

    async fn remove(&self, event: EventId) -> Result<(), StoreError> {
        self.writer.call(move |connection| rows::remove(connection, event)).await
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let counts = self.reader.call(rows::count).await?;
        let waiting = counts.into_iter().filter_map(|(function, events)| match function.parse() {
            Ok(function) => Some(Waiting { function, events }),
            // One that somebody has spoilt must not keep the others from being executed.
            Err(error) => {
                tracing::error!(%error, events, "asynchronous events wait in the store for something that is no function");
                None
            }
        });
        Ok(waiting.collect())
    }

    async fn events(
        &self,
        function: Option<&FunctionName>,
        after: Option<(Timestamp, EventId)>,
        most: usize,
    ) -> Result<Vec<EventSummary>, StoreError> {
        let function = function.cloned();
        let rows = self.reader.call(move |connection| rows::list(connection, function.as_ref(), after, most)).await?;
        rows.into_iter().map(rows::Row::summary).collect()
    }

    async fn event(&self, event: EventId) -> Result<Option<AsyncEvent>, StoreError> {
        let found = self.reader.call(move |connection| rows::get(connection, event)).await?;
        found.map(|(row, content)| row.event(content)).transpose()
    }

    async fn cancel(&self, event: EventId) -> Result<bool, StoreError> {
        self.writer.call(move |connection| rows::cancel(connection, event)).await
    }
}
