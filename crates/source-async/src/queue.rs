//! [`EventQueue`] over SQS.
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::{Arn, AsyncEvent, Clock, Due, EventId, EventQueue, EventSummary, FunctionName, StoreError, Waiting};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::buffer::Buffer;
use crate::client::Client;
use crate::receive::{keep_hidden, receive};

/// A standard SQS queue in which the asynchronous events of any number of processes wait.
///
/// What was added is as durable as SQS is. Nothing comes back through [`EventQueue::take`] before it was received, which
/// [`EventQueue::arrival`] tells. An event that this process received is hidden from the others for the queue's
/// `VisibilityTimeout` at a time, at least 3 s, and for 12 hours at most; when this process dies, another gets it after
/// that. [`EventQueue::waiting`], [`EventQueue::events`], [`EventQueue::event`] and [`EventQueue::cancel`] know only what
/// this process holds, as SQS can't be searched.
///
/// SQS can't tell that an event of the same id is there: [`EventQueue::add`] keeps both.
///
/// A message that is no event stays where it is, and is logged each time it comes: the queue's own redrive policy takes it
/// away. Events that only wait don't come near the `maxReceiveCount` of such a policy.
pub struct SqsEventQueue {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the tasks work with.
pub struct Shared {
    pub client: Client,
    pub clock: Arc<dyn Clock>,
    pub wait: Duration,
    pub stop: CancellationToken,
    buffer: Mutex<Buffer>,
    arrived: Mutex<BTreeSet<FunctionName>>,
    /// `arrived` has one more.
    rung: Notify,
    /// There is more room in the buffer.
    pub room: Notify,
}

impl Shared {
    pub fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that a function has an event.
    pub fn ring(&self, function: FunctionName) {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).insert(function);
        self.rung.notify_one();
    }
}

impl SqsEventQueue {
    /// Begins to receive. `config` is of the queue's Region; `wait` is the longest single wait of a receive, whole seconds
    /// up to 20. Must be called within a tokio runtime.
    pub fn start(config: &aws_config::SdkConfig, arn: Arn, wait: Duration, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared {
            client: Client::new(config, arn),
            clock,
            wait,
            stop: CancellationToken::new(),
            buffer: Mutex::default(),
            arrived: Mutex::default(),
            rung: Notify::new(),
            room: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(receive(shared.clone()));
        tasks.spawn(keep_hidden(shared.clone()));
        Self { shared, tasks: Mutex::new(tasks) }
    }

    /// Asks SQS for the queue.
    ///
    /// # Errors
    /// There is no such queue, or it can't be asked.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.shared.client.queue().await.map(|_| ())
    }

    /// Receives no more, lets a receive that runs end (which may take as long as it may wait), and gives back what waits
    /// here. What is taken stays hidden until its time is over. For the end of the process, after
    /// those who take.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

#[async_trait]
impl EventQueue for SqsEventQueue {
    async fn add(&self, event: AsyncEvent) -> Result<(), StoreError> {
        let delay = left(&event, self.shared.clock.now());
        self.shared.client.send(&event, delay).await
    }

    async fn take(&self, function: &FunctionName, now: Timestamp, most: usize) -> Result<Due, StoreError> {
        let due = self.shared.buffer().take(function, now, most, Instant::now());
        self.shared.room.notify_one();
        Ok(due)
    }

    async fn put_back(&self, event: &AsyncEvent) -> Result<(), StoreError> {
        let shared = &self.shared;
        // From here on, what comes of this event is the message that is about to be sent.
        let Some(leaving) = shared.buffer().leave(event.id) else { return Ok(()) };
        if !leaving.is_sent {
            if let Err(error) = shared.client.send(event, left(event, shared.clock.now())).await {
                shared.buffer().stay_taken(event.id);
                return Err(error);
            }
            shared.buffer().sent(event.id);
        }
        shared.client.delete(&leaving.receipts).await?;
        shared.buffer().left(event.id);
        Ok(())
    }

    async fn remove(&self, event: EventId) -> Result<(), StoreError> {
        let Some(leaving) = self.shared.buffer().leave(event) else { return Ok(()) };
        self.shared.client.delete(&leaving.receipts).await?;
        self.shared.buffer().left(event);
        Ok(())
    }

    async fn arrival(&self) -> FunctionName {
        loop {
            let first = self.shared.arrived.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match first {
                Some(function) => return function,
                None => self.shared.rung.notified().await,
            }
        }
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        Ok(self.shared.buffer().counts())
    }

    async fn events(
        &self,
        function: Option<&FunctionName>,
        after: Option<(Timestamp, EventId)>,
        most: usize,
    ) -> Result<Vec<EventSummary>, StoreError> {
        Ok(self.shared.buffer().list(function, after, most))
    }

    async fn event(&self, event: EventId) -> Result<Option<AsyncEvent>, StoreError> {
        Ok(self.shared.buffer().get(event).cloned())
    }

    async fn cancel(&self, event: EventId) -> Result<bool, StoreError> {
        let leaving = {
            let mut buffer = self.shared.buffer();
            if buffer.waits(event) { buffer.leave(event) } else { None }
        };
        let Some(leaving) = leaving else { return Ok(false) };
        if let Err(error) = self.shared.client.delete(&leaving.receipts).await {
            self.shared.buffer().stay_waiting(event);
            return Err(error);
        }
        self.shared.buffer().left(event);
        Ok(true)
    }
}

/// How long until it is due. What is cut off of a second is waited for in the buffer.
pub fn left(event: &AsyncEvent, now: Timestamp) -> Duration {
    Duration::try_from(event.due_at.duration_since(now)).unwrap_or_default()
}
