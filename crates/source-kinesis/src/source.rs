//! A stream as a [`Source`].
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::{
    Arn, Clock as _, Cursor, ErrorKind, Listing, PartitionId, Polled, Position, Receipt, Record, Redelivery,
    SequenceNumber, Source, SourceError, SystemClock,
};

use crate::client::{Client, MOST_RECORDS};
use crate::event::EventWriter;
use crate::fan_out::FanOut;
use crate::refusal::Refusal;
use crate::shards;
use crate::stream_arn::{StreamArn, StreamArnError};

/// How far before its first poll a place taken as LATEST is remembered: arrival times may be whole seconds, and clocks
/// differ.
const LATEST_MARGIN: Duration = Duration::from_secs(1);

/// One Kinesis data stream, read by polling; or, for the ARN of a consumer, pushed by enhanced fan-out.
#[derive(Debug)]
pub struct KinesisSource {
    stream: Stream,
    fan_out: Option<FanOut>,
    idle_wait: Duration,
}

/// What every read needs.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub client: Client,
    pub arn: StreamArn,
    pub invoke_identity: String,
}

impl KinesisSource {
    /// A stream, or a consumer of one, by its ARN. `invoke_identity` is the function's execution role, shown in events.
    /// `idle_wait` is the pause after a poll that found nothing.
    ///
    /// # Errors
    /// The ARN names neither a stream nor a consumer.
    pub fn new(client: Client, arn: Arn, invoke_identity: String, idle_wait: Duration) -> Result<Self, StreamArnError> {
        let arn = StreamArn::try_from(arn)?;
        let stream = Stream { client, arn, invoke_identity };
        let fan_out = stream.arn.consumer.as_ref().map(|consumer| FanOut::new(stream.clone(), consumer.to_string()));
        Ok(Self { stream, fan_out, idle_wait })
    }
}

#[async_trait]
impl Source for KinesisSource {
    fn redelivery(&self) -> Redelivery {
        Redelivery::ByEngine
    }

    async fn partitions(&self) -> Result<Listing, SourceError> {
        if let Some(fan_out) = &self.fan_out {
            fan_out.forget_the_idle();
        }
        shards::list(&self.stream.client, &self.stream.arn).await
    }

    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        wait: Duration,
    ) -> Result<Polled, SourceError> {
        if cursor.position == Position::End {
            return Ok(Polled { ended: true, ..Polled::default() });
        }
        let polled = match &self.fan_out {
            Some(fan_out) => fan_out.poll(partition, cursor, max_records.max(1), wait).await,
            None => self.stream.read(partition, cursor, max_records.clamp(1, MOST_RECORDS)).await,
        };
        match polled {
            Err(refusal) if refusal.is_not_found() => self.stream.without_shard(partition, refusal).await,
            polled => Ok(polled?),
        }
    }

    fn idle_wait(&self) -> Duration {
        self.idle_wait
    }

    fn is_pushed(&self) -> bool {
        self.fan_out.is_some()
    }
}

impl Stream {
    async fn read(&self, shard: &PartitionId, cursor: &mut Cursor, limit: usize) -> Result<Polled, Refusal> {
        let mut trimmed = false;
        let answer = match cursor.token.clone() {
            Some(token) => match self.client.records(&self.arn, shard, &token, limit).await {
                Err(refusal) if refusal.is_stale_iterator() => {
                    tracing::debug!(stream = %self.arn.stream, %shard, error = %refusal.error, "takes a new iterator");
                    cursor.token = None;
                    let iterator = self.iterator(shard, cursor, &mut trimmed).await?;
                    self.client.records(&self.arn, shard, &iterator, limit).await?
                }
                // LocalStack fails over an iterator that it doesn't know: the next poll takes a new one.
                Err(refusal) if refusal.is_failure() => {
                    cursor.token = None;
                    return Err(refusal);
                }
                answer => answer?,
            },
            None => {
                let iterator = self.iterator(shard, cursor, &mut trimmed).await?;
                self.client.records(&self.arn, shard, &iterator, limit).await?
            }
        };
        let behind = answer.millis_behind_latest.map(|millis| Duration::from_millis(millis.max(0).unsigned_abs()));
        let is_full = answer.records.len() >= limit;
        let known = number_of(&cursor.position);
        let records = self.records(shard, answer.records, known)?;
        if let Some((_, number)) = records.last() {
            cursor.position = Position::After(number.clone());
        }
        cursor.token = answer.next_shard_iterator;
        Ok(Polled {
            more: is_full || behind.is_some_and(|behind| !behind.is_zero()),
            behind,
            trimmed,
            ended: cursor.token.is_none(),
            records: records.into_iter().map(|(record, _)| record).collect(),
            ..Polled::default()
        })
    }

    /// A new iterator from the cursor's position, kept in the cursor.
    async fn iterator(&self, shard: &PartitionId, cursor: &mut Cursor, trimmed: &mut bool) -> Result<String, Refusal> {
        let position = first_position(cursor);
        let taken = match self.client.iterator(&self.arn, shard, &position).await {
            Err(refusal) if refusal.is_unknown_position() && matches!(position, Position::After(_)) => {
                tracing::warn!(stream = %self.arn.stream, %shard, error = %refusal.error, "goes on at the oldest record");
                let taken = self.client.iterator(&self.arn, shard, &Position::TrimHorizon).await?;
                cursor.position = Position::TrimHorizon;
                *trimmed = true;
                taken
            }
            taken => taken?,
        };
        cursor.token = Some(taken.clone());
        Ok(taken)
    }

    /// The records as the engine takes them, each with its sequence number. Those at the beginning that aren't behind
    /// `known` have been given before: LocalStack often gives a shard's first record twice.
    pub(crate) fn records(
        &self,
        shard: &PartitionId,
        records: Vec<aws_sdk_kinesis::types::Record>,
        known: Option<&SequenceNumber>,
    ) -> Result<Vec<(Record, SequenceNumber)>, Refusal> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        // Left out, a record would be lost: the whole answer is refused, so that somebody sees it.
        let malformed = |what: &dyn std::fmt::Display| {
            Refusal::of_event(
                &format!("a record of shard {shard} of {} can't be used: reading", self.arn.stream),
                None,
                &what.to_string(),
            )
        };
        let mut writer =
            EventWriter::new(&self.arn.stream, shard, &self.invoke_identity).map_err(|error| malformed(&error))?;
        let mut written = Vec::with_capacity(records.len());
        for record in records {
            let number: SequenceNumber = record.sequence_number.parse().map_err(|error| malformed(&error))?;
            if written.is_empty() && known.is_some_and(|known| number <= *known) {
                continue;
            }
            let event = writer.write(&record).map_err(|error| malformed(&error))?;
            let arrived_at = record
                .approximate_arrival_timestamp
                .and_then(|time| Timestamp::new(time.secs(), time.subsec_nanos().cast_signed()).ok());
            let record = Record {
                receipt: Receipt(record.sequence_number.clone()),
                id: record.sequence_number,
                order_key: record.partition_key,
                receive_count: 1,
                arrived_at,
                event,
            };
            written.push((record, number));
        }
        Ok(written)
    }

    /// Whether a shard holds nothing behind a cursor and never will.
    pub(crate) async fn is_read_to_its_end(&self, shard: &PartitionId, cursor: &Cursor) -> bool {
        let is_closed = |listing: Listing| listing.partitions.iter().any(|it| it.id == *shard && it.closed);
        if !shards::list(&self.client, &self.arn).await.is_ok_and(is_closed) {
            return false;
        }
        let mut probe = Cursor::at(cursor.position.clone());
        let rest = self.read(shard, &mut probe, 1).await;
        rest.is_ok_and(|rest| rest.ended && rest.records.is_empty())
    }

    /// After an answer that something doesn't exist: what that is. A shard that is no longer in its stream has ended;
    /// its records are older than the retention, or an emulator forgets closed shards.
    async fn without_shard(&self, shard: &PartitionId, refusal: Refusal) -> Result<Polled, SourceError> {
        let listing = shards::list(&self.client, &self.arn).await?;
        if listing.partitions.iter().any(|listed| listed.id == *shard) {
            return Err(SourceError { kind: ErrorKind::Transient, ..refusal.error });
        }
        tracing::warn!(stream = %self.arn.stream, %shard, "the shard is no longer in its stream: it has ended");
        Ok(Polled { trimmed: true, ended: true, ..Polled::default() })
    }
}

/// The record that a position is behind.
pub(crate) fn number_of(position: &Position) -> Option<&SequenceNumber> {
    match position {
        Position::After(number) => Some(number),
        _ => None,
    }
}

/// Where a cursor without a token begins. Latest is that of the first attempt only: from then on the cursor keeps the
/// time, so that nothing put later is missed if this attempt fails, or if its token expires before a record has come.
pub(crate) fn first_position(cursor: &mut Cursor) -> Position {
    let position = cursor.position.clone();
    if position == Position::Latest {
        cursor.position = Position::AtTimestamp(SystemClock.now() - LATEST_MARGIN);
    }
    position
}
