//! `pelton run`: everything put together, until a signal.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use pelton_config::{Configuration, Function, Program, Runtime};
use pelton_core::{Destination, DestinationArn, Invoker, Mapping, SystemClock};
use pelton_destinations::Clients;
use pelton_engine::{Plan, Shutdown, Supervisor};
use pelton_invoke::{Functions, LambdaInvoker, Launch, ProcessFunction, ProcessSettings};
use pelton_source_sqs::SqsSource;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;

/// Runs until SIGTERM or SIGINT, then stops in order. A second signal exits at once.
pub async fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let configuration = load(file)?;
    let listener = TcpListener::bind(configuration.listen).await.with_context(|| {
        format!("can't listen on {}: give `Listen` another address, or stop what listens there", configuration.listen)
    })?;
    let mut signals = Signals::new()?;
    let aws = Aws::new(&configuration).await?;
    let stop_functions = CancellationToken::new();
    let functions = Arc::new(start_functions(&configuration, &aws, &stop_functions).await?);

    let mut supervisor = Supervisor::new(Arc::new(SystemClock));
    let mut parts = Parts { aws, functions: functions.clone(), clients: BTreeMap::new() };
    for mapping in &configuration.mappings {
        supervisor.start(parts.plan(mapping));
    }
    let stop_listening = CancellationToken::new();
    let mut serving = JoinSet::new();
    tracing::info!(listen = %listener.local_addr()?, mappings = configuration.mappings.len(), "pelton runs");
    serving.spawn(pelton_api::serve(listener, supervisor.status(), stop_listening.clone()));

    let signal = signals.next().await;
    tracing::info!(signal, grace = ?configuration.grace_period, "stopping: waiting for invocations in flight");
    let stop = async {
        let shutdown = supervisor.shutdown(configuration.grace_period).await;
        functions.shutdown(std::time::Duration::from_secs(2)).await;
        stop_functions.cancel();
        stop_listening.cancel();
        while serving.join_next().await.is_some() {}
        shutdown
    };
    tokio::select! {
        shutdown = stop => match shutdown {
            Shutdown::Clean => tracing::info!("stopped"),
            Shutdown::Cut => tracing::warn!("stopped at the end of the grace period: what was in flight is delivered again"),
        },
        signal = signals.next() => {
            tracing::warn!(signal, "second signal: exiting at once, what was in flight is delivered again");
            return Ok(ExitCode::from(130));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the file. What has a problem is reported and left out; what is good runs.
fn load(file: &Path) -> anyhow::Result<Configuration> {
    let loaded = pelton_config::load(file, &|name| std::env::var(name).ok())?;
    for problem in &loaded.problems {
        tracing::error!("{problem}");
    }
    let configuration = loaded.configuration;
    if configuration.mappings.is_empty() && !loaded.problems.is_empty() {
        anyhow::bail!("{} holds no mapping that could run: `pelton check -c {0}` shows what is wrong", file.display());
    }
    Ok(configuration)
}

async fn start_functions(
    configuration: &Configuration,
    aws: &Aws,
    stop: &CancellationToken,
) -> anyhow::Result<Functions> {
    let mut local = Vec::new();
    for function in &configuration.functions {
        let account = configuration
            .mappings
            .iter()
            .find(|mapping| mapping.function.name() == function.name)
            .map(|mapping| mapping.function_arn.account().to_owned());
        local.push(ProcessFunction::start(settings(function, aws.region(), account)?, stop.clone()).await?);
    }
    Ok(Functions::new(local, None))
}

fn settings(function: &Function, region: &str, account: Option<String>) -> anyhow::Result<ProcessSettings> {
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
        account,
        launch,
        working_directory: function.code_uri.clone(),
        concurrency: function.concurrency,
        timeout: function.timeout,
        memory_size_megabytes: function.memory_size,
        environment,
        watch: function.watch,
    })
}

/// What mappings are put together from: clients of each region, made once.
struct Parts {
    aws: Aws,
    functions: Arc<Functions>,
    clients: BTreeMap<String, Clients>,
}

impl Parts {
    fn plan(&mut self, mapping: &Mapping) -> Plan {
        let region = mapping.event_source.region();
        let source = SqsSource::new(
            &self.aws.sqs_config(region),
            mapping.event_source.clone(),
            mapping.batching_window,
            self.aws.idle_wait(),
        );
        let is_local = self.functions.local().any(|function| function.name() == mapping.function.name());
        let invoker: Arc<dyn Invoker> = if is_local {
            self.functions.clone()
        } else {
            Arc::new(LambdaInvoker::new(self.aws.lambda(mapping.function_arn.region())))
        };
        Plan {
            source: Arc::new(source),
            invoker,
            on_success: self.destination(mapping, mapping.on_success.as_ref()),
            on_failure: self.destination(mapping, mapping.on_failure.as_ref()),
            mapping: mapping.clone(),
        }
    }

    fn destination(&mut self, mapping: &Mapping, arn: Option<&DestinationArn>) -> Option<Arc<dyn Destination>> {
        let arn = arn?;
        let region = match arn.arn().region() {
            "" => mapping.event_source.region(),
            region => region,
        };
        let aws = &self.aws;
        let clients = self.clients.entry(region.to_owned()).or_insert_with(|| Clients {
            sqs: aws.sqs(region),
            sns: aws.sns(region),
            eventbridge: aws.eventbridge(region),
            lambda: aws.lambda(region),
            s3: aws.s3(region),
        });
        Some(pelton_destinations::connect(clients, arn, mapping.overflow_bucket.as_ref()))
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
