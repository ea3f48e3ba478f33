use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use pelton_core::{
    Clock, Cursor, ErrorKind, Listing, Partition, PartitionId, Polled, Position, Receipt, Record, Redelivery,
    SequenceNumber, Source, SourceError,
};
use tokio::time::Instant;

/// A stream of shards that split and merge, on a clock of the test's.
pub struct FakeStream {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    incarnation: u32,
    shards: BTreeMap<PartitionId, Shard>,
    last: u64,
    faults: VecDeque<ErrorKind>,
    listing_takes: Duration,
    polls: Vec<(PartitionId, Instant)>,
}

#[derive(Default)]
struct Shard {
    parents: Vec<PartitionId>,
    closed: bool,
    unlisted: bool,
    fails: bool,
    records: Vec<Stored>,
    /// Sequence numbers up to this one are gone.
    trimmed: u64,
}

#[derive(Clone)]
struct Stored {
    number: u64,
    key: String,
    arrived_at: Timestamp,
}

/// Records that one poll gives at most, whatever is asked for.
const MOST_RECORDS: usize = 10_000;

impl FakeStream {
    /// A stream with shards `shard-1`, `shard-2`, ….
    pub fn new(shards: usize, clock: Arc<dyn Clock>) -> Self {
        let stream = Self { clock, state: Mutex::default() };
        for number in 1..=shards {
            stream.state().shards.insert(shard(number), Shard::default());
        }
        stream
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record that arrives now, and gives its sequence number. Sequence numbers rise over all shards.
    pub fn put(&self, shard_number: usize, key: &str) -> u64 {
        self.put_at(shard_number, key, self.clock.now())
    }

    /// Puts a record that has arrived at another time.
    pub fn put_at(&self, shard_number: usize, key: &str, arrived_at: Timestamp) -> u64 {
        let mut state = self.state();
        state.last += 1;
        let stored = Stored { number: state.last, key: key.to_owned(), arrived_at };
        let target = state.shards.entry(shard(shard_number)).or_default();
        assert!(!target.closed, "a closed shard takes no records");
        target.records.push(stored);
        state.last
    }

    /// Closes shards and opens others that come from all of them: a split, a merge, or a rollover.
    pub fn reshard(&self, closed: &[usize], opened: &[usize]) {
        let mut state = self.state();
        let parents: Vec<PartitionId> = closed.iter().map(|number| shard(*number)).collect();
        for parent in &parents {
            state.shards.entry(parent.clone()).or_default().closed = true;
        }
        for number in opened {
            state.shards.insert(shard(*number), Shard { parents: parents.clone(), ..Shard::default() });
        }
    }

    /// Closes a shard without a successor.
    pub fn close(&self, shard_number: usize) {
        self.state().shards.entry(shard(shard_number)).or_default().closed = true;
    }

    /// Leaves a shard out of the listing, though it can still be read.
    pub fn unlist(&self, shard_number: usize) {
        self.state().shards.entry(shard(shard_number)).or_default().unlisted = true;
    }

    /// Removes the records up to a sequence number, as the end of their retention does.
    pub fn trim(&self, shard_number: usize, up_to: u64) {
        let mut state = self.state();
        let trimmed = state.shards.entry(shard(shard_number)).or_default();
        trimmed.trimmed = up_to;
        trimmed.records.retain(|record| record.number > up_to);
    }

    /// Removes a shard: neither listed nor readable.
    pub fn remove(&self, shard_number: usize) {
        self.state().shards.remove(&shard(shard_number));
    }

    /// Another stream under the same name, with as many empty shards.
    pub fn recreate(&self) {
        let mut state = self.state();
        state.incarnation += 1;
        state.shards.values_mut().for_each(|shard| *shard = Shard::default());
    }

    /// The next polls fail, each in its way.
    pub fn fail(&self, faults: impl IntoIterator<Item = ErrorKind>) {
        self.state().faults.extend(faults);
    }

    /// From now on, listing the shards takes so long.
    pub fn list_slowly(&self, takes: Duration) {
        self.state().listing_takes = takes;
    }

    /// Whether polls of a shard fail from now on.
    pub fn break_shard(&self, shard_number: usize, fails: bool) {
        self.state().shards.entry(shard(shard_number)).or_default().fails = fails;
    }

    /// When a shard was polled.
    pub fn polls(&self, shard_number: usize) -> Vec<Instant> {
        let shard = shard(shard_number);
        self.state().polls.iter().filter(|(polled, _)| *polled == shard).map(|(_, at)| *at).collect()
    }
}

/// `shard-1`.
pub fn shard(number: usize) -> PartitionId {
    PartitionId(format!("shard-{number}"))
}

#[async_trait]
impl Source for FakeStream {
    fn redelivery(&self) -> Redelivery {
        Redelivery::ByEngine
    }

    async fn partitions(&self) -> Result<Listing, SourceError> {
        let takes = self.state().listing_takes;
        tokio::time::sleep(takes).await;
        let state = self.state();
        let listed = state.shards.iter().filter(|(_, shard)| !shard.unlisted);
        let partition = |(id, shard): (&PartitionId, &Shard)| Partition {
            id: id.clone(),
            parents: shard.parents.clone(),
            closed: shard.closed,
        };
        Ok(Listing {
            incarnation: state.incarnation.to_string(),
            retention: Some(Duration::from_secs(86_400)),
            partitions: listed.map(partition).collect(),
        })
    }

    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        _wait: Duration,
    ) -> Result<Polled, SourceError> {
        let now = self.clock.now();
        let mut state = self.state();
        state.polls.push((partition.clone(), Instant::now()));
        if let Some(kind) = state.faults.pop_front() {
            return Err(SourceError { message: format!("{kind:?} on purpose"), kind });
        }
        let last = state.last;
        let missing = SourceError { message: format!("there is no {partition}"), kind: ErrorKind::Missing };
        let shard = state.shards.get(partition).ok_or(missing)?;
        if shard.fails {
            return Err(SourceError { message: "broken on purpose".into(), kind: ErrorKind::Transient });
        }
        // The token is the number behind which the next poll begins.
        let from = match (&cursor.token, &cursor.position) {
            (Some(token), _) => token.parse().unwrap_or(0),
            (None, Position::TrimHorizon) => 0,
            (None, Position::Latest | Position::End) => last,
            (None, Position::After(number)) => number.as_str().parse().unwrap_or(0),
            (None, Position::AtTimestamp(at)) => {
                shard.records.iter().find(|it| it.arrived_at >= *at).map_or(last, |it| it.number - 1)
            }
        };
        let trimmed = from > 0 && from < shard.trimmed;
        let waiting = shard.records.iter().filter(|record| record.number > from);
        let taken: Vec<Stored> = waiting.clone().take(max_records.min(MOST_RECORDS)).cloned().collect();
        let more = waiting.count() > taken.len();
        let ended = shard.closed && !more;
        let to = taken.last().map_or(from, |record| record.number);
        cursor.token = Some(to.to_string());
        if let Some(record) = taken.last() {
            cursor.position = Position::After(sequence_number(record.number));
        } else if cursor.position == Position::Latest {
            // Else a cursor that lost its token would begin later than it first did.
            cursor.position = Position::After(sequence_number(from));
        }
        let behind = taken.first().map(|record| {
            let age = now.duration_since(record.arrived_at);
            age.try_into().unwrap_or(Duration::ZERO)
        });
        Ok(Polled {
            behind: Some(behind.unwrap_or_default()),
            records: taken.into_iter().map(record).collect(),
            more,
            trimmed,
            ended,
            ..Polled::default()
        })
    }

    fn idle_wait(&self) -> Duration {
        Duration::from_millis(200)
    }
}

fn record(stored: Stored) -> Record {
    let number = stored.number.to_string();
    Record {
        receipt: Receipt(number.clone()),
        event: Bytes::from(format!("{{\"messageId\":\"{number}\",\"key\":\"{}\"}}", stored.key)),
        order_key: Some(stored.key),
        receive_count: 1,
        arrived_at: Some(stored.arrived_at),
        id: number,
    }
}

/// A number as a sequence number.
pub fn sequence_number(number: u64) -> SequenceNumber {
    // Decimal digits, and few of them.
    number.to_string().parse().unwrap_or_else(|_| unreachable!())
}
