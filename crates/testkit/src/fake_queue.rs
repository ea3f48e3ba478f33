use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{
    Cursor, Disposition, ErrorKind, PartitionId, Polled, Receipt, Record, Redelivery, SettleError, Source, SourceError,
    Unsettled,
};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What can go wrong with a [`FakeQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next poll fails.
    Poll(ErrorKind),
    /// The next settle fails as a whole.
    Settle(ErrorKind),
    /// The next settle fails for its first record only.
    SettleOne,
    /// The next extension fails.
    Extend(ErrorKind),
}

#[derive(Debug)]
struct Message {
    id: String,
    group: Option<String>,
    size: usize,
    receives: u32,
    visible_at: Instant,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Message>,
    deleted: Vec<String>,
    dead: Vec<String>,
    faults: VecDeque<Fault>,
    polls: usize,
}

/// An SQS queue on tokio's clock: visibility timeout, receive counts, receipts that go stale, message groups,
/// redrive.
#[derive(Debug)]
pub struct FakeQueue {
    visibility: Duration,
    maximum_receives: Option<u32>,
    idle_wait: Duration,
    state: Mutex<State>,
    sent: Notify,
}

impl FakeQueue {
    /// An empty queue.
    pub fn new(visibility: Duration) -> Self {
        Self {
            visibility,
            maximum_receives: None,
            idle_wait: Duration::from_secs(20),
            state: Mutex::default(),
            sent: Notify::new(),
        }
    }

    /// A message received this often goes to the dead-letter queue instead of being received again.
    pub fn with_maximum_receives(self, maximum_receives: u32) -> Self {
        Self { maximum_receives: Some(maximum_receives), ..self }
    }

    /// A poll waits at most this long, 20 s by default: what a stop takes in a test that doesn't pause time.
    pub fn with_idle_wait(self, idle_wait: Duration) -> Self {
        Self { idle_wait, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message.
    pub fn send(&self, id: &str) {
        self.send_sized(id, None, 0);
    }

    /// Sends a message of a group; groups make the queue FIFO for these messages.
    pub fn send_to_group(&self, id: &str, group: &str) {
        self.send_sized(id, Some(group), 0);
    }

    /// Sends a message whose event has at least `size` bytes.
    pub fn send_sized(&self, id: &str, group: Option<&str>, size: usize) {
        self.state().messages.push(Message {
            id: id.to_owned(),
            group: group.map(str::to_owned),
            size,
            receives: 0,
            visible_at: Instant::now(),
        });
        self.sent.notify_waiters();
    }

    /// The next calls fail so.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Ids in the order of their deletion.
    pub fn deleted(&self) -> Vec<String> {
        self.state().deleted.clone()
    }

    /// Ids in the dead-letter queue.
    pub fn dead(&self) -> Vec<String> {
        self.state().dead.clone()
    }

    /// Messages in the queue that a receive would find now.
    pub fn visible(&self) -> Vec<String> {
        let now = Instant::now();
        self.state().messages.iter().filter(|message| message.visible_at <= now).map(|it| it.id.clone()).collect()
    }

    /// Ids in the queue, hidden or not, in the order of sending.
    pub fn waiting(&self) -> Vec<String> {
        self.state().messages.iter().map(|message| message.id.clone()).collect()
    }

    /// Messages in the queue, hidden or not.
    pub fn len(&self) -> usize {
        self.state().messages.len()
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often the queue was polled.
    pub fn polls(&self) -> usize {
        self.state().polls
    }

    fn take_fault(&self, matches: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut state = self.state();
        let position = state.faults.iter().position(matches)?;
        state.faults.remove(position)
    }

    fn receive(&self, max: usize) -> Vec<Record> {
        let now = Instant::now();
        let mut state = self.state();
        let mut records = Vec::new();
        let mut blocked: Vec<String> = Vec::new();
        let mut dead = Vec::new();
        for message in &mut state.messages {
            let is_blocked = message.group.as_ref().is_some_and(|group| blocked.contains(group));
            if is_blocked || message.visible_at > now {
                blocked.extend(message.group.clone());
                continue;
            }
            if self.maximum_receives.is_some_and(|maximum| message.receives >= maximum) {
                dead.push(message.id.clone());
                continue;
            }
            if records.len() == max {
                break;
            }
            message.visible_at = now + self.visibility;
            message.receives += 1;
            let padding = "x".repeat(message.size);
            let event = format!("{{\"messageId\":\"{}\",\"body\":\"{padding}\"}}", message.id);
            records.push(Record {
                id: message.id.clone(),
                receipt: Receipt(format!("{}#{}", message.id, message.receives)),
                order_key: message.group.clone(),
                receive_count: message.receives,
                arrived_at: None,
                event: Bytes::from(event),
            });
        }
        state.messages.retain(|message| !dead.contains(&message.id));
        state.dead.extend(dead);
        records
    }
}

impl State {
    /// The message that a receipt stands for, if the receipt is still the last one and in force.
    fn find(&self, receipt: &Receipt) -> Result<usize, Unsettled> {
        let now = Instant::now();
        let is_current =
            |message: &Message| format!("{}#{}", message.id, message.receives) == receipt.0 && message.visible_at > now;
        self.messages.iter().position(is_current).ok_or_else(|| Unsettled {
            receipt: receipt.clone(),
            error: SettleError::Expired("the receipt handle has expired".into()),
        })
    }
}

fn fault_error(kind: ErrorKind) -> SourceError {
    SourceError { message: "fault".into(), kind }
}

#[async_trait]
impl Source for FakeQueue {
    fn redelivery(&self) -> Redelivery {
        Redelivery::BySource
    }

    async fn poll(
        &self,
        _partition: &PartitionId,
        _cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        self.state().polls += 1;
        if let Some(Fault::Poll(kind)) = self.take_fault(|fault| matches!(fault, Fault::Poll(_))) {
            return Err(fault_error(kind));
        }
        let deadline = Instant::now() + wait;
        loop {
            let sent = self.sent.notified();
            let records = self.receive(max_records);
            if !records.is_empty() || Instant::now() >= deadline {
                let hidden_for = Some(self.visibility);
                return Ok(Polled {
                    records,
                    hidden_for,
                    maximum_receives: self.maximum_receives,
                    ..Polled::default()
                });
            }
            let next_visible = self.state().messages.iter().map(|message| message.visible_at).min();
            let until = next_visible.filter(|at| *at > Instant::now()).map_or(deadline, |at| at.min(deadline));
            tokio::select! {
                biased;
                () = sent => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    async fn settle(
        &self,
        _partition: &PartitionId,
        settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        if let Some(Fault::Settle(kind)) = self.take_fault(|fault| matches!(fault, Fault::Settle(_))) {
            return Err(fault_error(kind));
        }
        let skip = usize::from(self.take_fault(|fault| *fault == Fault::SettleOne).is_some());
        let failed = |(receipt, _): &(Receipt, Disposition)| Unsettled {
            receipt: receipt.clone(),
            error: SettleError::Failed("fault".into()),
        };
        let mut unsettled: Vec<Unsettled> = settled.iter().take(skip).map(failed).collect();
        let mut state = self.state();
        for (receipt, disposition) in settled.iter().skip(skip) {
            let index = match (disposition, state.find(receipt)) {
                (Disposition::Returned { after: None }, _) => continue,
                (_, Ok(index)) => index,
                (_, Err(expired)) => {
                    unsettled.push(expired);
                    continue;
                }
            };
            match disposition {
                Disposition::Delivered | Disposition::Filtered | Disposition::Discarded => {
                    let message = state.messages.remove(index);
                    state.deleted.push(message.id);
                }
                Disposition::Returned { after } => {
                    state.messages[index].visible_at = Instant::now() + after.unwrap_or_default();
                    self.sent.notify_waiters();
                }
            }
        }
        Ok(unsettled)
    }

    async fn extend(
        &self,
        _partition: &PartitionId,
        receipts: &[Receipt],
        hidden_for: Duration,
    ) -> Result<Vec<Unsettled>, SourceError> {
        if let Some(Fault::Extend(kind)) = self.take_fault(|fault| matches!(fault, Fault::Extend(_))) {
            return Err(fault_error(kind));
        }
        let mut state = self.state();
        let mut unsettled = Vec::new();
        for receipt in receipts {
            match state.find(receipt) {
                Ok(index) => state.messages[index].visible_at = Instant::now() + hidden_for,
                Err(expired) => unsettled.push(expired),
            }
        }
        Ok(unsettled)
    }

    async fn backlog(&self) -> Result<Option<u64>, SourceError> {
        Ok(Some(self.visible().len() as u64))
    }

    fn idle_wait(&self) -> Duration {
        self.idle_wait
    }
}
