//! Who works on a shard, and what it writes.
use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use pelton_core::{Checkpoint, Lease, OwnerId, PartitionId, StoreError, StreamId};
use uuid::Uuid;

use super::DynamoDbStore;
use super::key;
use super::row::{Row, number, text};
use crate::refusal::{held, lost, unknown};

/// The lease is still what it was.
const HELD: &str = "#Owner = :owner AND #Counter = :counter";

fn held_by(lease: &Lease) -> Vec<(&'static str, AttributeValue)> {
    vec![(":owner", text(&lease.owner.0)), (":counter", number(lease.counter))]
}

fn holds(row: &Row, lease: &Lease) -> Result<bool, StoreError> {
    Ok(row.text("Owner") == Some(&lease.owner.0) && row.number("Counter")? == lease.counter)
}

impl DynamoDbStore {
    pub(super) async fn take_lease(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        owner: &OwnerId,
        counter: u64,
    ) -> Result<Option<Lease>, StoreError> {
        let mark = Uuid::new_v4().to_string();
        let values = vec![
            (":owner", text(&owner.0)),
            (":counter", number(counter)),
            (":next", number(counter + 1)),
            (":mark", text(&mark)),
            (":zero", number(0)),
        ];
        // Serials are numbers of one process's checkpoints: with another owner they begin anew.
        let update = "SET #Owner = :owner, #Counter = :next, #Mark = :mark, #Serial = :zero";
        let key = key::shard(stream, partition);
        let written =
            self.table.update(key.clone(), update, Some("#Counter = :counter"), values, ReturnValue::AllNew).await?;
        let row = match written.unless_busy(&self.table)? {
            Some(row) => Some(row),
            // The condition also fails when this very take was made, its answer was lost, and the SDK tried again.
            None => self.table.get(key).await?.filter(|row| row.text("Mark") == Some(&mark)),
        };
        let Some(row) = row else { return Ok(None) };
        // The lanes that holders before this one left behind; they can't write any more.
        self.delete_other_versions(stream, partition, row.text("Lanes")).await;
        let (stream, partition, owner) = (stream.clone(), partition.clone(), owner.clone());
        Ok(Some(Lease { stream, partition, owner, counter: counter + 1 }))
    }

    pub(super) async fn renew_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let key = key::shard(&lease.stream, &lease.partition);
        let mut values = held_by(lease);
        values.push((":one", number(1)));
        let written = self.table.update(key, "ADD #Renewals :one", Some(HELD), values, ReturnValue::None).await?;
        written.unless_busy(&self.table)?.map(|_| ()).ok_or_else(|| lost(lease))
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let key = key::shard(&lease.stream, &lease.partition);
        let written = self.table.update(key, "REMOVE #Owner", Some(HELD), held_by(lease), ReturnValue::None).await?;
        written.unless_busy(&self.table)?;
        Ok(())
    }

    pub(super) async fn write_checkpoint(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let (stream, partition) = (&lease.stream, &lease.partition);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let encoded = self.encode(stream, partition, checkpoint).await?;
        let update = encoded.update.replacen("SET ", "SET #Serial = :serial, ", 1);
        let condition = format!("{HELD} AND #Serial <= :serial");
        let values = [held_by(lease), encoded.values, vec![(":serial", number(serial))]].concat();
        let key = key::shard(stream, partition);
        let written =
            self.table.update(key.clone(), &update, Some(&condition), values, ReturnValue::UpdatedOld).await?;
        if let Some(old) = written.unless_busy(&self.table)? {
            // Our own, where the SDK tried again.
            if let Some(version) = old.text("Lanes").filter(|&old| Some(old) != encoded.version.as_deref()) {
                self.delete_version(stream, partition, version).await;
            }
            return Ok(());
        }
        let row = self.table.get(key).await?.unwrap_or_default();
        // A write that was given up may have been made none the less: then its lanes are not left behind.
        if let Some(version) = encoded.version.as_deref().filter(|&version| row.text("Lanes") != Some(version)) {
            self.delete_version(stream, partition, version).await;
        }
        // Where the lease is good, a later checkpoint of this process has overtaken this one.
        if holds(&row, lease)? { Ok(()) } else { Err(lost(lease)) }
    }

    pub(super) async fn replace_checkpoint(
        &self,
        stream: &StreamId,
        partition: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        let key = key::shard(stream, partition);
        let seen = self.table.get(key.clone()).await?.ok_or_else(|| unknown(stream, partition))?;
        if seen.text("Owner").is_some() {
            // A holder that lives shows it within a lease's time.
            tokio::time::sleep(self.lease_duration).await;
        }
        let mark = Uuid::new_v4().to_string();
        let encoded = self.encode(stream, partition, checkpoint).await?;
        // The counter rises to fence a holder that was only asleep, and a take by somebody who has seen the checkpoint
        // before this one.
        let update = match encoded.update.split_once(" REMOVE ") {
            Some((set, removed)) => format!("{set}, #Counter = :next, #Mark = :mark REMOVE #Owner, {removed}"),
            None => format!("{}, #Counter = :next, #Mark = :mark REMOVE #Owner", encoded.update),
        };
        let (counter, renewals) = (seen.number("Counter")?, seen.number("Renewals")?);
        let values = vec![
            (":counter", number(counter)),
            (":next", number(counter + 1)),
            (":renewals", number(renewals)),
            (":mark", text(&mark)),
        ];
        let condition = "#Counter = :counter AND (attribute_not_exists(#Owner) OR #Renewals = :renewals)";
        let values = [values, encoded.values].concat();
        let written = self.table.update(key.clone(), &update, Some(condition), values, ReturnValue::UpdatedOld).await?;
        if let Some(old) = written.unless_busy(&self.table)? {
            if let Some(version) = old.text("Lanes").filter(|&old| Some(old) != encoded.version.as_deref()) {
                self.delete_version(stream, partition, version).await;
            }
            return Ok(());
        }
        let row = self.table.get(key).await?.ok_or_else(|| unknown(stream, partition))?;
        if row.text("Mark") == Some(&mark) {
            return Ok(());
        }
        if let Some(version) = &encoded.version {
            self.delete_version(stream, partition, version).await;
        }
        match row.text("Owner") {
            Some(owner) => Err(held(partition, &OwnerId(owner.to_owned()))),
            None => Err(StoreError::Unavailable(format!("{partition} was taken and released meanwhile: try again"))),
        }
    }
}
