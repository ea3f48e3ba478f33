//! A stream as a [`Source`].
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types::{Record as StreamRecord, ShardIteratorType};
use jiff::Timestamp;
use pelton_core::{
    Arn, Clock, Cursor, ErrorKind, Listing, PartitionId, Polled, Position, Receipt, Record, Redelivery, SequenceNumber,
    Source, SourceError,
};

use crate::client::{Cause, Client, MOST_RECORDS, ReadError, unusable};
use crate::event::{event, order_key};
use crate::page::{Taken, arrived_at, take};
use crate::shard_iterator::ShardIterator;
use crate::shards::shards;

/// One stream of a DynamoDB table.
pub struct DynamoDbSource {
    client: Client,
    stream: Arn,
    idle_wait: Duration,
    clock: Arc<dyn Clock>,
}

/// What one read gave, and how its place was found.
struct Read {
    page: GetRecordsOutput,
    /// The iterator was taken from the horizon in search of the cursor's time.
    seeks: bool,
    /// The cursor's place is gone, so the horizon was read.
    trimmed: bool,
}

impl DynamoDbSource {
    /// A stream, by its ARN: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL`. `idle_wait` is the pause after a
    /// poll that found nothing.
    pub fn new(client: Client, stream: Arn, idle_wait: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { client, stream, idle_wait, clock }
    }

    /// Reads with the cursor's token, or else, or if that isn't good any more, from the cursor's position on. The cursor
    /// is good at every await: the poll may be dropped there.
    async fn read(&self, shard: &PartitionId, cursor: &mut Cursor, most: usize) -> Result<Read, SourceError> {
        if let Some(token) = &cursor.token {
            let iterator = ShardIterator::from_token(token);
            match self.read_at(shard, &iterator, most).await {
                Ok(page) => return Ok(Read { page, seeks: iterator.seeks, trimmed: false }),
                Err(ReadError { cause: Cause::Other, error }) => return Err(error),
                Err(ReadError { error, .. }) => {
                    tracing::debug!(%error, position = %cursor.position, "a new iterator is taken from the position");
                    cursor.token = None;
                }
            }
        }
        match self.read_from_position(shard, cursor, most).await {
            Ok(read) => Ok(read),
            Err(ReadError { cause: Cause::Trimmed, .. }) if matches!(cursor.position, Position::After(_)) => {
                self.read_from_horizon(shard, cursor, most).await.map_err(|failed| failed.error)
            }
            Err(failed) => Err(failed.error),
        }
    }

    async fn read_from_position(
        &self,
        shard: &PartitionId,
        cursor: &mut Cursor,
        most: usize,
    ) -> Result<Read, ReadError> {
        let (place, behind) = match &cursor.position {
            Position::Latest => {
                // From the first poll on nothing is missed, whatever becomes of it and of its iterator.
                cursor.position = Position::AtTimestamp(self.clock.now());
                (ShardIteratorType::Latest, None)
            }
            Position::After(number) => (ShardIteratorType::AfterSequenceNumber, Some(number)),
            Position::TrimHorizon | Position::AtTimestamp(_) | Position::End => (ShardIteratorType::TrimHorizon, None),
        };
        let is_horizon = place == ShardIteratorType::TrimHorizon;
        let text = self.client.shard_iterator(&self.stream, shard, place, behind).await?;
        let seeks = is_horizon && matches!(cursor.position, Position::AtTimestamp(_));
        let iterator = ShardIterator { text, seeks };
        cursor.token = Some(iterator.clone().into_token());
        let page = self.read_at(shard, &iterator, most).await?;
        Ok(Read { page, seeks, trimmed: false })
    }

    /// The cursor gets no token before the read has worked: should it fail, the next poll must find out again, and say,
    /// that records are gone.
    async fn read_from_horizon(
        &self,
        shard: &PartitionId,
        cursor: &mut Cursor,
        most: usize,
    ) -> Result<Read, ReadError> {
        cursor.token = None;
        let text = self.client.shard_iterator(&self.stream, shard, ShardIteratorType::TrimHorizon, None).await?;
        let page = self.read_at(shard, &ShardIterator { text, seeks: false }, most).await?;
        Ok(Read { page, seeks: false, trimmed: true })
    }

    async fn read_at(
        &self,
        shard: &PartitionId,
        iterator: &ShardIterator,
        most: usize,
    ) -> Result<GetRecordsOutput, ReadError> {
        // A search goes through up to a day of records, so it takes large steps.
        let limit = if iterator.seeks { MOST_RECORDS } else { most };
        self.client.records(&self.stream, shard, &iterator.text, limit).await
    }

    fn record(&self, shard: &PartitionId, record: &StreamRecord) -> Result<Record, SourceError> {
        let unusable = |what: &str| unusable("GetRecords", &self.stream, shard, what);
        let number = record.dynamodb().and_then(|body| body.sequence_number());
        let number = number.ok_or_else(|| unusable("a record has no SequenceNumber"))?;
        // Somebody has to act: skipped, the record would be lost.
        let refused = |error: serde_json::Error| SourceError {
            message: format!("record {number} in {shard} of {} can't be written as JSON: {error}", self.stream),
            kind: ErrorKind::Refused,
        };
        Ok(Record {
            id: number.to_owned(),
            receipt: Receipt(number.to_owned()),
            order_key: Some(order_key(record).map_err(refused)?),
            receive_count: 1,
            arrived_at: arrived_at(record),
            event: event(record, &self.stream).map_err(refused)?,
        })
    }

    /// How long ago a record was written: the stream itself doesn't say how far behind a read is.
    fn behind(&self, last: Option<&StreamRecord>) -> Duration {
        let age = last.and_then(arrived_at).map(|at: Timestamp| self.clock.now().duration_since(at));
        age.and_then(|age| age.try_into().ok()).unwrap_or(Duration::ZERO)
    }
}

#[async_trait]
impl Source for DynamoDbSource {
    fn redelivery(&self) -> Redelivery {
        Redelivery::ByEngine
    }

    async fn partitions(&self) -> Result<Listing, SourceError> {
        shards(&self.client, &self.stream).await
    }

    async fn poll(
        &self,
        partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        _wait: Duration,
    ) -> Result<Polled, SourceError> {
        if cursor.position == Position::End {
            return Ok(Polled { ended: true, ..Polled::default() });
        }
        let most = max_records.max(1);
        let Read { page, seeks, trimmed } = self.read(partition, cursor, most).await?;
        let since = match cursor.position {
            Position::AtTimestamp(at) if seeks => Some(at),
            _ => None,
        };
        let (found, next) = (page.records.unwrap_or_default(), page.next_shard_iterator);
        let Taken { records: taken, cut } = take(&found, since, most);
        let records: Vec<Record> =
            taken.iter().map(|record| self.record(partition, record)).collect::<Result<_, _>>()?;
        let last: Option<SequenceNumber> = match records.last() {
            None => None,
            Some(record) => Some(record.id.parse().map_err(|error: pelton_core::SequenceNumberError| {
                unusable("GetRecords", &self.stream, partition, &error.to_string())
            })?),
        };
        let ended = next.is_none() && !cut;
        // Nothing may be lost from here on, so nothing may fail.
        let still_seeks = seeks && last.is_none();
        cursor.token = next.filter(|_| !cut).map(|text| ShardIterator { text, seeks: still_seeks }.into_token());
        if let Some(last) = last {
            cursor.position = Position::After(last);
        }
        Ok(Polled {
            behind: Some(self.behind(taken.last().or(found.last()))),
            // A page may end at 1 MB, or before a piece of the shard that holds nothing.
            more: !found.is_empty() && !ended,
            records,
            trimmed,
            ended,
            ..Polled::default()
        })
    }

    fn idle_wait(&self) -> Duration {
        self.idle_wait
    }
}
