//! Everything that runs by a configuration, and how it changes into what another one says.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use pelton_api::{Change, Changes as ApiChanges, EventInvokeConfigs, LambdaApi, Loaded, Mappings, Policies};
use pelton_config::{Configuration, Function};
use pelton_core::{Mapping, MappingId, SystemClock};
use pelton_engine::{Shutdown, StatusHandle, Supervisor};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::asynchronous::Asynchronous;
use super::changes::Changes;
use super::front_door::FrontDoor;
use super::functions;
use super::outlets::Outlets;
use super::parts::Parts;
use super::plans::Plans;
use super::surroundings::World;
use crate::aws::Aws;
use crate::state::OpenState;

/// How long the processes of a function may take to end; nothing invokes them any more.
const FUNCTION_GRACE: Duration = Duration::from_secs(2);

/// What runs.
pub struct Running {
    configuration: Configuration,
    parts: Parts,
    supervisor: Supervisor,
    state: Option<OpenState>,
    /// Kills all local processes.
    stop_functions: CancellationToken,
    /// Local functions that run for clients of the API who wait.
    under_way: TaskTracker,
    asynchronous: Asynchronous,
    door: Arc<FrontDoor>,
    /// What was made through the API.
    made: BTreeMap<MappingId, Mapping>,
    mappings: Mappings,
    changes: ApiChanges,
    api: Option<LambdaApi>,
    world: Arc<World>,
}

impl Running {
    /// Starts everything.
    pub async fn start(configuration: Configuration, file: &Path) -> anyhow::Result<Self> {
        let aws = Aws::new(&configuration).await?;
        let account = aws.account(&configuration).await;
        let stop_functions = CancellationToken::new();
        let all: Vec<&Function> = configuration.functions.iter().collect();
        let functions = functions::start(&all, &configuration, (aws.region(), &account), &stop_functions).await?;
        let (state, documents) = match OpenState::for_run(&configuration, &aws).await? {
            Ok(state) => {
                let documents = state.documents();
                (Ok(state), Ok(documents))
            }
            Err(reason) => (Err(reason.clone()), Err(reason)),
        };
        let door = Arc::new(FrontDoor::default());
        let outlets = Arc::new(Outlets::new(aws.clone(), account, door.clone()));
        let mut parts = Parts::new(outlets, functions, state.as_ref().ok().map(OpenState::store));
        let world = Arc::new(World::new(file, &configuration, &parts));
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        let event_invoke_configs = EventInvokeConfigs::new(documents.clone(), world.clone());
        let policies = Policies::new(documents.clone(), world.clone());
        let queue = state.as_ref().map_err(String::clone).and_then(OpenState::event_queue);
        let plans = Arc::new(Plans::new(world.clone(), event_invoke_configs.clone()));
        let asynchronous = Asynchronous::start(&configuration, &aws, queue, plans, &supervisor.status()).await;
        door.open(asynchronous.door());
        let state = state.ok();
        for mapping in &configuration.mappings {
            supervisor.start(parts.plan(mapping).await?);
        }
        let loaded = match Mappings::load(documents, world.clone(), supervisor.status()).await {
            Ok(loaded) => loaded,
            // As in `OpenState::for_run`: what the file has of queues can do without.
            Err(error) if configuration.mappings.iter().all(|mapping| mapping.stream.is_none()) => {
                tracing::error!(%error, "mappings that were made through Lambda's API don't run: restart to try again");
                Mappings::load(Err(error.to_string()), world.clone(), supervisor.status()).await?
            }
            Err(error) => return Err(error).context("mappings that were made through Lambda's API can't be read"),
        };
        let Loaded { mappings, work, changes, first } = loaded;
        let allow_unauthenticated = configuration.allow_unauthenticated;
        let under_way = TaskTracker::new();
        let api = Some(LambdaApi {
            mappings: mappings.clone(),
            work,
            functions: world.clone(),
            events: asynchronous.door(),
            event_invoke_configs,
            policies,
            under_way: under_way.clone(),
            authentication: configuration.authentication.clone(),
            allow_unauthenticated,
        });
        let made = BTreeMap::new();
        let mut running = Self {
            configuration,
            parts,
            supervisor,
            state,
            stop_functions,
            under_way,
            asynchronous,
            door,
            made,
            mappings,
            changes,
            api,
            world,
        };
        running.carry_out(&first).await;
        Ok(running)
    }

    /// Lambda's API, to be served. Given once.
    pub fn take_api(&mut self) -> Option<LambdaApi> {
        self.api.take()
    }

    /// Waits for changes that the API asks for.
    pub async fn next_changes(&mut self) -> Vec<Change> {
        self.changes.next().await
    }

    /// Has mappings of the API run as they are to run from now on. What can't be done is said in the log and by the API.
    ///
    /// Dropping the future is as with [`Self::reload`].
    pub async fn carry_out(&mut self, changes: &[Change]) {
        let changed = changes.iter().map(|change| change.id);
        if self.supervisor.stop(changed, self.configuration.grace_period).await == Shutdown::Cut {
            tracing::warn!(
                "a mapping that was changed was cut off at the end of the grace period: what was in flight is delivered again"
            );
            if let Some(state) = &self.state {
                state.release(self.supervisor.owner(), &changes.iter().map(|change| change.id).collect()).await;
            }
        }
        for change in changes {
            let outcome = self.put_into_force(change).await.map_err(|error| format!("{error:#}"));
            if let Err(error) = &outcome {
                tracing::error!(mapping = %change.id, error, "a change made through the API could not be carried out");
            }
            self.mappings.carried_out(change, outcome).await;
        }
    }

    async fn put_into_force(&mut self, change: &Change) -> anyhow::Result<()> {
        let id = change.id;
        self.made.remove(&id);
        let Some(mapping) = &change.to else {
            self.supervisor.forget(id);
            if let Some(state) = &self.state {
                state.try_forget(id).await.context("its checkpoints can't be deleted")?;
            }
            tracing::info!(mapping = %id, "a mapping was deleted through the API");
            return Ok(());
        };
        if let Some(other) = self.configuration.mappings.iter().find(|other| is_same(other, mapping)) {
            anyhow::bail!("the file has a mapping of the same source and function, {}: remove one of them", other.id);
        }
        let plan = self.parts.plan(mapping).await?;
        self.supervisor.start(plan);
        self.made.insert(id, mapping.clone());
        tracing::info!(mapping = %id, source = %mapping.event_source, enabled = mapping.enabled, "a mapping of the API is in force");
        Ok(())
    }

    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    pub fn status(&self) -> StatusHandle {
        self.supervisor.status()
    }

    /// Takes a file over, or says in log and metrics why not; then everything stays as it is.
    ///
    /// Dropping the future leaves whatever is being stopped to end by itself; only a shutdown may follow.
    pub async fn reload(&mut self, file: &Path) {
        let status = self.supervisor.status();
        match self.take_over(file).await {
            Ok(()) => status.configuration_taken_over(),
            Err(error) => {
                status.configuration_refused();
                tracing::error!("the changed configuration is refused, the one before stays in force: {error:#}");
            }
        }
    }

    async fn take_over(&mut self, file: &Path) -> anyhow::Result<()> {
        let loaded = pelton_config::load(file, &|name| std::env::var(name).ok())?;
        for problem in &loaded.problems {
            tracing::error!("{problem}");
        }
        if !loaded.problems.is_empty() {
            anyhow::bail!("{} has {} problem(s)", file.display(), loaded.problems.len());
        }
        let new = loaded.configuration;
        if new.listen != self.configuration.listen {
            let (from, to) = (self.configuration.listen, new.listen);
            anyhow::bail!("`Listen` changed from {from} to {to}: that takes a restart");
        }
        if new.state != self.configuration.state && self.state.is_some() {
            anyhow::bail!("`State` changed: that takes a restart");
        }
        let old = &self.configuration;
        for (setting, is_same) in [
            ("AllowUnauthenticated", new.allow_unauthenticated == old.allow_unauthenticated),
            ("Authentication", new.authentication == old.authentication),
            ("AsyncQueue", new.async_queue == old.async_queue),
            ("AsyncInvocation.DelayScale", new.delay_scale == old.delay_scale),
        ] {
            anyhow::ensure!(is_same, "`{setting}` changed: that takes a restart");
        }
        for mapping in &new.mappings {
            if let Some(made) = self.made.values().find(|made| is_same(made, mapping)) {
                anyhow::bail!(
                    "{} already goes to {} by the mapping {} that was made through the API: delete that one first",
                    mapping.event_source,
                    mapping.function_arn,
                    made.id
                );
            }
        }
        // What was made through the API stays, but is replaced where what it works with is.
        let (old_with_made, new_with_made) = (self.with_made(&self.configuration), self.with_made(&new));
        let changes = Changes::between(&old_with_made, &new_with_made);
        // Whatever can fail comes first, before anything is stopped.
        let aws = if changes.clients { Aws::new(&new).await? } else { self.parts.aws().clone() };
        let account = aws.account(&new).await;
        let to_start: Vec<&Function> =
            new.functions.iter().filter(|function| changes.functions_to_start.contains(&function.name)).collect();
        let started = functions::start(&to_start, &new, (aws.region(), &account), &self.stop_functions).await?;

        if self.state.is_none()
            && let Ok(state) = OpenState::for_run(&new, &aws).await?
        {
            self.parts.keep_state_in(state.store());
            self.state = Some(state);
        }

        let grace = self.configuration.grace_period;
        if self.supervisor.stop(changes.mappings_to_stop.iter().copied(), grace).await == Shutdown::Cut {
            tracing::warn!(
                "a changed mapping was cut off at the end of the grace period: what was in flight is delivered again"
            );
            if let Some(state) = &self.state {
                state.release(self.supervisor.owner(), &changes.mappings_to_stop).await;
            }
        }
        let outlets = (Arc::new(Outlets::new(aws, account, self.door.clone())), changes.clients);
        let ended = self.parts.replace(outlets, &changes.functions_to_stop, started);
        // From here on events and clients get the new functions.
        self.world.take(&new, &self.parts);
        for mapping in &changes.mappings_to_forget {
            self.supervisor.forget(*mapping);
            if let Some(state) = &self.state {
                state.forget(*mapping).await;
            }
        }
        let started = self.start_mappings(&new_with_made, &changes).await;
        // What events and clients have begun with the old functions may end.
        join_all(ended.iter().map(|function| function.shutdown(grace))).await;
        started?;
        if changes == Changes::default() {
            tracing::info!("the configuration was read again: no mapping and no function changed");
        } else {
            tracing::info!(
                mappings_stopped = changes.mappings_to_stop.len(),
                mappings_started = changes.mappings_to_start.len(),
                functions_started = changes.functions_to_start.len(),
                "the changed configuration is in force"
            );
        }
        self.configuration = new;
        Ok(())
    }

    async fn start_mappings(&mut self, configuration: &Configuration, changes: &Changes) -> anyhow::Result<()> {
        let is_wanted = |mapping: &&Mapping| changes.mappings_to_start.contains(&mapping.id);
        for mapping in configuration.mappings.iter().filter(is_wanted) {
            let plan = self.parts.plan(mapping).await?;
            self.supervisor.start(plan);
        }
        Ok(())
    }

    /// A configuration as if what was made through the API stood in its file.
    fn with_made(&self, configuration: &Configuration) -> Configuration {
        let mut all = configuration.clone();
        all.mappings.extend(self.made.values().cloned());
        all
    }

    /// Stops everything in order; `stop_listening` when nothing that it shows changes any more.
    pub async fn shutdown(self, stop_listening: impl Future<Output = ()>) -> Shutdown {
        let grace = self.configuration.grace_period;
        self.under_way.close();
        let answers = tokio::time::timeout(grace, self.under_way.wait());
        let (mappings, events, _) =
            tokio::join!(self.supervisor.shutdown(grace), self.asynchronous.shutdown(grace), answers);
        let functions = self.parts.functions().values();
        join_all(functions.map(|function| function.process.shutdown(FUNCTION_GRACE))).await;
        self.stop_functions.cancel();
        // Nobody is told that an event was accepted when the store is closed.
        stop_listening.await;
        if let Some(state) = self.state {
            state.close().await;
        }
        if mappings == Shutdown::Cut { mappings } else { events }
    }
}

/// Whether two mappings have the same source and function, so that only one of them may run.
fn is_same(one: &Mapping, other: &Mapping) -> bool {
    (&one.event_source, &one.function_arn) == (&other.event_source, &other.function_arn)
}
