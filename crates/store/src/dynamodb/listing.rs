//! Which shards are known.
//!
//! A listing can be longer than a transaction, and a first listing of which only a part is kept would do harm: the rest
//! would look like shards that came later. So shards are added in three steps: the stream's row hands out a number (its
//! claim), the new rows are written with that number, and the stream's row declares that number complete. Rows with a
//! higher number than the complete one count for nothing and are replaced by the next addition. Only the latest claim
//! can write rows or become complete.
use std::time::Duration;

use aws_sdk_dynamodb::types::{Delete, Put, ReturnValue, TransactWriteItem, Update};
use pelton_core::{MappingId, NewShard, PartitionId, ShardState, StoreError, StreamId};
use tokio::time::Instant;

use super::DynamoDbStore;
use super::key::{self, ROW, SCOPE, STREAMS};
use super::row::{Row, number, text};
use super::table::{Written, map, names};
use crate::refusal::{beginning, unreadable};

/// Rows in one transaction, beside the stream's. DynamoDB allows a hundred, early releases of DynamoDB Local ten.
const ROWS: usize = 9;
/// How often to claim anew when others have claimed meanwhile.
const CLAIMS: u64 = 8;
/// How long the addition of another may stand still before it counts as given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at how far it is, in milliseconds.
const PAUSE: std::ops::Range<u64> = 50..150;
const CLAIMED: &str = "#Claim = :claim";

/// A stream's row.
#[derive(Debug)]
pub struct Stream {
    pub mapping: MappingId,
    pub incarnation: String,
    /// The last complete addition; zero: nothing is known of the stream.
    pub committed: u64,
    claim: u64,
    /// Rises while an addition goes on.
    progress: u64,
}

impl Stream {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let name = row.name("")?;
        let (mapping, incarnation) = name.split_once('/').unwrap_or((name, ""));
        let mapping = MappingId(mapping.parse().map_err(|_| unreadable("a stream", "mapping", mapping))?);
        let (committed, claim, progress) = (row.number("Committed")?, row.number("Claim")?, row.number("Progress")?);
        Ok(Self { mapping, incarnation: incarnation.to_owned(), committed, claim, progress })
    }

    fn id(&self) -> StreamId {
        StreamId { mapping: self.mapping, incarnation: self.incarnation.clone() }
    }
}

impl DynamoDbStore {
    pub(super) async fn streams(&self, mapping: Option<MappingId>) -> Result<Vec<Stream>, StoreError> {
        let prefix = mapping.map(|mapping| format!("{mapping}/")).unwrap_or_default();
        self.table.query(STREAMS, &prefix).await?.iter().map(Stream::read).collect()
    }

    async fn stream(&self, stream: &StreamId) -> Result<Option<Stream>, StoreError> {
        self.table.get(key::stream(stream)).await?.as_ref().map(Stream::read).transpose()
    }

    /// The rows of shards, first those that are known.
    async fn rows(&self, stream: &StreamId) -> Result<(Vec<Row>, Vec<Row>), StoreError> {
        // The stream's row is read first: what is completed later stays out as a whole.
        let Some(Stream { committed, .. }) = self.stream(stream).await? else { return Ok(Default::default()) };
        let mut known = Vec::new();
        let mut others = Vec::new();
        for row in self.table.query(&key::scope(stream), key::SHARD).await? {
            if row.number("Addition")? <= committed { known.push(row) } else { others.push(row) }
        }
        Ok((known, others))
    }

    pub(super) async fn list(&self, stream: &StreamId) -> Result<Vec<ShardState>, StoreError> {
        let mut shards = Vec::new();
        for row in self.rows(stream).await?.0 {
            shards.extend(self.decode(stream, row).await?);
        }
        Ok(shards)
    }

    pub(super) async fn add(&self, stream: &StreamId, shards: &[NewShard]) -> Result<(), StoreError> {
        for claims in 0..CLAIMS {
            if claims > 0 {
                self.wait_for_others(stream).await?;
            }
            let missing = missing(shards, &self.rows(stream).await?.0)?;
            if missing.is_empty() || self.try_to_add(stream, shards).await? {
                return Ok(());
            }
        }
        Err(self.table.busy())
    }

    /// Returns when the addition that is going on has ended, or seems to have been given up. To be wrong about that costs
    /// time and nothing else.
    async fn wait_for_others(&self, stream: &StreamId) -> Result<(), StoreError> {
        let (mut seen, mut since) = (None, Instant::now());
        while let Some(row) = self.stream(stream).await?.filter(|row| row.committed < row.claim) {
            let found = Some((row.claim, row.progress));
            if found != seen {
                (seen, since) = (found, Instant::now());
            } else if since.elapsed() >= PATIENCE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(PAUSE))).await;
        }
        Ok(())
    }

    /// Whether it was done: not if another claims meanwhile.
    async fn try_to_add(&self, stream: &StreamId, shards: &[NewShard]) -> Result<bool, StoreError> {
        let Some(claim) = self.claim(stream, "").await? else { return Ok(false) };
        let (known, others) = self.rows(stream).await?;
        let missing = missing(shards, &known)?;
        let mut writes = Vec::new();
        for shard in &missing {
            writes.push(self.put_shard(stream, shard, claim)?);
        }
        for row in others {
            let name = row.name(key::SHARD)?;
            if !missing.iter().any(|shard| shard.partition.0 == name) {
                let delete = Delete::builder().table_name(self.table.name()).set_key(Some(row.key()?.attributes()));
                let delete = delete.build().map_err(|error| self.table.malformed(&error))?;
                writes.push(TransactWriteItem::builder().delete(delete).build());
            }
        }
        for some in writes.chunks(ROWS) {
            let mut transaction = vec![self.go_on(stream, claim)?];
            transaction.extend_from_slice(some);
            if !self.table.transact(transaction).await? {
                return Ok(false);
            }
        }
        let (update, values) = ("SET #Committed = :claim", vec![(":claim", number(claim))]);
        let written = self.table.update(key::stream(stream), update, Some(CLAIMED), values, ReturnValue::None).await?;
        Ok(matches!(written, Written::Done(_)))
    }

    /// A number that only this addition has. It begins at random, so that a stream that was forgotten and is read again
    /// doesn't hand out numbers of its former life.
    async fn claim(&self, stream: &StreamId, also: &str) -> Result<Option<u64>, StoreError> {
        let update = format!("SET #Claim = if_not_exists(#Claim, :first) + :one{also}");
        let values = vec![(":first", number(fastrand::u64(1..1 << 48))), (":one", number(1))];
        match self.table.update(key::stream(stream), &update, None, values, ReturnValue::UpdatedNew).await? {
            Written::Done(row) => row.number("Claim").map(Some),
            Written::Failed | Written::Busy => Ok(None),
        }
    }

    /// The part of a transaction that lets it happen only while the claim is the latest.
    fn go_on(&self, stream: &StreamId, claim: u64) -> Result<TransactWriteItem, StoreError> {
        let progress = "ADD #Progress :one";
        let update = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(key::stream(stream).attributes()))
            .update_expression(progress)
            .condition_expression(CLAIMED)
            .set_expression_attribute_names(names(&[progress, CLAIMED]))
            .set_expression_attribute_values(Some(map(vec![(":claim", number(claim)), (":one", number(1))])));
        let update = update.build().map_err(|error| self.table.malformed(&error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn put_shard(&self, stream: &StreamId, shard: &NewShard, claim: u64) -> Result<TransactWriteItem, StoreError> {
        let json = |value: serde_json::Result<String>| value.map(text).map_err(|error| self.table.malformed(&error));
        let key = key::shard(stream, &shard.partition);
        let put = Put::builder()
            .table_name(self.table.name())
            .item(SCOPE, text(key.scope))
            .item(ROW, text(key.row))
            .item("Addition", number(claim))
            .item("Parents", json(serde_json::to_string(&shard.parents))?)
            .item("Checkpoint", json(serde_json::to_string(&beginning(&shard.position)))?)
            .item("Counter", number(0))
            .item("Renewals", number(0));
        Ok(TransactWriteItem::builder().put(put.build().map_err(|error| self.table.malformed(&error))?).build())
    }

    pub(super) async fn remove(&self, stream: &StreamId, partitions: &[PartitionId]) -> Result<(), StoreError> {
        let Some(row) = self.stream(stream).await? else { return Ok(()) };
        let scope = key::scope(stream);
        let mut keys: Vec<_> = partitions.iter().map(|partition| key::shard(stream, partition)).collect();
        for partition in partitions {
            keys.extend(self.table.keys(&scope, &key::lanes(partition)).await?);
        }
        self.table.delete_all(keys).await?;
        if self.table.keys(&scope, key::SHARD).await?.is_empty() {
            self.delete_stream(stream, row.claim).await?;
        }
        Ok(())
    }

    pub(super) async fn forget_stream(&self, stream: &Stream) -> Result<(), StoreError> {
        let id = stream.id();
        // From here on nothing of it is known, and no addition that has begun can end.
        let claim = self.claim(&id, " REMOVE #Committed").await?.ok_or_else(|| self.table.busy())?;
        self.table.delete_all(self.table.keys(&key::scope(&id), "").await?).await?;
        self.delete_stream(&id, claim).await
    }

    /// Deletes a stream's row, unless shards are being added.
    async fn delete_stream(&self, stream: &StreamId, claim: u64) -> Result<(), StoreError> {
        self.table.delete_if(key::stream(stream), CLAIMED, vec![(":claim", number(claim))]).await
    }
}

fn missing<'a>(shards: &'a [NewShard], known: &[Row]) -> Result<Vec<&'a NewShard>, StoreError> {
    let known = known.iter().map(|row| row.name(key::SHARD)).collect::<Result<std::collections::HashSet<_>, _>>()?;
    let mut missing: Vec<_> = shards.iter().filter(|shard| !known.contains(shard.partition.0.as_str())).collect();
    // A transaction takes a row once.
    missing.sort_by(|one, two| one.partition.cmp(&two.partition));
    missing.dedup_by(|one, two| one.partition == two.partition);
    Ok(missing)
}
