//! `pelton run`: everything put together, until a signal.
mod asynchronous;
mod changes;
mod file;
pub mod front_door;
pub mod functions;
pub mod outlets;
pub mod parts;
mod plans;
pub mod running;
pub mod signals;
mod surroundings;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use pelton_config::Configuration;
use pelton_engine::Shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::file::ConfigurationFile;
use self::running::Running;
use self::signals::{Hangup, Signals};

/// Runs until SIGTERM or SIGINT, then stops in order. A second signal exits at once. SIGHUP and a change of the file
/// take the file over while everything that didn't change runs on.
pub async fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let (mut signals, mut hangup) = (Signals::new()?, Hangup::new()?);
    let mut changes = ConfigurationFile::watch(file).context("changes of the configuration would go unnoticed")?;
    let configuration = load(file)?;
    let listener = TcpListener::bind(configuration.listen).await.with_context(|| {
        format!("can't listen on {}: give `Listen` another address, or stop what listens there", configuration.listen)
    })?;
    let mut running = Running::start(configuration, file).await?;
    let stop_listening = CancellationToken::new();
    let mut serving = JoinSet::new();
    let mappings = running.configuration().mappings.len();
    tracing::info!(listen = %listener.local_addr()?, mappings, "pelton runs");
    let lambda = running.take_api();
    if !listener.local_addr()?.ip().is_loopback() && running.configuration().allow_unauthenticated {
        tracing::warn!(
            "AllowUnauthenticated: whoever can reach this address can invoke functions, and make, change and delete mappings"
        );
    }
    serving.spawn(pelton_api::serve(listener, running.status(), lambda, stop_listening.clone()));

    let signal = loop {
        let reason = tokio::select! {
            signal = signals.next() => break signal,
            () = hangup.next() => "SIGHUP",
            () = changes.changed() => "the file has changed",
            changes = running.next_changes() => {
                tokio::select! {
                    signal = signals.next() => break signal,
                    () = running.carry_out(&changes) => {}
                }
                continue;
            }
        };
        tracing::info!(reason, file = %file.display(), "reading the configuration again");
        tokio::select! {
            signal = signals.next() => break signal,
            () = running.reload(file) => {}
        }
    };
    let grace = running.configuration().grace_period;
    tracing::info!(signal, ?grace, "stopping: waiting for invocations in flight");
    let stop = async {
        let stop_serving = async {
            stop_listening.cancel();
            while serving.join_next().await.is_some() {}
        };
        running.shutdown(stop_serving).await
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
    let is_alone = configuration.listen.ip().is_loopback();
    if !is_alone && configuration.authentication.is_none() && !configuration.allow_unauthenticated {
        anyhow::bail!(
            "others can reach `Listen` {}, and would be served Lambda's API without a question: `pelton check -c {}` says \
             what to do",
            configuration.listen,
            file.display()
        );
    }
    if configuration.mappings.is_empty() && configuration.functions.is_empty() && !loaded.problems.is_empty() {
        anyhow::bail!("{} holds nothing that could run: `pelton check -c {0}` shows what is wrong", file.display());
    }
    Ok(configuration)
}
