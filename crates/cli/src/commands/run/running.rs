//! Everything that runs by a configuration, and how it changes into what another one says.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use pelton_api::{Change, Changes as ApiChanges, EventInvokeConfigs, LambdaApi, Loaded, Mappings, Policies};
use pelton_config::{Configuration, Function, Program, Runtime};
use pelton_core::{Mapping, MappingId, SystemClock};
use pelton_engine::{Shutdown, StatusHandle, Supervisor};
use pelton_invoke::{Launch, ProcessFunction, ProcessSettings};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::changes::{Changes, account};
use super::parts::Parts;
use super::surroundings::World;
use crate::aws::Aws;
use crate::state::OpenState;

/// How long the processes of a function may take to end; nothing invokes them any more.
const FUNCTION_GRACE: Duration = Duration::from_secs(2);

/// The local functions, by name.
pub type Functions = BTreeMap<String, Arc<ProcessFunction>>;

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
        let stop_functions = CancellationToken::new();
        let all: Vec<&Function> = configuration.functions.iter().collect();
        let functions = start_functions(&all, &configuration, aws.region(), &stop_functions).await?;
        let (state, documents) = match OpenState::for_run(&configuration, &aws).await? {
            Ok(state) => {
                let documents = state.documents();
                (Some(state), Ok(documents))
            }
            Err(reason) => (None, Err(reason)),
        };
        let world = Arc::new(World::new(file, &configuration, &aws));
        let mut parts = Parts::new(aws, functions, state.as_ref().map(OpenState::store));
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        for mapping in &configuration.mappings {
            supervisor.start(parts.plan(mapping).await?);
        }
        let event_invoke_configs = EventInvokeConfigs::new(documents.clone(), world.clone());
        let policies = Policies::new(documents.clone(), world.clone());
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
            events: Err("this version has no queue for them".into()),
            event_invoke_configs,
            policies,
            under_way: under_way.clone(),
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
        if new.allow_unauthenticated != self.configuration.allow_unauthenticated {
            anyhow::bail!("`AllowUnauthenticated` changed: that takes a restart");
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
        if changes == Changes::default() {
            tracing::info!("the configuration was read again: no mapping and no function changed");
            self.take(new);
            return Ok(());
        }

        // Whatever can fail comes first, before anything is stopped.
        let aws = if changes.clients { Some(Aws::new(&new).await?) } else { None };
        let region = aws.as_ref().unwrap_or(self.parts.aws()).region();
        let to_start: Vec<&Function> =
            new.functions.iter().filter(|function| changes.functions_to_start.contains(&function.name)).collect();
        let started = start_functions(&to_start, &new, region, &self.stop_functions).await?;

        if self.state.is_none()
            && let Ok(state) = OpenState::for_run(&new, aws.as_ref().unwrap_or(self.parts.aws())).await?
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
        let ended = self.parts.replace(aws, &changes.functions_to_stop, started);
        join_all(ended.iter().map(|function| function.shutdown(FUNCTION_GRACE))).await;
        for mapping in &changes.mappings_to_forget {
            self.supervisor.forget(*mapping);
            if let Some(state) = &self.state {
                state.forget(*mapping).await;
            }
        }
        let to_start = new_with_made.mappings.iter().filter(|mapping| changes.mappings_to_start.contains(&mapping.id));
        for mapping in to_start {
            let plan = self.parts.plan(mapping).await?;
            self.supervisor.start(plan);
        }
        tracing::info!(
            mappings_stopped = changes.mappings_to_stop.len(),
            mappings_started = changes.mappings_to_start.len(),
            functions_started = changes.functions_to_start.len(),
            "the changed configuration is in force"
        );
        self.take(new);
        Ok(())
    }

    /// Takes a configuration as the one that is in force.
    fn take(&mut self, configuration: Configuration) {
        self.world.take(&configuration, self.parts.aws());
        self.configuration = configuration;
    }

    /// A configuration as if what was made through the API stood in its file.
    fn with_made(&self, configuration: &Configuration) -> Configuration {
        let mut all = configuration.clone();
        all.mappings.extend(self.made.values().cloned());
        all
    }

    /// Stops everything in order.
    pub async fn shutdown(self) -> Shutdown {
        let grace = self.configuration.grace_period;
        self.under_way.close();
        let answers = tokio::time::timeout(grace, self.under_way.wait());
        let (shutdown, _) = tokio::join!(self.supervisor.shutdown(grace), answers);
        join_all(self.parts.functions().map(|function| function.shutdown(FUNCTION_GRACE))).await;
        self.stop_functions.cancel();
        if let Some(state) = self.state {
            state.close().await;
        }
        shutdown
    }
}

/// Whether two mappings have the same source and function, so that only one of them may run.
fn is_same(one: &Mapping, other: &Mapping) -> bool {
    (&one.event_source, &one.function_arn) == (&other.event_source, &other.function_arn)
}

/// Starts local functions.
pub async fn start_functions(
    functions: &[&Function],
    configuration: &Configuration,
    region: &str,
    stop: &CancellationToken,
) -> anyhow::Result<Functions> {
    let mut started = Functions::new();
    for function in functions {
        let settings = settings(function, region, account(configuration, function))?;
        let process = ProcessFunction::start(settings, stop.clone()).await;
        let process = process.with_context(|| format!("the function {} can't be started", function.name))?;
        started.insert(function.name.clone(), Arc::new(process));
    }
    Ok(started)
}

fn settings(function: &Function, region: &str, account: Option<&str>) -> anyhow::Result<ProcessSettings> {
    let launch = match &function.program {
        Program::Command(command) => Launch::Command(command.clone()),
        Program::Runtime(runtime) => Launch::Runtime {
            runtime: match runtime {
                Runtime::Python(version) => format!("python{}", version.as_deref().unwrap_or("3")).parse()?,
                Runtime::NodeJs(Some(version)) => format!("nodejs{version}.x").parse()?,
                Runtime::NodeJs(None) => "nodejs".parse()?,
            },
            handler: function.handler.clone().unwrap_or_default(),
            code_uri: function.code_uri.clone(),
        },
    };
    let mut environment = function.environment.clone();
    if let (Launch::Command(_), Some(handler)) = (&launch, &function.handler) {
        environment.entry("_HANDLER".into()).or_insert_with(|| handler.clone());
    }
    Ok(ProcessSettings {
        name: function.name.clone(),
        region: region.to_owned(),
        account: account.map(str::to_owned),
        launch,
        working_directory: function.code_uri.clone(),
        concurrency: function.concurrency,
        timeout: function.timeout,
        memory_size_megabytes: function.memory_size,
        environment,
        watch: function.watch,
    })
}
