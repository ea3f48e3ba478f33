//! One subscription to one shard: what has come and wasn't given yet, and where it goes on.
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::SubscribeToShardEvent;
use futures_util::future::BoxFuture;
use pelton_core::{Cursor, PartitionId, Polled, Position, Record, SequenceNumber};
use tokio::time::Instant;

use crate::client::next_event;
use crate::refusal::Refusal;
use crate::source::{Stream, number_of};

/// An event comes every five seconds, be it without records (Kinesis API, SubscribeToShard). A connection that is silent
/// for so long is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

enum Stage {
    Connecting(BoxFuture<'static, Result<SubscribeToShardOutput, Refusal>>),
    Live(Box<SubscribeToShardOutput>),
}

/// What a subscription has for a poll.
#[derive(Debug)]
pub enum Next {
    /// Records to give, or the shard's end.
    Records,
    /// The deadline passed.
    Nothing,
    /// The service has ended the subscription.
    Over,
    /// The connection broke in the middle.
    Broken(Refusal),
}

/// Lives from poll to poll, as long as the cursor is the one it gave last.
pub struct Subscription {
    stage: Stage,
    /// The cursor of the poll that goes on with this subscription.
    pub at: Cursor,
    pub started: Instant,
    pub polled_at: Instant,
    waiting: VecDeque<(Record, SequenceNumber)>,
    /// Behind the last event that came.
    continuation: Option<String>,
    behind: Option<Duration>,
    ended: bool,
    /// For how long polls have listened since the last event.
    silent: Duration,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Subscription").field("at", &self.at).field("waiting", &self.waiting.len()).finish()
    }
}

impl Subscription {
    pub fn new(connecting: BoxFuture<'static, Result<SubscribeToShardOutput, Refusal>>, at: Cursor) -> Self {
        let now = Instant::now();
        Self {
            stage: Stage::Connecting(connecting),
            at,
            started: now,
            polled_at: now,
            waiting: VecDeque::new(),
            continuation: None,
            behind: None,
            ended: false,
            silent: Duration::ZERO,
        }
    }

    /// Waits until there is something to give. Dropped on its way, it loses nothing.
    pub async fn next(&mut self, stream: &Stream, shard: &PartitionId, deadline: Instant) -> Result<Next, Refusal> {
        loop {
            self.polled_at = Instant::now();
            if !self.waiting.is_empty() || self.ended {
                return Ok(Next::Records);
            }
            match &mut self.stage {
                Stage::Connecting(connecting) => match tokio::time::timeout_at(deadline, connecting).await {
                    Ok(accepted) => self.stage = Stage::Live(Box::new(accepted?)),
                    Err(_elapsed) => return Ok(Next::Nothing),
                },
                Stage::Live(accepted) => {
                    let listened_from = self.polled_at;
                    match tokio::time::timeout_at(deadline, next_event(accepted, &stream.arn, shard)).await {
                        Ok(Ok(Some(event))) => self.take(event, stream, shard)?,
                        Ok(Ok(None)) => return Ok(Next::Over),
                        Ok(Err(refusal)) if refusal.code.is_empty() => return Ok(Next::Broken(refusal)),
                        Ok(Err(refusal)) => return Err(refusal),
                        Err(_elapsed) => {
                            self.silent += listened_from.elapsed();
                            if self.silent >= SILENCE_LIMIT {
                                let what = format!("SubscribeToShard on shard {shard} of {}", stream.arn.stream);
                                return Err(Refusal::silence(&what, self.silent));
                            }
                            return Ok(Next::Nothing);
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, event: SubscribeToShardEvent, stream: &Stream, shard: &PartitionId) -> Result<(), Refusal> {
        self.silent = Duration::ZERO;
        // Nothing waits when an event is taken, so the cursor is behind everything that came before.
        self.waiting.extend(stream.records(shard, event.records, number_of(&self.at.position))?);
        self.behind = Some(Duration::from_millis(event.millis_behind_latest.max(0).unsigned_abs()));
        self.ended = event.child_shards.is_some_and(|children| !children.is_empty());
        // Empty at the shard's end, and 0 on an emulator that has sent no record yet: nothing to continue behind.
        if event.continuation_sequence_number.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
            self.continuation = Some(event.continuation_sequence_number);
        }
        Ok(())
    }

    /// Gives up to `max` records and moves the cursor behind them. No await may follow until the poll returns.
    pub fn give(&mut self, cursor: &mut Cursor, max: usize, trimmed: bool) -> Polled {
        let given: Vec<_> = self.waiting.drain(..max.min(self.waiting.len())).collect();
        if let Some((_, number)) = given.last() {
            cursor.position = Position::After(number.clone());
            cursor.token = Some(number.to_string());
        }
        if self.waiting.is_empty()
            && let Some(continuation) = &self.continuation
        {
            cursor.token = Some(continuation.clone());
        }
        self.at = cursor.clone();
        Polled {
            records: given.into_iter().map(|(record, _)| record).collect(),
            more: !self.waiting.is_empty() || self.behind.is_some_and(|behind| !behind.is_zero()),
            behind: self.behind,
            trimmed,
            ended: self.ended && self.waiting.is_empty(),
            ..Polled::default()
        }
    }
}
