//! Runs mappings: one supervised task tree each, so that trouble in one never touches another.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pelton_core::{Clock, Destination, Invoker, Mapping, MappingId, PartitionId, Redelivery, Source};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::Backoff;
use crate::concurrency::{Concurrency, MAXIMUM_POLLERS};
use crate::hold::idle;
use crate::lane::{Lane, LaneEnd, Shared};
use crate::status::{Part, StatusHandle, Watch};

const RESTART_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(60);
const BACKLOG_INTERVAL: Duration = Duration::from_secs(5);

/// A mapping with everything it works with.
#[derive(Clone)]
pub struct Plan {
    /// The settings.
    pub mapping: Mapping,
    /// Where its records come from.
    pub source: Arc<dyn Source>,
    /// What calls its function.
    pub invoker: Arc<dyn Invoker>,
    /// Told of each successful invocation.
    pub on_success: Option<Arc<dyn Destination>>,
    /// Told of each record that is given up, before it leaves its source.
    pub on_failure: Option<Arc<dyn Destination>>,
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything in flight came to its end.
    Clean,
    /// The grace period was over first; what was in flight comes again.
    Cut,
}

/// Owns the tasks of all mappings.
pub struct Supervisor {
    clock: Arc<dyn Clock>,
    status: StatusHandle,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    running: HashMap<MappingId, Running>,
}

/// The task tree of one mapping.
struct Running {
    stop: CancellationToken,
    task: AbortHandle,
}

impl Supervisor {
    /// A supervisor without mappings.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            status: StatusHandle::new(clock.clone()),
            clock,
            shutdown: CancellationToken::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    /// Shows what the mappings are doing.
    pub fn status(&self) -> StatusHandle {
        self.status.clone()
    }

    /// Starts a mapping, or only lists it if it is disabled. One of the same id must have been stopped before; its
    /// counts go on. Must be called within a tokio runtime.
    pub fn start(&mut self, plan: Plan) {
        let watch = self.status.watch(plan.mapping.clone());
        if !plan.mapping.enabled {
            watch.set_state("Disabled");
            return;
        }
        let (id, stop) = (plan.mapping.id, self.shutdown.child_token());
        let task = self.tasks.spawn(supervise(plan, watch, self.clock.clone(), stop.clone()));
        self.running.insert(id, Running { stop, task });
    }

    /// Stops some mappings, all at once and as [`Self::shutdown`] does, and returns when they have ended. The others run
    /// on. Dropping the future leaves them to end by themselves.
    pub async fn stop(&mut self, mappings: impl IntoIterator<Item = MappingId>, grace: Duration) -> Shutdown {
        let stopping: Vec<MappingId> = mappings.into_iter().filter(|id| self.running.contains_key(id)).collect();
        let stopped: Vec<&Running> = stopping.iter().filter_map(|id| self.running.get(id)).collect();
        stopped.iter().for_each(|running| running.stop.cancel());
        let tasks = &mut self.tasks;
        let all_ended = async {
            while !stopped.iter().all(|running| running.task.is_finished()) && tasks.join_next().await.is_some() {}
        };
        let outcome = match tokio::time::timeout(grace, all_ended).await {
            Ok(()) => Shutdown::Clean,
            Err(_) => {
                stopped.iter().for_each(|running| running.task.abort());
                while !stopped.iter().all(|running| running.task.is_finished()) && tasks.join_next().await.is_some() {}
                Shutdown::Cut
            }
        };
        stopping.iter().for_each(|id| {
            self.running.remove(id);
        });
        outcome
    }

    /// Takes a mapping that was stopped out of status and metrics.
    pub fn forget(&mut self, mapping: MappingId) {
        self.status.forget(mapping);
    }

    /// Stops all mappings: no more polls; invocations in flight may end within `grace`; what was received but not
    /// invoked becomes visible again.
    pub async fn shutdown(mut self, grace: Duration) -> Shutdown {
        self.shutdown.cancel();
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        match tokio::time::timeout(grace, all_ended).await {
            Ok(()) => Shutdown::Clean,
            Err(_) => {
                self.tasks.shutdown().await;
                Shutdown::Cut
            }
        }
    }
}

/// Keeps a mapping running until shutdown, also through bugs.
async fn supervise(plan: Plan, watch: Arc<Watch>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(RESTART_PAUSE, LONGEST_RESTART_PAUSE);
    let mut task = JoinSet::new();
    loop {
        task.spawn(run(plan.clone(), watch.clone(), clock.clone(), shutdown.clone()));
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(mapping = %watch.mapping.id, %error, "a mapping panicked, starting it again");
                watch.trouble(Part::Source, &format!("internal error: {error}"));
                if !idle(backoff.next_delay(), &shutdown).await {
                    break;
                }
            }
            _ => break,
        }
    }
    watch.set_state("Disabled");
}

async fn run(plan: Plan, watch: Arc<Watch>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let Some(partitions) = partitions(&plan, &watch, &shutdown).await else { return };
    watch.set_state("Enabled");
    tracing::info!(mapping = %watch.mapping.id, source = %watch.mapping.event_source, function = %watch.mapping.function, "polling");
    let maximum = match plan.source.redelivery() {
        Redelivery::BySource => plan.mapping.maximum_concurrency.unwrap_or(MAXIMUM_POLLERS),
        Redelivery::ByEngine => 1,
    };
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
            Ok(partitions) => return Some(partitions),
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
                Ok(LaneEnd::PartitionEnded) => return,
                Ok(LaneEnd::Left) => {}
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
