//! A look at one mapping: what is kept of it, and what its stream says.
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{
    Clock as _, Cursor, Listing, Mapping, MappingId, PartitionId, Position, ShardState, Source, Store, StoreError,
    StreamId, SystemClock,
};
use tokio::time::timeout;

use crate::commands::replay::place::stream_of;
use crate::sources::Sources;

/// How long a stream may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Reads that may find nothing before the end of a shard.
const MOST_READS: u32 = 5;
/// A shard allows five reads a second, and the mapping needs some of them.
const BETWEEN_READS: Duration = Duration::from_millis(250);

/// Store and source of one mapping.
pub struct Look {
    store: Arc<dyn Store>,
    source: Arc<dyn Source>,
    /// The shards of the stream; or why it can't be asked.
    pub listing: Result<Listing, String>,
    /// Under what its checkpoints are kept; `None` if there are none.
    pub stream: Option<StreamId>,
}

/// What a shard holds behind a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// How old its oldest record is; zero if there is none, `None` if the source doesn't say.
    pub lag: Option<Duration>,
    /// The position itself is no longer in the stream.
    pub trimmed: bool,
}

impl Look {
    /// Asks both.
    pub async fn at(mapping: &Mapping, store: Arc<dyn Store>, sources: &mut Sources) -> anyhow::Result<Self> {
        // A consumer is pushed records, and only one process at a time; the stream itself can be asked beside it.
        let mapping = Mapping { event_source: stream_of(&mapping.event_source), ..mapping.clone() };
        let source = sources.source(&mapping, String::new())?;
        let listing = match timeout(PATIENCE, source.partitions()).await {
            Ok(listing) => listing.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        };
        let kept = store.incarnations(mapping.id).await?;
        let stream =
            incarnation(kept, listing.as_ref().ok()).map(|it| StreamId { mapping: mapping.id, incarnation: it });
        Ok(Self { store, source, listing, stream })
    }

    /// What is kept of its shards, ordered by name.
    pub async fn shards(&self) -> Result<Vec<ShardState>, StoreError> {
        let Some(stream) = &self.stream else { return Ok(Vec::new()) };
        sorted(&*self.store, stream).await
    }

    /// Reads one record behind a position. `None`: the stream can't be asked.
    pub async fn rest(&self, partition: &PartitionId, position: &Position) -> Option<Rest> {
        if self.listing.is_err() || *position == Position::End {
            return None;
        }
        let (mut cursor, mut trimmed) = (Cursor::at(position.clone()), false);
        for reads in 1.. {
            let read = timeout(PATIENCE, self.source.poll(partition, &mut cursor, 1, Duration::ZERO)).await;
            let polled = read.ok()?.ok()?;
            trimmed |= polled.trimmed;
            let oldest = polled.records.first().and_then(|record| record.arrived_at);
            let age = oldest.map(|at| Duration::try_from(SystemClock.now().duration_since(at)).unwrap_or_default());
            if age.is_some() || !polled.records.is_empty() || !polled.more || reads == MOST_READS {
                return Some(Rest { lag: age.or(polled.behind), trimmed });
            }
            tokio::time::sleep(BETWEEN_READS).await;
        }
        None
    }
}

/// The incarnation whose checkpoints count: the stream's own. The latest, if it can't be asked.
fn incarnation(kept: Vec<String>, listing: Option<&Listing>) -> Option<String> {
    match listing {
        Some(listing) => kept.into_iter().find(|incarnation| *incarnation == listing.incarnation),
        None => kept.into_iter().max(),
    }
}

/// All shards that are kept of a mapping, whatever its stream is.
pub async fn kept(store: &dyn Store, mapping: MappingId) -> Result<Vec<ShardState>, StoreError> {
    match store.incarnations(mapping).await?.into_iter().max() {
        Some(incarnation) => sorted(store, &StreamId { mapping, incarnation }).await,
        None => Ok(Vec::new()),
    }
}

async fn sorted(store: &dyn Store, stream: &StreamId) -> Result<Vec<ShardState>, StoreError> {
    let mut shards = store.shards(stream).await?;
    shards.sort_by(|one, other| one.partition.cmp(&other.partition));
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_of_a_stream_that_was_made_anew_do_not_count() {
        let listing =
            |incarnation: &str| Listing { incarnation: incarnation.into(), retention: None, partitions: Vec::new() };
        let kept = || vec!["2026-02-01".to_owned(), "2026-01-01".to_owned()];
        assert_eq!(incarnation(kept(), Some(&listing("2026-01-01"))).as_deref(), Some("2026-01-01"));
        assert_eq!(incarnation(kept(), Some(&listing("2026-03-01"))), None);
        assert_eq!(incarnation(kept(), None).as_deref(), Some("2026-02-01"));
        assert_eq!(incarnation(Vec::new(), None), None);
    }
}
