//! The queue side: pollers that receive, have batches processed, and delete or hand back.
pub(crate) mod attempt;
pub(crate) mod concurrency;
pub(crate) mod drive;
pub(crate) mod hold;
pub(crate) mod lane;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pelton_core::{Clock, PartitionId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::idle::idle;
use crate::queue::concurrency::{Concurrency, MAXIMUM_POLLERS};
use crate::queue::lane::{Lane, Shared};
use crate::status::{Part, Watch};
use crate::{Backoff, Plan};

const RESTART_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(60);
const BACKLOG_INTERVAL: Duration = Duration::from_secs(5);

/// Polls the queue of a mapping until shutdown.
pub(crate) async fn run(plan: Plan, watch: Arc<Watch>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let Some(partitions) = partitions(&plan, &watch, &shutdown).await else { return };
    watch.set_state("Enabled");
    tracing::info!(mapping = %watch.mapping.id, source = %watch.mapping.event_source, function = %watch.mapping.function, "polling");
    let maximum = plan.mapping.maximum_concurrency.unwrap_or(MAXIMUM_POLLERS);
    let pollers = partitions.into_iter().map(|partition| {
        let shared = Shared {
            source: plan.source.clone(),
            invoker: plan.invoker.clone(),
            on_success: plan.on_success.clone(),
            on_failure: plan.on_failure.clone(),
            clock: clock.clone(),
            watch: watch.clone(),
            partition,
            concurrency: Concurrency::new(maximum),
            slots: plan.invoker.slots(&plan.mapping.function),
            shutdown: shutdown.clone(),
        };
        poll(Arc::new(shared))
    });
    tokio::join!(join_all(pollers), observe_backlog(&plan, &watch, &shutdown));
}

async fn partitions(plan: &Plan, watch: &Watch, shutdown: &CancellationToken) -> Option<Vec<PartitionId>> {
    let mut backoff = Backoff::new(RESTART_PAUSE, LONGEST_RESTART_PAUSE);
    loop {
        match shutdown.run_until_cancelled(plan.source.partitions()).await? {
            Ok(listing) => return Some(listing.partitions.into_iter().map(|partition| partition.id).collect()),
            Err(error) => {
                if watch.trouble(Part::Source, &error.message) {
                    tracing::warn!(source = %watch.mapping.event_source, %error, "the event source can't be read, trying again");
                }
                if !idle(backoff.next_delay(), shutdown).await {
                    return None;
                }
            }
        }
    }
}

/// Runs as many pollers as [`Concurrency`] wants, until shutdown and until the last has ended.
async fn poll(shared: Arc<Shared>) {
    let mut lanes = JoinSet::new();
    let mut backoff = Backoff::new(RESTART_PAUSE, LONGEST_RESTART_PAUSE);
    loop {
        while !shared.shutdown.is_cancelled() && shared.concurrency.enter() {
            lanes.spawn(Lane::new(shared.clone()).run());
        }
        shared.watch.metrics.concurrency.set(i64::try_from(lanes.len()).unwrap_or(i64::MAX));
        if lanes.is_empty() && shared.shutdown.is_cancelled() {
            return;
        }
        tokio::select! {
            // In this order, so that a simulation goes the same way twice.
            biased;
            () = shared.concurrency.growth() => {}
            Some(ended) = lanes.join_next() => match ended {
                Ok(()) => {}
                Err(error) => {
                    shared.concurrency.left();
                    tracing::error!(mapping = %shared.watch.mapping.id, %error, "a poller panicked, starting another");
                    shared.watch.trouble(Part::Source, &format!("internal error: {error}"));
                    idle(backoff.next_delay(), &shared.shutdown).await;
                }
            },
        }
    }
}

/// Asks a busy source now and then how much waits in it. An idle one is known to be empty by its empty polls.
async fn observe_backlog(plan: &Plan, watch: &Watch, shutdown: &CancellationToken) {
    let mut polled = 0;
    while idle(BACKLOG_INTERVAL, shutdown).await {
        let before = std::mem::replace(&mut polled, watch.metrics.polled.get());
        if before == polled && watch.metrics.problem.get() == 0 {
            continue;
        }
        if let Some(Ok(Some(backlog))) = shutdown.run_until_cancelled(plan.source.backlog()).await {
            watch.set_backlog(backlog);
        }
    }
}
