//! The shards of a mapping: which there are, which of them this process works on, and the leases it holds for that.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use pelton_core::{
    Checkpoint, Lease, Listing, NewShard, OwnerId, PartitionId, Position, ShardState, SourceError, StartingPosition,
    Store, StoreError, StreamId,
};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Backoff;
use crate::status::Part;
use crate::stream::assignment::{forgettable, share, workable};
use crate::stream::shard::{Assignment, Shard, ShardEnd};
use crate::stream::sightings::Sightings;
use crate::stream::step::Shared;

/// How often shards are looked for that no ended shard announces.
const LISTING_INTERVAL: Duration = Duration::from_secs(30);
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(60);
/// Calls of the store that are made at the same time.
const CALLS_AT_ONCE: usize = 16;
/// Where LATEST is kept as a time: this much before it, so that a clock that is a little fast loses nothing.
const CLOCK_MARGIN: Duration = Duration::from_millis(500);

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
}

impl Shards {
    pub fn new(shared: Arc<Shared>, store: Arc<dyn Store>, owner: OwnerId) -> Self {
        Self {
            shared,
            store,
            owner,
            stream: None,
            listing: None,
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
        let mut is_enabled = false;
        while !shutdown.is_cancelled() {
            let looked = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                looked = self.look() => looked,
            };
            let pause = match looked {
                Ok(()) => {
                    backoff.reset();
                    self.shared.watch.works(Part::Store);
                    self.pause()
                }
                Err(error) => {
                    self.note(&error);
                    backoff.next_delay().min(self.pause())
                }
            };
            let was_seen = self.stream.is_some();
            let opened = all_cancelled(&self.opening);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = opened, if was_seen && !is_enabled => {
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
        let retry = self.failed.values().map(|(_, at)| at.saturating_duration_since(Instant::now())).min();
        let interval = match self.store.lease_duration() {
            Some(lease) => lease / 8,
            None => LISTING_INTERVAL,
        };
        interval.min(retry.unwrap_or(interval)).max(Duration::from_millis(10))
    }

    fn note(&self, error: &Trouble) {
        let watch = &self.shared.watch;
        let part = match error {
            Trouble::Source(_) => Part::Source,
            Trouble::Store(_) => Part::Store,
        };
        watch.metrics.source_errors.inc_by(u64::from(part == Part::Source));
        if watch.trouble(part, &error.to_string()) {
            tracing::warn!(source = %watch.mapping.event_source, %error, "the shards of a stream can't be looked at, trying again");
        }
    }

    /// Lists, renews, takes and gives back, as is due.
    async fn look(&mut self) -> Result<(), Trouble> {
        self.renew().await?;
        let listing = self.listing().await?;
        let stream = StreamId { mapping: self.shared.watch.mapping.id, incarnation: listing.incarnation.clone() };
        if self.stream.as_ref() != Some(&stream) {
            self.begin(&stream).await?;
        }
        self.states = self.store.shards(&stream).await?;
        self.add_new(&stream, &listing).await?;
        self.give_up_missing(&stream, &listing).await?;
        self.share_out(&stream, &listing).await?;
        let is_listed = |partition: &PartitionId| listing.partitions.iter().any(|listed| listed.id == *partition);
        let forgettable = forgettable(&self.states, is_listed);
        if !forgettable.is_empty() {
            self.store.remove_shards(&stream, &forgettable).await?;
        }
        self.show();
        Ok(())
    }

    /// The listing, anew if the last one is too old or was called into question.
    async fn listing(&mut self) -> Result<Listing, Trouble> {
        if let Some((at, listing)) = &self.listing
            && at.elapsed() < LISTING_INTERVAL
        {
            return Ok(listing.clone());
        }
        let listing = self.shared.source.partitions().await?;
        self.listing = Some((Instant::now(), listing.clone()));
        Ok(listing)
    }

    /// A stream that wasn't read before by this process: the first one, or one that was made anew under the old name.
    async fn begin(&mut self, stream: &StreamId) -> Result<(), Trouble> {
        for held in self.held.values() {
            held.lost.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
        self.tasks_of.clear();
        self.held.clear();
        self.failed.clear();
        self.missing.clear();
        if self.stream.is_some() {
            tracing::warn!(source = %self.shared.watch.mapping.event_source, "the stream was deleted and made again: it is read from the mapping's starting position");
        }
        for incarnation in self.store.incarnations(stream.mapping).await? {
            if incarnation != stream.incarnation {
                let old = StreamId { mapping: stream.mapping, incarnation };
                let shards: Vec<PartitionId> =
                    self.store.shards(&old).await?.into_iter().map(|state| state.partition).collect();
                self.store.remove_shards(&old, &shards).await?;
            }
        }
        self.shared.watch.forget_shards();
        self.stream = Some(stream.clone());
        Ok(())
    }

    /// Adds listed shards that the store doesn't know. Those of the very first listing begin at the mapping's starting
    /// position; every later one at its beginning, whatever the mapping's starting position is.
    async fn add_new(&mut self, stream: &StreamId, listing: &Listing) -> Result<(), Trouble> {
        let is_first = self.states.is_empty();
        let starting = match &self.shared.watch.mapping.stream {
            Some(settings) if is_first => settings.starting_position,
            _ => StartingPosition::TrimHorizon,
        };
        let now = self.shared.clock.now();
        let new = new_shards(&self.states, listing, starting, now.checked_sub(CLOCK_MARGIN).unwrap_or(now));
        if new.is_empty() {
            return Ok(());
        }
        self.store.add_shards(stream, &new).await?;
        self.states = self.store.shards(stream).await?;
        if is_first && starting == StartingPosition::Latest {
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
    async fn give_up_missing(&mut self, stream: &StreamId, listing: &Listing) -> Result<(), Trouble> {
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

    /// Takes leases up to this process's share, or stops work that is beyond it.
    async fn share_out(&mut self, stream: &StreamId, listing: &Listing) -> Result<(), Trouble> {
        let now = Instant::now();
        let is_free = self.see(now).await?;
        let workable: Vec<ShardState> = workable(&self.states).into_iter().cloned().collect();
        let mut counts: BTreeMap<OwnerId, usize> =
            self.members_seen.alive(now).map(|owner| (owner.clone(), 0)).collect();
        for state in &workable {
            if let Some(owner) = &state.owner
                && !is_free.contains(&state.partition)
                && let Some(count) = counts.get_mut(owner)
            {
                *count += 1;
            }
        }
        let working = self.held.values().filter(|held| !held.stop.is_cancelled()).count();
        counts.insert(self.owner.clone(), working);
        let share = match self.store.lease_duration() {
            Some(_) => share(&self.owner, &counts, workable.len()),
            None => workable.len(),
        };
        let surplus = working.saturating_sub(share);
        for held in self.held.values().rev().filter(|held| !held.stop.is_cancelled()).take(surplus) {
            held.stop.cancel();
        }
        let mut missing = share.saturating_sub(working);
        for state in &workable {
            let rests = self.failed.get(&state.partition).is_some_and(|(_, until)| *until > now);
            if missing == 0 || rests || self.held.contains_key(&state.partition) || !is_free.contains(&state.partition)
            {
                continue;
            }
            let asked_at = Instant::now();
            if let Some(lease) = self.store.take(stream, &state.partition, &self.owner, state.counter).await? {
                missing -= 1;
                self.shared.watch.metrics.leases_taken.inc();
                self.start(lease, state.checkpoint.clone(), listing, asked_at);
            }
        }
        Ok(())
    }

    /// Which leases anybody may take: nobody's, and those whose holder has stopped to renew them.
    async fn see(&mut self, now: Instant) -> Result<HashSet<PartitionId>, Trouble> {
        let Some(lease_duration) = self.store.lease_duration() else {
            return Ok(self.states.iter().map(|state| state.partition.clone()).collect());
        };
        let mapping = self.shared.watch.mapping.id;
        if self.heartbeat_at.is_none_or(|at| at + lease_duration / 4 <= now) {
            self.store.heartbeat(mapping, &self.owner).await?;
            self.heartbeat_at = Some(now);
        }
        // Judged a little before the holder's own time is over at the latest: see `valid_until`.
        let patience = lease_duration * 3 / 4;
        let members = self.store.members(mapping).await?;
        self.members_seen.see(members, now, patience);
        let leases = self.states.iter().map(|state| (state.partition.clone(), (state.counter, state.renewals)));
        self.leases_seen.see(leases, now, patience);
        let is_free = |state: &&ShardState| match &state.owner {
            None => true,
            // One that panicked, or whose take was answered too late.
            Some(owner) if *owner == self.owner => true,
            Some(_) => !self.leases_seen.is_alive(&state.partition, now),
        };
        Ok(self.states.iter().filter(is_free).map(|state| state.partition.clone()).collect())
    }

    fn start(&mut self, lease: Lease, checkpoint: Checkpoint, listing: &Listing, asked_at: Instant) {
        let partition = lease.partition.clone();
        let (stop, lost) = (self.shared.shutdown.child_token(), CancellationToken::new());
        let opened = CancellationToken::new();
        let (sender, valid_until) = watch::channel(self.valid_until(asked_at));
        let assignment = Assignment {
            lease: lease.clone(),
            checkpoint,
            begins_with_latest: self.fresh.remove(&partition),
            retention: listing.retention,
            valid_until,
            stop: stop.clone(),
            lost: lost.clone(),
            opened: opened.clone(),
        };
        self.opening.retain(|token| !token.is_cancelled());
        self.opening.push(opened);
        let shard = Shard::new(self.shared.clone(), self.store.clone(), assignment);
        let task = self.tasks.spawn(shard.run());
        self.tasks_of.insert(task.id(), partition.clone());
        self.held.insert(partition, Held { lease, stop, lost, valid_until: sender, renewed_at: asked_at });
    }

    /// Until when a lease counts as held that was renewed by a call that began then. Others take it no sooner than after
    /// three quarters of the lease, counted from a later instant.
    fn valid_until(&self, asked_at: Instant) -> Option<Instant> {
        self.store.lease_duration().map(|lease| asked_at + lease.mul_f64(0.7))
    }

    /// Renews the leases that are due. One that is lost is stopped at once.
    async fn renew(&mut self) -> Result<(), Trouble> {
        let Some(lease_duration) = self.store.lease_duration() else { return Ok(()) };
        let now = Instant::now();
        let due: Vec<Lease> = self
            .held
            .values()
            .filter(|held| held.renewed_at + lease_duration / 4 <= now && !held.lost.is_cancelled())
            .map(|held| held.lease.clone())
            .collect();
        let store = self.store.clone();
        let renewals = stream::iter(due).map(|lease| {
            let store = store.clone();
            async move { (Instant::now(), store.renew(&lease).await, lease.partition) }
        });
        let renewals: Vec<_> = renewals.buffer_unordered(CALLS_AT_ONCE).collect().await;
        let mut trouble = None;
        for (asked_at, renewed, partition) in renewals {
            let valid_until = self.valid_until(asked_at);
            let Some(held) = self.held.get_mut(&partition) else { continue };
            match renewed {
                Ok(()) => {
                    held.renewed_at = asked_at;
                    held.valid_until.send_replace(valid_until);
                }
                Err(StoreError::LeaseLost { .. }) => held.lost.cancel(),
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(()), |error| Err(error.into()))
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
        match end {
            Some(ShardEnd::Finished) => {
                tracing::info!(shard = %partition, "a shard is read to its end");
                self.listing = None;
                self.failed.remove(&partition);
            }
            Some(ShardEnd::Stopped) => {}
            Some(ShardEnd::LeaseLost) => {
                tracing::warn!(shard = %partition, "the lease of a shard is lost: another process works on it now");
                self.shared.watch.metrics.leases_lost.inc();
            }
            Some(ShardEnd::Missing) | None => {
                let (mut backoff, _) = self
                    .failed
                    .remove(&partition)
                    .unwrap_or_else(|| (Backoff::new(RETRY_PAUSE, LONGEST_RETRY_PAUSE), Instant::now()));
                let until = Instant::now() + backoff.next_delay();
                self.failed.insert(partition.clone(), (backoff, until));
                self.listing = None;
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
    for listed in listing.partitions.iter().filter(|listed| !is_known(&listed.id)) {
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

async fn all_cancelled(tokens: &[CancellationToken]) {
    for token in tokens {
        token.cancelled().await;
    }
}
