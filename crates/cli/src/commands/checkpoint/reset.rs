//! `pelton checkpoint reset`.
use std::process::ExitCode;

use anyhow::Context as _;
use pelton_core::{Clock as _, Mapping, OwnerId, PartitionId, ShardState, Store, StoreError, StreamId, SystemClock};

use super::look::Look;
use super::place::Place;
use super::{REFUSED, ResetArguments, choose, load};
use crate::aws::Aws;
use crate::output;
use crate::sources::Sources;
use crate::state::OpenState;

/// Puts another checkpoint in the place of each shard's, or of one's.
pub async fn reset(arguments: ResetArguments) -> anyhow::Result<ExitCode> {
    let configuration = load(&arguments.config)?;
    let mapping = choose::stream(&configuration.mappings, &arguments.mapping, &arguments.config)?;
    let now = SystemClock.now();
    if let Place::At(at) = arguments.to
        && at > now
    {
        anyhow::bail!("--to {at} is in the future, it is now {now:.0}: LATEST begins with what is put from now on");
    }
    let aws = Aws::new(&configuration).await?;
    let state = OpenState::open_beside(&configuration, &aws).await?;
    let store = state.store();
    let look = Look::at(mapping, store.clone(), &mut Sources::new(aws)).await?;
    let Some(stream) = look.stream.clone() else {
        anyhow::bail!("{} has no checkpoint yet: it begins at its StartingPosition", name(mapping));
    };
    let outcome = match wanted(&look, mapping, &arguments).await? {
        Wanted::One(partition) => {
            move_one(&*store, &stream, &partition, &arguments.to).await?;
            ExitCode::SUCCESS
        }
        Wanted::These(shards) => match worker(&*store, &stream).await? {
            Some(worker) => {
                output::print_error(&refusal(mapping, &worker, &arguments));
                ExitCode::from(REFUSED)
            }
            None => {
                if let (Place::Behind(_), [shard]) = (&arguments.to, &shards[..]) {
                    check_number(&look, shard, &arguments.to).await?;
                }
                move_all(&*store, &look, &stream, &shards, &arguments).await?;
                ExitCode::SUCCESS
            }
        },
    };
    state.close().await;
    Ok(outcome)
}

/// What is to be moved.
enum Wanted {
    These(Vec<ShardState>),
    /// A shard of which nothing can be read; it can be set anew.
    One(PartitionId),
}

async fn wanted(look: &Look, mapping: &Mapping, arguments: &ResetArguments) -> anyhow::Result<Wanted> {
    let shards = match (look.shards().await, &arguments.shard) {
        (Ok(shards), _) => shards,
        (Err(StoreError::Refused(_)), Some(shard)) => return Ok(Wanted::One(PartitionId(shard.clone()))),
        (Err(error), _) => return Err(error.into()),
    };
    let names = || shards.iter().map(|shard| shard.partition.0.as_str()).collect::<Vec<_>>().join(", ");
    match &arguments.shard {
        None if matches!(arguments.to, Place::Behind(_)) => {
            anyhow::bail!("--to a sequence number needs --shard, since each shard has its own numbers: {}", names())
        }
        None => Ok(Wanted::These(shards)),
        Some(wanted) => match shards.iter().find(|shard| shard.partition.0 == *wanted) {
            Some(shard) => Ok(Wanted::These(vec![shard.clone()])),
            None => anyhow::bail!("{} has no checkpoint of a shard {wanted}, but of {}", name(mapping), names()),
        },
    }
}

fn name(mapping: &Mapping) -> String {
    format!("the mapping {} → {}", mapping.event_source, mapping.function)
}

/// Who works on a stream, and on what of it.
struct Worker {
    owner: OwnerId,
    shard: Option<PartitionId>,
}

/// Looks whether anybody works on the stream. Where leases run out, whoever lives shows it within one.
async fn worker(store: &dyn Store, stream: &StreamId) -> Result<Option<Worker>, StoreError> {
    let before = store.shards(stream).await?;
    let held = |state: &ShardState| Some(Worker { owner: state.owner.clone()?, shard: Some(state.partition.clone()) });
    let Some(lease) = store.lease_duration() else { return Ok(before.iter().find_map(held)) };
    let members = store.members(stream.mapping).await?;
    if members.is_empty() && before.iter().all(|state| state.owner.is_none()) {
        return Ok(None);
    }
    output::print_error(&format!("waiting {lease:?}, a lease's time, to see whether a process works on the mapping"));
    tokio::time::sleep(lease).await;
    let was = |state: &ShardState| {
        let old = before.iter().find(|old| old.partition == state.partition);
        old.is_some_and(|old| (old.counter, old.renewals) == (state.counter, state.renewals))
    };
    let after = store.shards(stream).await?;
    if let Some(worker) = after.iter().filter(|state| !was(state)).find_map(held) {
        return Ok(Some(worker));
    }
    let alive = store.members(stream.mapping).await?.into_iter().find(|member| !members.contains(member));
    Ok(alive.map(|(owner, _)| Worker { owner, shard: None }))
}

fn refusal(mapping: &Mapping, worker: &Worker, arguments: &ResetArguments) -> String {
    let what = match &worker.shard {
        Some(shard) => format!("{shard} of {}", name(mapping)),
        None => name(mapping),
    };
    let advice = match mapping.enabled {
        true => format!(
            "set Enabled: false for it in {}, which a running pelton takes over by itself, and try again",
            arguments.config.display()
        ),
        false => "it is disabled in the file, and stops when what is in flight has ended: try again then".to_owned(),
    };
    format!("nothing was reset, because the process {} works on {what}: {advice}", worker.owner)
}

/// A number that is none of the shard's would be taken for one that has been trimmed, and everything would come again.
async fn check_number(look: &Look, shard: &ShardState, place: &Place) -> anyhow::Result<()> {
    let position = place.checkpoint(None, SystemClock.now()).position;
    if look.rest(&shard.partition, &position).await.is_some_and(|rest| rest.trimmed) {
        anyhow::bail!(
            "{} has no record {position}, or no longer: TRIM_HORIZON begins with the oldest record there is",
            shard.partition
        );
    }
    Ok(())
}

async fn move_all(
    store: &dyn Store,
    look: &Look,
    stream: &StreamId,
    shards: &[ShardState],
    arguments: &ResetArguments,
) -> anyhow::Result<()> {
    let (place, now) = (&arguments.to, SystemClock.now());
    let new = match (&look.listing, &arguments.shard) {
        (_, Some(_)) => Vec::new(),
        (Ok(listing), None) => place.new_shards(shards, listing, now),
        (Err(_), None) if *place == Place::TrimHorizon => Vec::new(),
        (Err(error), None) => anyhow::bail!("the shards that came meanwhile can't be looked for: {error}"),
    };
    // First, as a shard that is not known yet begins at its oldest record.
    store.add_shards(stream, &new).await?;
    for shard in shards {
        let position = &shard.checkpoint.position;
        let checkpoint = place.checkpoint(Some(position), now);
        let moved = store.reset(stream, &shard.partition, &checkpoint).await;
        moved.with_context(|| format!("{} stays where it is", shard.partition))?;
        output::print(&format!("{}: {position} → {}\n", shard.partition, checkpoint.position))?;
    }
    for shard in new {
        output::print(&format!("{}: new → {}\n", shard.partition, shard.position))?;
    }
    Ok(())
}

async fn move_one(store: &dyn Store, stream: &StreamId, partition: &PartitionId, place: &Place) -> anyhow::Result<()> {
    let checkpoint = place.checkpoint(None, SystemClock.now());
    store.reset(stream, partition, &checkpoint).await?;
    output::print(&format!("{partition}: unreadable → {}\n", checkpoint.position))
}
