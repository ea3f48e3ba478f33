//! Lanes too large for a shard's row.
//!
//! DynamoDB's rows hold 400 KB, and ten windows may have a state of 1 MB each. Small lanes stand in the shard's row.
//! Larger ones are written as a set of rows of their own under a new version, and only then does the shard's row, in the
//! write that also moves the checkpoint, name that version: a writer that dies in between has changed nothing. What the
//! row no longer names is deleted afterwards, or, where that failed, by whoever takes the lease next.
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use pelton_core::{Checkpoint, Lane, PartitionId, ShardState, StoreError, StreamId};
use uuid::Uuid;

use super::DynamoDbStore;
use super::key::{self, Key, ROW, SCOPE};
use super::row::{Row, number, text};
use crate::refusal::unreadable;

/// The longest checkpoint, in bytes of JSON, that stands in the shard's row: every renewal pays for the row's size.
const INLINE: usize = 16 * 1_024;
/// What one row of a set holds, in bytes; DynamoDB allows 400 KB, names included.
const PIECE: usize = 384 * 1_024;
/// Pieces in one call, so that it ends within its time.
const PIECES: usize = 8;
/// How often a row may change while its lanes are read.
const READS: usize = 5;

/// The assignments that put a checkpoint into a shard's row.
pub struct Encoded {
    pub update: &'static str,
    pub values: Vec<(&'static str, AttributeValue)>,
    /// The version under which the lanes were written, if they were.
    pub version: Option<String>,
}

impl DynamoDbStore {
    /// Gets a checkpoint ready for its row; large lanes are in their own rows when this returns.
    pub(super) async fn encode(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<Encoded, StoreError> {
        let malformed = |error: serde_json::Error| self.table.malformed(&error);
        let json = serde_json::to_string(checkpoint).map_err(malformed)?;
        if json.len() <= INLINE || checkpoint.lanes.is_empty() {
            let values = vec![(":checkpoint", text(json))];
            return Ok(Encoded {
                update: "SET #Checkpoint = :checkpoint REMOVE #Lanes, #Pieces",
                values,
                version: None,
            });
        }
        let lanes = serde_json::to_vec(&checkpoint.lanes).map_err(malformed)?;
        let place =
            serde_json::to_string(&Checkpoint { lanes: Vec::new(), ..checkpoint.clone() }).map_err(malformed)?;
        let version = Uuid::new_v4().to_string();
        let pieces: Vec<_> = lanes.chunks(PIECE).enumerate().collect();
        for some in pieces.chunks(PIECES) {
            let puts = some.iter().map(|(index, piece)| self.put(stream, partition, &version, *index, piece));
            self.table.write_batch(puts.collect::<Result<_, _>>()?).await?;
        }
        let values =
            vec![(":checkpoint", text(place)), (":lanes", text(&version)), (":pieces", number(pieces.len() as u64))];
        let update = "SET #Checkpoint = :checkpoint, #Lanes = :lanes, #Pieces = :pieces";
        Ok(Encoded { update, values, version: Some(version) })
    }

    fn put(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        version: &str,
        index: usize,
        piece: &[u8],
    ) -> Result<WriteRequest, StoreError> {
        let row = format!("{}{version}/{index:04}", key::lanes(partition));
        let put = PutRequest::builder()
            .item(SCOPE, text(key::scope(stream)))
            .item(ROW, text(row))
            .item("Piece", AttributeValue::B(Blob::new(piece)))
            .build();
        Ok(WriteRequest::builder().put_request(put.map_err(|error| self.table.malformed(&error))?).build())
    }

    /// A shard as its row, and where need be the rows of its lanes, have it; `None`: it is gone.
    pub(super) async fn decode(&self, stream: &StreamId, mut row: Row) -> Result<Option<ShardState>, StoreError> {
        let partition = PartitionId(row.name(key::SHARD)?.to_owned());
        for _ in 0..READS {
            let lanes = match row.text("Lanes") {
                None => Some(Vec::new()),
                Some(version) => self.read(stream, &partition, version, row.number("Pieces")?).await?,
            };
            if let Some(lanes) = lanes {
                return Ok(Some(shard(partition, &row, lanes)?));
            }
            // They were replaced while they were read.
            match self.table.get(key::shard(stream, &partition)).await? {
                None => return Ok(None),
                Some(newer) => row = newer,
            }
        }
        Err(StoreError::Unavailable(format!(
            "the lanes of {partition} can't be read from the store's table {}: they are replaced again and again, or rows \
             of them are missing",
            self.table.name()
        )))
    }

    /// The lanes of a version; `None` where some of it is no longer there.
    async fn read(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        version: &str,
        pieces: u64,
    ) -> Result<Option<Vec<Lane>>, StoreError> {
        let prefix = format!("{}{version}/", key::lanes(partition));
        let rows = self.table.query(&key::scope(stream), &prefix).await?;
        if rows.len() as u64 != pieces {
            return Ok(None);
        }
        let mut json = Vec::new();
        for row in &rows {
            if let Some(AttributeValue::B(piece)) = row.0.get("Piece") {
                json.extend_from_slice(piece.as_ref());
            }
        }
        let lanes = serde_json::from_slice(&json);
        lanes.map(Some).map_err(|_| unreadable(&partition.0, "lanes", &String::from_utf8_lossy(&json)))
    }

    /// Deletes one version of a shard's lanes. That it fails does no harm: the next take deletes it.
    pub(super) async fn delete_version(&self, stream: &StreamId, partition: &PartitionId, version: &str) {
        self.tidy(stream, &format!("{}{version}/", key::lanes(partition)), None).await;
    }

    /// Deletes every version of a shard's lanes but this one.
    pub(super) async fn delete_other_versions(&self, stream: &StreamId, partition: &PartitionId, kept: Option<&str>) {
        self.tidy(stream, &key::lanes(partition), kept).await;
    }

    async fn tidy(&self, stream: &StreamId, prefix: &str, kept: Option<&str>) {
        let kept = kept.map(|version| format!("{prefix}{version}/"));
        let is_kept = |key: &Key| kept.as_ref().is_some_and(|prefix| key.row.starts_with(prefix));
        let work = async {
            let mut keys = self.table.keys(&key::scope(stream), prefix).await?;
            keys.retain(|key| !is_kept(key));
            self.table.delete_all(keys).await
        };
        if let Err(error) = work.await {
            tracing::debug!(%error, "left old lanes behind");
        }
    }
}

fn shard(partition: PartitionId, row: &Row, lanes: Vec<Lane>) -> Result<ShardState, StoreError> {
    let mut checkpoint: Checkpoint = row.json("Checkpoint")?;
    if !lanes.is_empty() {
        checkpoint.lanes = lanes;
    }
    Ok(ShardState {
        partition,
        parents: row.json("Parents")?,
        checkpoint,
        owner: row.text("Owner").map(|owner| pelton_core::OwnerId(owner.to_owned())),
        counter: row.number("Counter")?,
        renewals: row.number("Renewals")?,
    })
}
