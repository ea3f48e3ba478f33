//! The shards of a mapping: which there are, which of them this process works on, and the leases it holds for that.
mod leases;
mod listing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use pelton_core::{Lease, Listing, OwnerId, PartitionId, ShardState, SourceError, Store, StoreError, StreamId};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Backoff;
use crate::status::Part;
use crate::stream::assignment::forgettable;
use crate::stream::shard::ShardEnd;
use crate::stream::sightings::Sightings;
use crate::stream::step::Shared;

/// How often shards are looked for that no ended shard announces.
const LISTING_INTERVAL: Duration = Duration::from_secs(30);
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(60);

/// Why a look at the shards came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A shard that this process works on.
struct Held {
    lease: Lease,
    stop: CancellationToken,
    lost: CancellationToken,
    valid_until: watch::Sender<Option<Instant>>,
    renewed_at: Instant,
}

/// All of them.
pub(crate) struct Shards {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    owner: OwnerId,
    stream: Option<StreamId>,
    listing: Option<(Instant, Listing)>,
    /// The next one, where it takes longer than a look may.
    listing_under_way: Option<BoxFuture<'static, Result<Listing, SourceError>>>,
    /// The listing's shards are in the store.
    is_taken_over: bool,
    tasks: JoinSet<ShardEnd>,
    tasks_of: HashMap<Id, PartitionId>,
    held: BTreeMap<PartitionId, Held>,
    /// What the last look saw.
    states: Vec<ShardState>,
    leases_seen: Sightings<PartitionId, (u64, u64)>,
    members_seen: Sightings<OwnerId, u64>,
    heartbeat_at: Option<Instant>,
    /// Shards that begin with their latest record, until they have been started.
    fresh: HashSet<PartitionId>,
    /// What must have been read once before the mapping counts as enabled.
    opening: Vec<CancellationToken>,
    /// Shards that the source did not know, or whose work panicked.
    failed: HashMap<PartitionId, (Backoff, Instant)>,
    missing: HashSet<PartitionId>,
    /// When this process began to look, in case the stream had no shards then.
    began_at: Timestamp,
    was_empty: bool,
    /// The stream is younger than the mapping.
    was_made_anew: bool,
}

impl Shards {
    pub fn new(shared: Arc<Shared>, store: Arc<dyn Store>, owner: OwnerId) -> Self {
        Self {
            began_at: shared.clock.now(),
            was_empty: false,
            was_made_anew: false,
            shared,
            store,
            owner,
            stream: None,
            listing: None,
            listing_under_way: None,
            is_taken_over: false,
            tasks: JoinSet::new(),
            tasks_of: HashMap::new(),
            held: BTreeMap::new(),
            states: Vec::new(),
            leases_seen: Sightings::default(),
            members_seen: Sightings::default(),
            heartbeat_at: None,
            fresh: HashSet::new(),
            opening: Vec::new(),
            failed: HashMap::new(),
            missing: HashSet::new(),
        }
    }

    /// Works on shards until shutdown; then lets what is in flight end, and releases all leases.
    pub async fn run(mut self) {
        let shutdown = self.shared.shutdown.clone();
        let mut backoff = Backoff::new(RETRY_PAUSE, LONGEST_RETRY_PAUSE);
        let (mut has_looked, mut is_enabled) = (false, false);
        while !shutdown.is_cancelled() {
            let looked = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                looked = self.look() => looked,
            };
            let pause = match looked {
                Ok(()) => {
                    has_looked = true;
                    backoff.reset();
                    self.shared.watch.works(Part::Store);
                    self.pause()
                }
                Err(error) => {
                    self.note(&error);
                    backoff.next_delay().min(self.pause())
                }
            };
            let opened = all_cancelled(&self.opening);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = opened, if has_looked && !is_enabled => {
                    is_enabled = true;
                    self.shared.watch.set_state("Enabled");
                    let mapping = &self.shared.watch.mapping;
                    tracing::info!(mapping = %mapping.id, source = %mapping.event_source, function = %mapping.function, shards = self.held.len(), "polling");
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.stop_all().await;
    }

    /// How long until the next look, if nothing happens.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let retry =
            self.failed.values().filter_map(|(_, at)| at.checked_duration_since(now)).filter(|it| !it.is_zero());
        let retry = retry.min();
        let interval = match self.store.lease_duration() {
            Some(lease) => lease / 8,
            None => LISTING_INTERVAL,
        };
        interval.min(retry.unwrap_or(interval)).max(Duration::from_millis(10))
    }

    fn note(&self, error: &Trouble) {
        let watch = &self.shared.watch;
        let part = match error {
            Trouble::Source(_) => Part::Listing,
            Trouble::Store(_) => Part::Store,
        };
        watch.metrics.source_errors.inc_by(u64::from(part == Part::Listing));
        if watch.trouble(part, &error.to_string()) {
            tracing::warn!(source = %watch.mapping.event_source, %error, "the shards of a stream can't be looked at, trying again");
        }
    }

    /// Lists, renews, takes and gives back, as is due.
    async fn look(&mut self) -> Result<(), Trouble> {
        let looked = self.look_around().await;
        // Whoever begins with the latest record begins now. Later, only the time in the checkpoint tells where that was.
        self.fresh.clear();
        looked
    }

    async fn look_around(&mut self) -> Result<(), Trouble> {
        self.renew().await?;
        self.give_sign_of_life().await?;
        let listing = self.listing().await?;
        let stream = StreamId { mapping: self.shared.watch.mapping.id, incarnation: listing.incarnation.clone() };
        if self.stream.as_ref() != Some(&stream) {
            self.begin(&stream).await?;
        }
        // Where the store is slow, a whole look would be too long for leases to wait.
        self.renew().await?;
        self.states = self.store.shards(&stream).await?;
        for state in &self.states {
            // Sooner than by the next renewal.
            if let Some(held) = self.held.get(&state.partition).filter(|held| held.lease.counter < state.counter) {
                held.lost.cancel();
            }
        }
        if !self.is_taken_over {
            self.add_new(&stream, &listing).await?;
            self.give_up_missing(&stream, &listing).await?;
            self.is_taken_over = true;
        }
        self.share_out(&stream, &listing).await?;
        let is_listed = |partition: &PartitionId| listing.partitions.iter().any(|listed| listed.id == *partition);
        let forgettable = forgettable(&self.states, is_listed);
        if !forgettable.is_empty() {
            self.store.remove_shards(&stream, &forgettable).await?;
        }
        self.show();
        Ok(())
    }

    fn ended(&mut self, ended: Result<(Id, ShardEnd), JoinError>) {
        let (id, end) = match ended {
            Ok((id, end)) => (id, Some(end)),
            Err(error) => {
                tracing::error!(%error, "work on a shard panicked, starting it again");
                self.shared.watch.trouble(Part::Source, &format!("internal error: {error}"));
                (error.id(), None)
            }
        };
        let Some(partition) = self.tasks_of.remove(&id) else { return };
        self.held.remove(&partition);
        self.shared.watch.calm(&partition);
        self.shared.watch.shard(&partition).left();
        match end {
            Some(ShardEnd::Finished) => {
                tracing::info!(shard = %partition, "a shard is read to its end");
                self.call_listing_into_question();
                self.failed.remove(&partition);
            }
            Some(ShardEnd::Stopped) => {}
            Some(ShardEnd::LeaseLost) => {
                tracing::warn!(shard = %partition, "the lease of a shard is lost: another process may work on it now");
                self.shared.watch.metrics.leases_lost.inc();
            }
            Some(ShardEnd::Missing) | None => {
                let (mut backoff, _) = self
                    .failed
                    .remove(&partition)
                    .unwrap_or_else(|| (Backoff::new(RETRY_PAUSE, LONGEST_RETRY_PAUSE), Instant::now()));
                let until = Instant::now() + backoff.next_delay();
                self.failed.insert(partition.clone(), (backoff, until));
                self.call_listing_into_question();
                if end.is_some() {
                    self.missing.insert(partition);
                }
            }
        }
    }

    /// Lets work end, keeping the leases meanwhile, and takes leave of the others.
    async fn stop_all(mut self) {
        for held in self.held.values() {
            held.stop.cancel();
        }
        while !self.tasks.is_empty() {
            let pause = self.pause();
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = tokio::time::sleep(pause) => {
                    if let Err(error) = self.renew().await {
                        self.note(&error);
                    }
                }
            }
        }
        if self.store.lease_duration().is_some()
            && let Err(error) = self.store.leave(self.shared.watch.mapping.id, &self.owner).await
        {
            tracing::debug!(%error, "could not take leave of the other processes");
        }
    }

    /// Shows also the shards that this process doesn't work on.
    fn show(&self) {
        for state in self.states.iter().filter(|state| !self.held.contains_key(&state.partition)) {
            let progress = self.shared.watch.shard(&state.partition);
            progress.position(&state.checkpoint.position);
            progress.held_by(state.owner.as_ref());
        }
        for partition in self.held.keys() {
            self.shared.watch.shard(partition).held_by(Some(&self.owner));
        }
        let known: HashSet<&PartitionId> = self.states.iter().map(|state| &state.partition).collect();
        self.shared.watch.keep_shards(|partition| known.contains(partition));
    }
}

async fn all_cancelled(tokens: &[CancellationToken]) {
    for token in tokens {
        token.cancelled().await;
    }
}
