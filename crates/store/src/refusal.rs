//! What every store refuses, in the same words.
use pelton_core::{Checkpoint, EventId, LARGEST_DOCUMENT, Lease, OwnerId, PartitionId, Position, StoreError, StreamId};

/// The lease is not what it was.
pub fn lost(lease: &Lease) -> StoreError {
    StoreError::LeaseLost { partition: lease.partition.clone(), owner: lease.owner.clone() }
}

/// A shard that somebody works on can't be moved.
pub fn held(partition: &PartitionId, owner: &OwnerId) -> StoreError {
    StoreError::Refused(format!(
        "the checkpoint of {partition} can't be moved while {owner} works on it: disable the mapping, wait until it has \
         stopped, and try again"
    ))
}

/// The shard has no row.
pub fn unknown(stream: &StreamId, partition: &PartitionId) -> StoreError {
    StoreError::Refused(format!("the store knows no shard {partition} of mapping {}", stream.mapping))
}

/// `LATEST` would mean another place whenever it is read, and skip what came between.
pub fn check(position: &Position) -> Result<(), StoreError> {
    match position {
        Position::Latest => {
            Err(StoreError::Refused("LATEST is no place to keep: keep AT_TIMESTAMP with the time it stands for".into()))
        }
        Position::TrimHorizon | Position::AtTimestamp(_) | Position::After(_) | Position::End => Ok(()),
    }
}

/// What was stored can't be read as what it should be.
pub fn unreadable(partition: &str, what: &str, text: &str) -> StoreError {
    let start: String = text.chars().take(80).collect();
    StoreError::Refused(format!(
        "the store's {what} of {partition} can't be read, it begins '{start}': set the shard's checkpoint anew \
         (`pelton checkpoint reset`) or restore a copy of the store"
    ))
}

/// A checkpoint with nothing settled beyond a place.
pub fn beginning(position: &Position) -> Checkpoint {
    Checkpoint { position: position.clone(), ..Checkpoint::default() }
}

/// Refuses a document that not every store could hold.
pub fn check_document(key: &str, text: &str) -> Result<(), StoreError> {
    if text.len() <= LARGEST_DOCUMENT {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "the document {key} has {} bytes, and the store takes {LARGEST_DOCUMENT} at most",
        text.len()
    )))
}

/// One event has one id.
pub fn known_event(event: EventId) -> StoreError {
    StoreError::Refused(format!("the store has an event {event} already"))
}

/// What was stored can't be read as the name of a function.
pub fn unreadable_event(event: EventId, function: &str) -> StoreError {
    let start: String = function.chars().take(80).collect();
    StoreError::Refused(format!(
        "the store's function of the event {event} can't be read, it begins '{start}': cancel the event (`pelton events \
         cancel`) or restore a copy of the store"
    ))
}
