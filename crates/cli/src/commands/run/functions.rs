//! The local functions, started.
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use pelton_api::{LocalFunction, LocalSettings};
use pelton_config::{Configuration, Function, Program, Runtime};
use pelton_core::Invoker;
use pelton_invoke::{Launch, ProcessFunction, ProcessSettings, Reserved};
use tokio_util::sync::CancellationToken;

use super::changes::account;

/// The local functions, by name.
pub type Functions = BTreeMap<String, Started>;

/// A local function that runs.
#[derive(Clone)]
pub struct Started {
    /// Its processes.
    pub process: Arc<ProcessFunction>,
    /// Calls it within its `ReservedConcurrentExecutions`, which count for mappings, clients and events together.
    pub invoker: Arc<dyn Invoker>,
    /// When it was started.
    pub since: Timestamp,
}

/// Starts local functions. `account` is told to those that no mapping gives one.
pub async fn start(
    functions: &[&Function],
    configuration: &Configuration,
    (region, home): (&str, &str),
    stop: &CancellationToken,
) -> anyhow::Result<Functions> {
    let mut started = Functions::new();
    for function in functions {
        let account = account(configuration, function).unwrap_or(home);
        let process = ProcessFunction::start(settings(function, region, account)?, stop.clone()).await;
        let process = Arc::new(process.with_context(|| format!("the function {} can't be started", function.name))?);
        let invoker: Arc<dyn Invoker> = match function.reserved_concurrency {
            Some(limit) => Arc::new(Reserved::new(process.clone(), limit)),
            None => process.clone(),
        };
        started.insert(function.name.clone(), Started { process, invoker, since: Timestamp::now() });
    }
    Ok(started)
}

/// A function as Lambda's API shows it.
pub fn shown(function: &Function, started: &Started, configuration: &Configuration) -> LocalFunction {
    let runtime = match &function.program {
        Program::Command(_) => None,
        Program::Runtime(Runtime::Python(version)) => Some(format!("python{}", version.as_deref().unwrap_or("3.x"))),
        Program::Runtime(Runtime::NodeJs(version)) => Some(format!("nodejs{}.x", version.as_deref().unwrap_or(""))),
    };
    LocalFunction {
        name: function.name.clone(),
        aliases: function.aliases.clone(),
        invoker: started.invoker.clone(),
        settings: LocalSettings {
            runtime,
            handler: function.handler.clone(),
            timeout: function.timeout,
            memory_size: function.memory_size,
            environment: function.environment.clone(),
            reserved_concurrency: function.reserved_concurrency,
            dead_letter_queue: configuration.dead_letter_queue(&function.name).map(|target| target.arn().clone()),
            last_modified: started.since,
        },
    }
}

fn settings(function: &Function, region: &str, account: &str) -> anyhow::Result<ProcessSettings> {
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
        account: Some(account.to_owned()),
        launch,
        working_directory: function.code_uri.clone(),
        concurrency: function.concurrency,
        timeout: function.timeout,
        memory_size_megabytes: function.memory_size,
        environment,
        watch: function.watch,
    })
}
