//! Runs mappings: one supervised task tree each, so that trouble in one never touches another.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{Clock, Destination, Invoker, Mapping, MappingId, OwnerId, Redelivery, Source, Store};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Backoff;
use crate::idle::idle;
use crate::status::{Part, StatusHandle, Watch};
use crate::{queue, stream};

const RESTART_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(60);

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
    /// Where checkpoints and leases are kept. Streams need one, queues don't.
    pub store: Option<Arc<dyn Store>>,
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
    owner: OwnerId,
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
            owner: OwnerId(Uuid::new_v4().to_string()),
            status: StatusHandle::new(clock.clone()),
            clock,
            shutdown: CancellationToken::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    /// Names this process among those that share a store.
    pub fn owner(&self) -> &OwnerId {
        &self.owner
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
        let task = self.tasks.spawn(supervise(plan, watch, self.clock.clone(), self.owner.clone(), stop.clone()));
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
async fn supervise(plan: Plan, watch: Arc<Watch>, clock: Arc<dyn Clock>, owner: OwnerId, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(RESTART_PAUSE, LONGEST_RESTART_PAUSE);
    let mut task = JoinSet::new();
    loop {
        task.spawn(run(plan.clone(), watch.clone(), clock.clone(), owner.clone(), shutdown.clone()));
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

async fn run(plan: Plan, watch: Arc<Watch>, clock: Arc<dyn Clock>, owner: OwnerId, shutdown: CancellationToken) {
    match plan.source.redelivery() {
        Redelivery::BySource => queue::run(plan, watch, clock, shutdown).await,
        Redelivery::ByEngine => stream::run(plan, watch, clock, owner, shutdown).await,
    }
}
