//! Which shards a stream has, and what the store is to know of them.
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use pelton_core::{
    Checkpoint, ErrorKind, Listing, NewShard, PartitionId, Position, ShardState, Source, SourceError, StartingPosition,
    StreamId,
};
use tokio::time::Instant;

use super::{LISTING_INTERVAL, Shards, Trouble};
use crate::status::Part;

/// What a listing may take.
const LISTING_LIMIT: Duration = Duration::from_secs(60);
/// How soon it is tried again after it failed, while the last one counts.
const LISTING_RETRY: Duration = Duration::from_secs(5);
/// Where LATEST is kept as a time: this much before it, so that a clock that is a little fast loses nothing.
const CLOCK_MARGIN: Duration = Duration::from_millis(500);

impl Shards {
    /// The listing, anew if the last one is too old or was called into question. A source that can't be listed is no
    /// reason to let leases go: then the last listing goes on to count for a while.
    pub(super) async fn listing(&mut self) -> Result<Listing, Trouble> {
        if let Some((at, listing)) = &self.listing
            && at.elapsed() < LISTING_INTERVAL
        {
            return Ok(listing.clone());
        }
        let source = self.shared.source.clone();
        let under_way = self.listing_under_way.take();
        let mut under_way = under_way.unwrap_or_else(|| async move { list(&*source).await }.boxed());
        // Leases that are held can't wait for long for their renewal: then the next look goes on to wait for it.
        let limit = match self.store.lease_duration() {
            Some(lease) if !self.held.is_empty() => lease / 8,
            _ => LISTING_LIMIT,
        };
        let Ok(listed) = tokio::time::timeout(limit, &mut under_way).await else {
            self.listing_under_way = Some(under_way);
            let Some((_, listing)) = &self.listing else {
                let message = "the shards of the stream are still being listed".to_owned();
                return Err(SourceError { message, kind: ErrorKind::Transient }.into());
            };
            return Ok(listing.clone());
        };
        let listing = match listed {
            Ok(listing) if listing.partitions.is_empty() => {
                self.was_empty = true;
                let message = "the stream has no shards yet".to_owned();
                return Err(SourceError { message, kind: ErrorKind::Transient }.into());
            }
            Ok(listing) => listing,
            Err(error) => {
                let Some((at, listing)) = &mut self.listing else { return Err(error.into()) };
                // Again in a while, not at every look.
                *at = Instant::now() - LISTING_INTERVAL.saturating_sub(LISTING_RETRY).min(at.elapsed());
                let listing = listing.clone();
                self.note(&error.into());
                return Ok(listing);
            }
        };
        self.shared.watch.works(Part::Listing);
        self.listing = Some((Instant::now(), listing.clone()));
        self.is_taken_over = false;
        Ok(listing)
    }

    /// What is known, and what is being listed, may be older than what has just been seen.
    pub(super) fn call_listing_into_question(&mut self) {
        self.listing = None;
        self.listing_under_way = None;
    }

    /// A stream that wasn't read before by this process: the first one, or one that was made anew under the old name.
    pub(super) async fn begin(&mut self, stream: &StreamId) -> Result<(), Trouble> {
        for held in self.held.values() {
            held.lost.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
        self.tasks_of.clear();
        self.held.clear();
        self.failed.clear();
        self.missing.clear();
        self.was_made_anew = self.stream.is_some();
        for incarnation in self.store.incarnations(stream.mapping).await? {
            if incarnation != stream.incarnation {
                self.was_made_anew = true;
                let old = StreamId { mapping: stream.mapping, incarnation };
                let shards: Vec<PartitionId> =
                    self.store.shards(&old).await?.into_iter().map(|state| state.partition).collect();
                self.store.remove_shards(&old, &shards).await?;
            }
        }
        if self.was_made_anew {
            tracing::warn!(source = %self.shared.watch.mapping.event_source, "the stream was deleted and made again: the new one is read from its beginning");
        }
        self.shared.watch.forget_shards();
        self.stream = Some(stream.clone());
        Ok(())
    }

    /// Adds listed shards that the store doesn't know. Those of the very first listing begin at the mapping's starting
    /// position; every later one at its beginning, whatever the mapping's starting position is.
    pub(super) async fn add_new(&mut self, stream: &StreamId, listing: &Listing) -> Result<(), Trouble> {
        let is_first = self.states.is_empty();
        let starting = match &self.shared.watch.mapping.stream {
            // The mapping is older than the stream: all of it came after the mapping was created.
            Some(settings) if settings.starting_position == StartingPosition::Latest && self.was_made_anew => {
                StartingPosition::TrimHorizon
            }
            Some(settings) if is_first => settings.starting_position,
            _ => StartingPosition::TrimHorizon,
        };
        let latest = if self.was_empty { self.began_at } else { self.shared.clock.now() };
        let new = new_shards(&self.states, listing, starting, latest.checked_sub(CLOCK_MARGIN).unwrap_or(latest));
        if new.is_empty() {
            return Ok(());
        }
        self.store.add_shards(stream, &new).await?;
        self.states = self.store.shards(stream).await?;
        if is_first && starting == StartingPosition::Latest && !self.was_empty {
            // Another process may have been faster, with a time of its own: then the time counts.
            let is_ours = |state: &&ShardState| {
                matches!(state.checkpoint.position, Position::AtTimestamp(_))
                    && new.iter().any(|it| it.partition == state.partition && it.position == state.checkpoint.position)
            };
            self.fresh = self.states.iter().filter(is_ours).map(|state| state.partition.clone()).collect();
        }
        Ok(())
    }

    /// A shard that the source neither lists nor lets read is gone: what follows it must not wait for it for ever.
    pub(super) async fn give_up_missing(&mut self, stream: &StreamId, listing: &Listing) -> Result<(), Trouble> {
        for partition in std::mem::take(&mut self.missing) {
            if listing.partitions.iter().any(|listed| listed.id == partition) {
                continue;
            }
            let Some(state) = self.states.iter().find(|state| state.partition == partition) else { continue };
            let Some(lease) = self.store.take(stream, &partition, &self.owner, state.counter).await? else { continue };
            let message =
                format!("{partition} is gone from the stream; what it held beyond the checkpoint was never read");
            tracing::error!(shard = %partition, checkpoint = %state.checkpoint.position, "a shard is gone from the stream before it was read to its end");
            self.shared.watch.note_error(&message);
            self.shared.watch.metrics.trimmed.inc();
            self.store.checkpoint(&lease, &Checkpoint { position: Position::End, ..Checkpoint::default() }).await?;
            self.store.release(&lease).await?;
            self.failed.remove(&partition);
        }
        Ok(())
    }
}

/// Lists, within [`LISTING_LIMIT`].
async fn list(source: &dyn Source) -> Result<Listing, SourceError> {
    tokio::time::timeout(LISTING_LIMIT, source.partitions()).await.unwrap_or_else(|_| {
        Err(SourceError {
            message: format!("the shards of the stream were not listed within {LISTING_LIMIT:?}"),
            kind: ErrorKind::Transient,
        })
    })
}

/// What the store doesn't know yet, and where it begins.
fn new_shards(
    states: &[ShardState],
    listing: &Listing,
    starting: StartingPosition,
    latest: Timestamp,
) -> Vec<NewShard> {
    let is_known = |partition: &PartitionId| states.iter().any(|state| state.partition == *partition);
    let is_listed = |partition: &PartitionId| listing.partitions.iter().any(|listed| listed.id == *partition);
    let mut new = Vec::new();
    // A shard whose children are known has been settled and forgotten: the listing is older than that.
    let has_child = |partition: &PartitionId| states.iter().any(|state| state.parents.contains(partition));
    for listed in listing.partitions.iter().filter(|listed| !is_known(&listed.id) && !has_child(&listed.id)) {
        let position = match starting {
            StartingPosition::TrimHorizon => Position::TrimHorizon,
            StartingPosition::AtTimestamp(at) => Position::AtTimestamp(at),
            // Nothing more comes from a closed shard.
            StartingPosition::Latest if listed.closed => Position::End,
            StartingPosition::Latest => Position::AtTimestamp(latest),
        };
        // A backend may drop a closed shard from its listing before anybody has read it. Its children name it.
        for parent in
            listed.parents.iter().filter(|parent| !states.is_empty() && !is_known(parent) && !is_listed(parent))
        {
            if !new.iter().any(|it: &NewShard| it.partition == *parent) {
                new.push(NewShard { partition: parent.clone(), parents: Vec::new(), position: Position::TrimHorizon });
            }
        }
        new.push(NewShard { partition: listed.id.clone(), parents: listed.parents.clone(), position });
    }
    new
}
