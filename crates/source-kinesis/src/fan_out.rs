//! Enhanced fan-out: records are pushed to a consumer of the stream.
//!
//! The cursor alone says where reading goes on, as it does for a stream that is polled: its token is the sequence number
//! to continue behind. What is kept here only saves a new subscription, of which a shard takes one in 5 s.
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pelton_core::{Cursor, PartitionId, Polled, Position, SequenceNumber};
use tokio::time::Instant;

use crate::refusal::{BETWEEN_SUBSCRIPTIONS, Refusal};
use crate::source::{Stream, first_position};
use crate::subscription::{Next, Subscription};

/// A subscription that no poll has asked for so long is closed: its shard is worked on elsewhere, or stuck.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// The live subscriptions of one consumer, at most one a shard.
#[derive(Debug)]
pub struct FanOut {
    stream: Stream,
    consumer: String,
    subscriptions: Mutex<HashMap<PartitionId, Subscription>>,
}

/// A subscription that a poll works with. However the poll ends, it is there for the next one.
struct Taken<'a> {
    fan_out: &'a FanOut,
    shard: &'a PartitionId,
    subscription: Option<Subscription>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            self.fan_out.subscriptions().insert(self.shard.clone(), subscription);
        }
    }
}

impl FanOut {
    pub fn new(stream: Stream, consumer: String) -> Self {
        Self { stream, consumer, subscriptions: Mutex::default() }
    }

    fn subscriptions(&self) -> MutexGuard<'_, HashMap<PartitionId, Subscription>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the subscriptions of shards that are no longer polled.
    pub fn forget_the_idle(&self) {
        self.subscriptions().retain(|_, subscription| subscription.polled_at.elapsed() < IDLE_LIMIT);
    }

    /// The next event's records, or nothing after `wait`.
    pub async fn poll(
        &self,
        shard: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, Refusal> {
        let deadline = Instant::now() + wait;
        let subscription = self.subscriptions().remove(shard).filter(|subscription| subscription.at == *cursor);
        let mut taken = Taken { fan_out: self, shard, subscription };
        let mut trimmed = false;
        loop {
            let subscription = match &mut taken.subscription {
                Some(subscription) => subscription,
                none => none.insert(self.subscribe(shard, cursor)),
            };
            match subscription.next(&self.stream, shard, deadline).await {
                Ok(Next::Records) => {
                    let polled = subscription.give(cursor, max_records, trimmed);
                    if polled.ended {
                        taken.subscription = None;
                    }
                    return Ok(polled);
                }
                Ok(Next::Nothing) => return Ok(subscription.give(cursor, 0, trimmed)),
                // Every five minutes; the next one goes on from where this one was.
                Ok(Next::Over) => {
                    let lived = subscription.started.elapsed();
                    taken.subscription = None;
                    if lived < BETWEEN_SUBSCRIPTIONS {
                        return Err(Refusal::of_event(
                            &format!("SubscribeToShard on shard {shard} of {}", self.consumer),
                            None,
                            &format!("the service ended the subscription after {lived:?}"),
                        ));
                    }
                }
                Ok(Next::Broken(refusal)) => {
                    taken.subscription = None;
                    // LocalStack has no event for the end of a shard: it breaks off.
                    if self.stream.is_read_to_its_end(shard, cursor).await {
                        return Ok(Polled { ended: true, trimmed, ..Polled::default() });
                    }
                    return Err(refusal);
                }
                Err(refusal) => {
                    taken.subscription = None;
                    if !(refusal.is_unknown_position() && goes_back(cursor, &mut trimmed)) {
                        return Err(refusal);
                    }
                    tracing::debug!(%shard, error = %refusal.error, "subscribes from an earlier place");
                }
            }
        }
    }

    fn subscribe(&self, shard: &PartitionId, cursor: &mut Cursor) -> Subscription {
        let token = cursor.token.as_deref().and_then(|token| token.parse::<SequenceNumber>().ok());
        let position = match token {
            Some(number) => Position::After(number),
            None => {
                cursor.token = None;
                first_position(cursor)
            }
        };
        let connecting = self.stream.client.subscribe(&self.stream.arn, &self.consumer, shard, &position);
        Subscription::new(connecting, cursor.clone())
    }
}

/// After a place was refused: the one before it. `false` if there is none.
fn goes_back(cursor: &mut Cursor, trimmed: &mut bool) -> bool {
    if cursor.token.take().is_some() {
        return true;
    }
    if matches!(cursor.position, Position::After(_)) {
        cursor.position = Position::TrimHorizon;
        *trimmed = true;
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_place_leads_to_the_position_and_then_to_the_horizon() {
        let number: SequenceNumber = "7".parse().unwrap();
        let mut cursor = Cursor { position: Position::After(number.clone()), token: Some("9".into()) };
        let mut trimmed = false;
        assert!(goes_back(&mut cursor, &mut trimmed));
        assert_eq!((&cursor, trimmed), (&Cursor::at(Position::After(number)), false));
        assert!(goes_back(&mut cursor, &mut trimmed));
        assert_eq!((&cursor, trimmed), (&Cursor::at(Position::TrimHorizon), true));
        assert!(!goes_back(&mut cursor, &mut trimmed), "there is nothing before the horizon");
    }
}
