//! Replays one failure record: finds mapping and function, reads, selects, invokes.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use pelton_config::Configuration;
use pelton_core::{Clock as _, FunctionName, Listing, Mapping, MappingId, Source, SystemClock};
use pelton_pattern::{Decoding, Filters};
use tokio_util::sync::CancellationToken;

use super::deliver::{Answers, deliver};
use super::fetch::fetch;
use super::parse::{Failure, Given, Range};
use super::place::{before, stream_of};
use super::select::{Batch, as_it_is, batches, lines, mapping_of, select};
use crate::aws::Aws;
use crate::commands::run::functions;
use crate::commands::run::outlets::Outlets;
use crate::commands::run::parts::Parts;
use crate::output;

/// How long the processes of a function may take to end.
const FUNCTION_GRACE: Duration = Duration::from_secs(2);
/// The account that local functions are told whose mappings are gone.
const HOME_ACCOUNT: &str = "000000000000";

/// Whether the function is invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Invoke,
    /// What it would be given is printed.
    DryRun,
}

/// What the command line asks for.
#[derive(Debug)]
pub struct Settings {
    /// The function, if not the mapping's.
    pub function: Option<FunctionName>,
    /// Records of an invocation, if not the mapping's.
    pub batch_size: Option<usize>,
    /// Whether it is invoked.
    pub mode: Mode,
    /// Whether records are sent that aren't exactly those that failed.
    pub anyway: bool,
}

/// What was done.
#[derive(Debug)]
pub enum Done {
    /// The function has processed it.
    Invoked {
        /// Which.
        function: FunctionName,
        /// Records; zero for an event that isn't made of records.
        records: usize,
        /// Invocations.
        invocations: usize,
    },
    /// These lines are to be shown.
    Shown(String),
}

impl Done {
    /// What is printed.
    pub fn text(self, label: &str) -> String {
        match self {
            Self::Invoked { function, records, invocations } => {
                let plural = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
                let (records, invocations) = (plural(records, "record"), plural(invocations, "invocation"));
                format!("{label}: {records} processed by {function} in {invocations}\n")
            }
            Self::Shown(lines) => lines,
        }
    }
}

/// Replays one record after another with the same clients and processes.
pub struct Replayer {
    configuration: Configuration,
    aws: Aws,
    parts: Parts,
    settings: Settings,
    started: BTreeSet<String>,
    /// Kills all local processes.
    stop_functions: CancellationToken,
}

impl Replayer {
    /// Nothing is started or called before it is needed.
    pub fn new(configuration: Configuration, aws: Aws, settings: Settings) -> Self {
        // No mapping that is replayed has destinations, so nothing goes through the front door.
        let outlets = Outlets::new(aws.clone(), HOME_ACCOUNT.to_owned(), Arc::default());
        let parts = Parts::new(Arc::new(outlets), BTreeMap::new(), None);
        let (started, stop_functions) = (BTreeSet::new(), CancellationToken::new());
        Self { configuration, aws, parts, settings, started, stop_functions }
    }

    /// Replays one. An error means that the function has not processed all of it.
    pub async fn replay(&mut self, failure: &Failure) -> anyhow::Result<Done> {
        let known = mapping_of(&self.configuration.mappings, failure).cloned();
        let function = match (&self.settings.function, &known) {
            (Some(function), _) => Some(function.clone()),
            (None, Some(mapping)) => Some(mapping.function.clone()),
            (None, None) => None,
        };
        if function.is_none() && self.settings.mode == Mode::Invoke {
            let source = failure.source.as_ref().map_or_else(String::new, |source| format!("{source} and "));
            anyhow::bail!("the file has no mapping of {source}{}: name a function with --function", failure.function);
        }
        let mapping = stand_in(failure, known.as_ref(), function.as_ref())?;
        self.start(&mapping.function).await?;
        let plan = self.parts.plan(&mapping).await?;
        let batches = match &failure.given {
            Given::Event(event) => vec![as_it_is(event)],
            Given::Range(range) => self.read(&*plan.source, range, known.as_ref()).await?,
        };
        if self.settings.mode == Mode::DryRun {
            return Ok(Done::Shown(lines(&batches)));
        }
        let answers = match &known {
            Some(mapping) if mapping.report_batch_item_failures => Answers::ReportFailures,
            Some(_) => Answers::AreIgnored,
            None => Answers::MayReportFailures,
        };
        let invocations = deliver(&*plan.invoker, &mapping.function, &batches, answers).await?;
        let records = batches.iter().map(|batch| batch.records.len()).sum();
        Ok(Done::Invoked { function: mapping.function, records, invocations })
    }

    async fn read(&self, source: &dyn Source, range: &Range, mapping: Option<&Mapping>) -> anyhow::Result<Vec<Batch>> {
        let at = before(&self.aws, range).await;
        let found = fetch(source, range, at, kept).await?;
        let (records, mismatch) = select(range, found.records, mapping);
        if let Some(mismatch) = mismatch {
            let text = format!("{mismatch}{}", kept(&found.listing));
            if !self.settings.anyway {
                anyhow::bail!("{text}: nothing was sent; --anyway sends the {} that there are", records.len());
            }
            output::print_error(&format!("{text}: the {} that there are are sent", records.len()));
        }
        if records.is_empty() {
            anyhow::bail!("none of the records passes the mapping's filters any more");
        }
        if mapping.and_then(|it| it.stream.as_ref()).is_some_and(|stream| !stream.tumbling_window.is_zero()) {
            output::print_error("the mapping has a tumbling window: what is replayed has no window and no state");
        }
        let size = self.settings.batch_size.or(mapping.map(|mapping| mapping.batch_size)).unwrap_or(records.len());
        Ok(batches(records, size))
    }

    /// Starts the function's processes, if it is a local one and they don't run yet.
    async fn start(&mut self, name: &FunctionName) -> anyhow::Result<()> {
        let Some(function) = self.configuration.local_function(name) else { return Ok(()) };
        if self.settings.mode == Mode::DryRun || !self.started.insert(function.name.clone()) {
            return Ok(());
        }
        let region = self.aws.region();
        let home = (region, self.parts.outlets().account());
        let started = functions::start(&[function], &self.configuration, home, &self.stop_functions).await?;
        self.parts.add(started);
        Ok(())
    }

    /// Ends the functions' processes.
    pub async fn shutdown(&self) {
        let functions = self.parts.functions().values();
        join_all(functions.map(|function| function.process.shutdown(FUNCTION_GRACE))).await;
        self.stop_functions.cancel();
    }
}

/// The mapping that source and function are made by: the one in the file, or one with the defaults; with the function
/// that is to be invoked, and without what only a run needs.
fn stand_in(failure: &Failure, known: Option<&Mapping>, function: Option<&FunctionName>) -> anyhow::Result<Mapping> {
    let event_source = failure.source.clone().unwrap_or_else(|| failure.function.clone());
    let mut mapping = known.cloned().unwrap_or(Mapping {
        id: MappingId::of(&event_source.to_string(), &failure.function.to_string()),
        event_source: event_source.clone(),
        function: failure.function.to_string().parse().context("requestContext.functionArn")?,
        function_arn: failure.function.clone(),
        enabled: true,
        batch_size: 1,
        batching_window: Duration::ZERO,
        filters: Filters::compile(&[""; 0], Decoding::AsGiven)
            .map_err(|(_, error)| anyhow::anyhow!("no filter can't be wrong: {error}"))?,
        report_batch_item_failures: false,
        maximum_concurrency: None,
        on_success: None,
        on_failure: None,
        overflow_bucket: None,
        maximum_retry_attempts: None,
        visibility_heartbeat: false,
        tags: BTreeMap::new(),
        stream: None,
    });
    (mapping.on_success, mapping.on_failure) = (None, None);
    mapping.event_source = stream_of(&event_source);
    if let Some(function) = function {
        mapping.function_arn = function.arn(&failure.function)?;
        mapping.function = function.clone();
    }
    Ok(mapping)
}

/// Since when the stream has records.
fn kept(listing: &Listing) -> String {
    let Some(retention) = listing.retention else { return String::new() };
    let hours = retention.as_secs() / 3600;
    match SystemClock.now().checked_sub(retention) {
        Ok(since) => format!("; the stream keeps them for {hours} hours, so since {since:.0}"),
        Err(_) => format!("; the stream keeps them for {hours} hours"),
    }
}
