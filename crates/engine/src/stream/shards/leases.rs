//! The leases of this process: taken up to its share, renewed, and given up when they are lost.
use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use pelton_core::{Checkpoint, Lease, Listing, OwnerId, PartitionId, ShardState, StoreError, StreamId};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Held, Shards, Trouble};
use crate::stream::assignment::{share, workable};
use crate::stream::shard::{Assignment, Shard};

/// Calls of the store that are made at the same time.
const CALLS_AT_ONCE: usize = 16;

impl Shards {
    /// Takes leases up to this process's share, or stops work that is beyond it.
    pub(super) async fn share_out(&mut self, stream: &StreamId, listing: &Listing) -> Result<(), Trouble> {
        let now = Instant::now();
        let is_free = self.see(now).await?;
        self.renew().await?;
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
        // One that has just ended is not workable any more, though its task may not have been seen to end yet.
        let partitions: HashSet<&PartitionId> = workable.iter().map(|state| &state.partition).collect();
        let works =
            |(partition, held): &(&PartitionId, &Held)| !held.stop.is_cancelled() && partitions.contains(partition);
        let working = self.held.iter().filter(works).count();
        counts.insert(self.owner.clone(), working);
        let share = match self.store.lease_duration() {
            Some(_) => share(&self.owner, &counts, workable.len()),
            None => workable.len(),
        };
        let surplus = working.saturating_sub(share);
        for (_, held) in self.held.iter().rev().filter(works).take(surplus) {
            held.stop.cancel();
        }
        let mut missing = share.saturating_sub(working);
        let may_be_taken = |state: &&ShardState| {
            let rests = self.failed.get(&state.partition).is_some_and(|(_, until)| *until > now);
            !rests && !self.held.contains_key(&state.partition) && is_free.contains(&state.partition)
        };
        let free: Vec<ShardState> = workable.iter().filter(may_be_taken).cloned().collect();
        // A few at a time: the first are to be worked on, and renewed, before the last are taken.
        for few in free.chunks(CALLS_AT_ONCE) {
            let few = &few[..few.len().min(missing)];
            if few.is_empty() {
                break;
            }
            missing -= self.take(stream, few, listing).await?;
            self.renew().await?;
        }
        Ok(())
    }

    /// Takes the leases of some shards and starts to work on them. Gives how many could be taken.
    async fn take(&mut self, stream: &StreamId, shards: &[ShardState], listing: &Listing) -> Result<usize, Trouble> {
        let (store, owner) = (&self.store, &self.owner);
        let takes = shards.iter().map(|state| async move {
            let asked_at = Instant::now();
            (store.take(stream, &state.partition, owner, state.counter).await, asked_at)
        });
        let results = join_all(takes).await;
        if shards.iter().any(|state| state.owner.is_some()) {
            // Until the take, whoever held it may have written a checkpoint that the look has not seen.
            self.states = self.store.shards(stream).await?;
        }
        let (mut count, mut trouble) = (0, None);
        for (result, asked_at) in results {
            let lease = match result {
                Ok(Some(lease)) => lease,
                // Another was faster.
                Ok(None) => continue,
                Err(error) => {
                    trouble = Some(error);
                    continue;
                }
            };
            count += 1;
            self.shared.watch.metrics.leases_taken.inc();
            let state = self.states.iter().find(|state| state.partition == lease.partition);
            let Some(checkpoint) = state.map(|state| state.checkpoint.clone()) else { continue };
            self.start(lease, checkpoint, listing, asked_at);
        }
        trouble.map_or(Ok(count), |error| Err(error.into()))
    }

    /// Shows the others that this process lives, also while it holds no lease.
    pub(super) async fn give_sign_of_life(&mut self) -> Result<(), Trouble> {
        let Some(lease_duration) = self.store.lease_duration() else { return Ok(()) };
        let now = Instant::now();
        if self.heartbeat_at.is_none_or(|at| at + lease_duration / 4 <= now) {
            self.store.heartbeat(self.shared.watch.mapping.id, &self.owner).await?;
            self.heartbeat_at = Some(now);
        }
        Ok(())
    }

    /// Which leases anybody may take: nobody's, and those whose holder has stopped to renew them.
    async fn see(&mut self, now: Instant) -> Result<HashSet<PartitionId>, Trouble> {
        let Some(lease_duration) = self.store.lease_duration() else {
            return Ok(self.states.iter().map(|state| state.partition.clone()).collect());
        };
        let mapping = self.shared.watch.mapping.id;
        // Judged a little before the holder's own time is over at the latest: see `valid_until`.
        let patience = lease_duration * 3 / 4;
        let members = self.store.members(mapping).await?;
        self.members_seen.see(members.iter().cloned(), now, patience);
        for (owner, _) in members.iter().filter(|(owner, _)| !self.members_seen.is_alive(owner, now)) {
            // Should it live after all, its next heartbeat shows that.
            self.store.leave(mapping, owner).await?;
        }
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
            // Nobody has worked on it before.
            begins_with_latest: self.fresh.remove(&partition) && lease.counter == 1,
            retention: listing.retention,
            valid_until,
            patience: self.store.lease_duration().unwrap_or_default(),
            stop: stop.clone(),
            lost: lost.clone(),
            opened: opened.clone(),
        };
        self.opening.retain(|token| !token.is_cancelled());
        self.opening.push(opened.clone());
        let shard = Shard::new(self.shared.clone(), self.store.clone(), assignment);
        // Nobody is to wait for the first read of a shard that is no longer worked on.
        let opened = opened.drop_guard();
        let task = self.tasks.spawn(async move {
            let _opened = opened;
            shard.run().await
        });
        self.tasks_of.insert(task.id(), partition.clone());
        self.held.insert(partition, Held { lease, stop, lost, valid_until: sender, renewed_at: asked_at });
    }

    /// Until when a lease counts as held that was renewed by a call that began then. Others take it no sooner than after
    /// three quarters of the lease, counted from a later instant.
    fn valid_until(&self, asked_at: Instant) -> Option<Instant> {
        self.store.lease_duration().map(|lease| asked_at + lease.mul_f64(0.7))
    }

    /// Renews the leases that are due. One that is lost is stopped at once.
    pub(super) async fn renew(&mut self) -> Result<(), Trouble> {
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
}
