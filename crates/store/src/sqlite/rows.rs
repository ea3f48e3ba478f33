//! The statements.
use pelton_core::{Checkpoint, Lease, MappingId, OwnerId, PartitionId, ShardState, StoreError, StreamId};
use rusqlite::{Connection, OptionalExtension as _, Result, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::unreadable;

/// Names a shard's row.
pub struct Key {
    mapping: String,
    incarnation: String,
    partition: String,
}

impl Key {
    pub fn new(stream: &StreamId, partition: &PartitionId) -> Self {
        let (mapping, incarnation) = (stream.mapping.to_string(), stream.incarnation.clone());
        Self { mapping, incarnation, partition: partition.0.clone() }
    }
}

/// A checkpoint in the table's columns.
pub struct Place {
    position: String,
    arrived_at: Option<String>,
    lanes: Option<String>,
}

impl Place {
    pub fn encode(checkpoint: &Checkpoint) -> Result<Self, StoreError> {
        Ok(Self {
            position: json(&checkpoint.position)?,
            arrived_at: checkpoint.arrived_at.map(|at| at.to_string()),
            lanes: if checkpoint.lanes.is_empty() { None } else { Some(json(&checkpoint.lanes)?) },
        })
    }
}

pub fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(format!("a value can't be kept as JSON: {error}")))
}

/// A shard as the table has it. Read on the thread, understood by the caller.
pub struct Row {
    partition: String,
    parents: String,
    place: Place,
    owner: Option<String>,
    counter: i64,
    renewals: i64,
}

impl Row {
    pub fn decode(self) -> Result<ShardState, StoreError> {
        fn read<T: DeserializeOwned>(partition: &str, what: &str, text: &str) -> Result<T, StoreError> {
            serde_json::from_str(text).map_err(|_| unreadable(partition, what, text))
        }
        let (name, place) = (&self.partition, &self.place);
        let arrived_at = place.arrived_at.as_deref().map(|text| {
            let parsed = text.parse();
            parsed.map_err(|_| unreadable(name, "time of arrival", text))
        });
        let checkpoint = Checkpoint {
            position: read(name, "position", &place.position)?,
            arrived_at: arrived_at.transpose()?,
            lanes: place.lanes.as_deref().map(|text| read(name, "lanes", text)).transpose()?.unwrap_or_default(),
        };
        Ok(ShardState {
            parents: read(name, "parents", &self.parents)?,
            checkpoint,
            owner: self.owner.map(OwnerId),
            counter: self.counter.unsigned_abs(),
            renewals: self.renewals.unsigned_abs(),
            partition: PartitionId(self.partition),
        })
    }
}

/// SQLite's integers have a sign; no counter comes that far.
fn integer(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

pub fn shards(connection: &Connection, stream: &StreamId) -> Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(
        "SELECT partition, parents, position, arrived_at, lanes, owner, counter, renewals FROM shard
         WHERE mapping = ?1 AND incarnation = ?2",
    )?;
    let rows = statement.query_map(params![stream.mapping.to_string(), stream.incarnation], |row| {
        let place = Place { position: row.get(2)?, arrived_at: row.get(3)?, lanes: row.get(4)? };
        Ok(Row {
            partition: row.get(0)?,
            parents: row.get(1)?,
            place,
            owner: row.get(5)?,
            counter: row.get(6)?,
            renewals: row.get(7)?,
        })
    })?;
    rows.collect()
}

pub fn add(connection: &Connection, shards: &[(Key, String, Place)]) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO shard (mapping, incarnation, partition, parents, position, counter, renewals)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0) ON CONFLICT DO NOTHING",
    )?;
    for (key, parents, place) in shards {
        statement.execute(params![key.mapping, key.incarnation, key.partition, parents, place.position])?;
    }
    Ok(())
}

pub fn take(connection: &Connection, key: &Key, owner: &OwnerId, counter: u64) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE shard SET owner = ?4, counter = counter + 1
         WHERE mapping = ?1 AND incarnation = ?2 AND partition = ?3 AND counter = ?5",
    )?;
    let changed = statement.execute(params![key.mapping, key.incarnation, key.partition, owner.0, integer(counter)])?;
    Ok(changed == 1)
}

/// Changes the row of a lease that is still good.
fn change(connection: &Connection, lease: &Lease, assignments: &str, place: Option<&Place>) -> Result<bool> {
    let mut statement = connection.prepare_cached(&format!(
        "UPDATE shard SET {assignments}
         WHERE mapping = ?1 AND incarnation = ?2 AND partition = ?3 AND owner = ?4 AND counter = ?5"
    ))?;
    let (mapping, incarnation) = (lease.stream.mapping.to_string(), &lease.stream.incarnation);
    let (partition, owner, counter) = (&lease.partition.0, &lease.owner.0, integer(lease.counter));
    let changed = match place {
        None => statement.execute(params![mapping, incarnation, partition, owner, counter]),
        Some(Place { position, arrived_at, lanes }) => {
            statement.execute(params![mapping, incarnation, partition, owner, counter, position, arrived_at, lanes])
        }
    }?;
    Ok(changed == 1)
}

pub fn renew(connection: &Connection, lease: &Lease) -> Result<bool> {
    change(connection, lease, "renewals = renewals + 1", None)
}

pub fn checkpoint(connection: &Connection, lease: &Lease, place: &Place) -> Result<bool> {
    change(connection, lease, "position = ?6, arrived_at = ?7, lanes = ?8", Some(place))
}

pub fn release(connection: &Connection, lease: &Lease) -> Result<()> {
    change(connection, lease, "owner = NULL", None).map(|_| ())
}

pub fn remove(connection: &Connection, keys: &[Key]) -> Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM shard WHERE mapping = ?1 AND incarnation = ?2 AND partition = ?3")?;
    for key in keys {
        statement.execute(params![key.mapping, key.incarnation, key.partition])?;
    }
    Ok(())
}

/// What became of an operator's wish.
pub enum Reset {
    Done,
    Unknown,
    Held(OwnerId),
}

pub fn reset(connection: &Connection, key: &Key, place: &Place) -> Result<Reset> {
    let sql = "SELECT owner FROM shard WHERE mapping = ?1 AND incarnation = ?2 AND partition = ?3";
    let row = params![key.mapping, key.incarnation, key.partition];
    let found = connection.prepare_cached(sql)?.query_row(row, |row| row.get::<_, Option<String>>(0)).optional()?;
    match found {
        None => return Ok(Reset::Unknown),
        Some(Some(owner)) => return Ok(Reset::Held(OwnerId(owner))),
        Some(None) => {}
    }
    // The counter rises against a take by somebody who has seen the checkpoint before this one.
    let mut statement = connection.prepare_cached(
        "UPDATE shard SET position = ?4, arrived_at = ?5, lanes = ?6, counter = counter + 1
         WHERE mapping = ?1 AND incarnation = ?2 AND partition = ?3",
    )?;
    let Place { position, arrived_at, lanes } = place;
    statement.execute(params![key.mapping, key.incarnation, key.partition, position, arrived_at, lanes])?;
    Ok(Reset::Done)
}

pub fn incarnations(connection: &Connection, mapping: MappingId) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT DISTINCT incarnation FROM shard WHERE mapping = ?1")?;
    statement.query_map([mapping.to_string()], |row| row.get(0))?.collect()
}

pub fn mappings(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT DISTINCT mapping FROM shard")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub fn mapping_ids(texts: Vec<String>) -> Result<Vec<MappingId>, StoreError> {
    let parse = |text: String| text.parse().map(MappingId).map_err(|_| unreadable("a shard", "mapping", &text));
    texts.into_iter().map(parse).collect()
}

pub fn forget(connection: &Connection, mapping: MappingId) -> Result<()> {
    connection.execute("DELETE FROM shard WHERE mapping = ?1", [mapping.to_string()])?;
    connection.execute("DELETE FROM member WHERE mapping = ?1", [mapping.to_string()])?;
    Ok(())
}

pub fn heartbeat(connection: &Connection, mapping: MappingId, owner: &OwnerId) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO member (mapping, owner, beats) VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET beats = beats + 1",
    )?;
    statement.execute(params![mapping.to_string(), owner.0]).map(|_| ())
}

pub fn leave(connection: &Connection, mapping: MappingId, owner: &OwnerId) -> Result<()> {
    let row = params![mapping.to_string(), owner.0];
    connection.execute("DELETE FROM member WHERE mapping = ?1 AND owner = ?2", row).map(|_| ())
}

pub fn members(connection: &Connection, mapping: MappingId) -> Result<Vec<(OwnerId, u64)>> {
    let mut statement = connection.prepare_cached("SELECT owner, beats FROM member WHERE mapping = ?1")?;
    let rows = statement.query_map([mapping.to_string()], |row| {
        let (owner, beats): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok((OwnerId(owner), beats.unsigned_abs()))
    })?;
    rows.collect()
}
