//! Everything that runs by a configuration, and how it changes into what another one says.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use pelton_config::{Configuration, Function, Program, Runtime};
use pelton_core::SystemClock;
use pelton_engine::{Shutdown, StatusHandle, Supervisor};
use pelton_invoke::{Launch, ProcessFunction, ProcessSettings};
use tokio_util::sync::CancellationToken;

use super::changes::{Changes, account};
use super::parts::Parts;
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
}

impl Running {
    /// Starts everything.
    pub async fn start(configuration: Configuration) -> anyhow::Result<Self> {
        let aws = Aws::new(&configuration).await?;
        let stop_functions = CancellationToken::new();
        let all: Vec<&Function> = configuration.functions.iter().collect();
        let functions = start_functions(&all, &configuration, aws.region(), &stop_functions).await?;
        let state = OpenState::for_mappings_of(&configuration, &aws).await?;
        let mut parts = Parts::new(aws, functions, state.as_ref().map(OpenState::store));
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        for mapping in &configuration.mappings {
            supervisor.start(parts.plan(mapping).await?);
        }
        Ok(Self { configuration, parts, supervisor, state, stop_functions })
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
        let changes = Changes::between(&self.configuration, &new);
        if changes == Changes::default() {
            tracing::info!("the configuration was read again: no mapping and no function changed");
            self.configuration = new;
            return Ok(());
        }

        // Whatever can fail comes first, before anything is stopped.
        let aws = if changes.clients { Some(Aws::new(&new).await?) } else { None };
        let region = aws.as_ref().unwrap_or(self.parts.aws()).region();
        let to_start: Vec<&Function> =
            new.functions.iter().filter(|function| changes.functions_to_start.contains(&function.name)).collect();
        let started = start_functions(&to_start, &new, region, &self.stop_functions).await?;

        if self.state.is_none() {
            self.state = OpenState::for_mappings_of(&new, aws.as_ref().unwrap_or(self.parts.aws())).await?;
            if let Some(state) = &self.state {
                self.parts.keep_state_in(state.store());
            }
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
        for mapping in new.mappings.iter().filter(|mapping| changes.mappings_to_start.contains(&mapping.id)) {
            let plan = self.parts.plan(mapping).await?;
            self.supervisor.start(plan);
        }
        tracing::info!(
            mappings_stopped = changes.mappings_to_stop.len(),
            mappings_started = changes.mappings_to_start.len(),
            functions_started = changes.functions_to_start.len(),
            "the changed configuration is in force"
        );
        self.configuration = new;
        Ok(())
    }

    /// Stops everything in order.
    pub async fn shutdown(self) -> Shutdown {
        let shutdown = self.supervisor.shutdown(self.configuration.grace_period).await;
        join_all(self.parts.functions().map(|function| function.shutdown(FUNCTION_GRACE))).await;
        self.stop_functions.cancel();
        if let Some(state) = self.state {
            state.close().await;
        }
        shutdown
    }
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
