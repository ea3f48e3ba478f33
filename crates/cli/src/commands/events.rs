//! `pelton events`: the asynchronous events that wait for their function.
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use pelton_core::{AsyncEvent, EventId, EventQueue, EventSummary, FunctionName};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::checkpoint::load;
use crate::aws::Aws;
use crate::columns::columns;
use crate::lasting::lasting;
use crate::output;
use crate::state::OpenState;

/// There is no such event, or it is being worked on.
const NONE: u8 = 1;
/// Exit status where the file, the store, or what was asked for can't be used.
pub const UNUSABLE: u8 = 2;
const HEADINGS: [&str; 6] = ["REQUEST ID", "FUNCTION", "AGE", "ATTEMPTS", "NEXT ATTEMPT", "STATE"];
const NUMBERS: [usize; 2] = [2, 3];
/// Events that are read at a time.
const PAGE: usize = 1_000;

const LIST_HELP: &str = "\
Shows events that were accepted and have not come to their end, the oldest
first. ATTEMPTS counts failed invocations; throttles and errors of the service
are none. `pelton run` may work with the file meanwhile.

Exit status: 0 shown, 2 if the file or the store can't be used.";

const CANCEL_HELP: &str = "\
A cancelled event is gone: neither its function nor a destination is told. One
that is being worked on can't be cancelled.

Exit status: 0 cancelled, 1 if an event is gone or being worked on, 2 if the
file or the store can't be used.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Show asynchronous events that wait
    #[command(after_long_help = LIST_HELP)]
    List(ListArguments),
    /// Show one of them with its payload
    Show(OneArguments),
    /// Forget events that wait
    #[command(after_long_help = CANCEL_HELP)]
    Cancel(CancelArguments),
}

/// Which events.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "pelton.yaml")]
    config: PathBuf,
    /// Those of this function only: a name, or an ARN with its qualifier
    #[arg(long, value_name = "NAME|ARN")]
    function: Option<FunctionName>,
    /// Show at most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One event.
#[derive(Debug, Args)]
pub struct OneArguments {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "pelton.yaml")]
    config: PathBuf,
    /// Its request id
    id: Uuid,
}

/// Some events.
#[derive(Debug, Args)]
pub struct CancelArguments {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "pelton.yaml")]
    config: PathBuf,
    /// Their request ids
    #[arg(required = true)]
    ids: Vec<Uuid>,
}

/// Carries one of the commands out.
pub async fn events(command: EventsCommand) -> anyhow::Result<ExitCode> {
    let config = match &command {
        EventsCommand::List(arguments) => &arguments.config,
        EventsCommand::Show(arguments) => &arguments.config,
        EventsCommand::Cancel(arguments) => &arguments.config,
    };
    let configuration = load(config)?;
    if let Some(queue) = &configuration.async_queue {
        anyhow::bail!(
            "the events are in AsyncQueue {queue}, which shows and forgets messages only to whoever receives them"
        );
    }
    let aws = Aws::new(&configuration).await?;
    let state = OpenState::open_beside(&configuration, &aws).await?;
    let queue = state.event_queue().map_err(|reason| anyhow::anyhow!(reason))?;
    let status = match command {
        EventsCommand::List(arguments) => list(&queue, &arguments).await,
        EventsCommand::Show(arguments) => show(&queue, arguments.id).await,
        EventsCommand::Cancel(arguments) => cancel(&queue, &arguments.ids).await,
    };
    state.close().await;
    status
}

/// An event, as it is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct View<'e> {
    request_id: EventId,
    function_arn: &'e str,
    accepted_at: Timestamp,
    attempts: u32,
    due_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_running: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_header: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_context: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'e RawValue>,
}

async fn list(queue: &Arc<dyn EventQueue>, arguments: &ListArguments) -> anyhow::Result<ExitCode> {
    let mut events: Vec<EventSummary> = Vec::new();
    let mut after = None;
    while events.len() < arguments.limit {
        // A name stands for all of its qualifiers, which the queue doesn't know.
        let page = queue.events(None, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.accepted_at, last.id));
        events.extend(page.into_iter().filter(|event| is_wanted(event, arguments.function.as_ref())));
    }
    events.truncate(arguments.limit);
    let text = if arguments.json {
        serde_json::to_string_pretty(&events.iter().map(summary).collect::<Vec<_>>())? + "\n"
    } else if events.is_empty() {
        "no events wait\n".to_owned()
    } else {
        let now = Timestamp::now();
        let mut lines = vec![HEADINGS.map(String::from).to_vec()];
        lines.extend(events.iter().map(|event| line(event, now)));
        columns(&lines, &NUMBERS)
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn is_wanted(event: &EventSummary, function: Option<&FunctionName>) -> bool {
    let Some(function) = function else { return true };
    let is_qualifier = |qualifier| event.function.qualifier() == Some(qualifier);
    let is_arn = function.as_str().starts_with("arn:");
    let is_the_same = if is_arn {
        event.function.as_str().trim_end_matches(":$LATEST") == function.as_str().trim_end_matches(":$LATEST")
    } else {
        event.function.name() == function.name()
    };
    is_the_same && function.qualifier().is_none_or(is_qualifier)
}

fn summary(event: &EventSummary) -> View<'_> {
    View {
        request_id: event.id,
        function_arn: event.function.as_str(),
        accepted_at: event.accepted_at,
        attempts: event.attempts,
        due_at: event.due_at,
        is_running: Some(event.is_taken),
        trace_header: None,
        client_context: None,
        payload: None,
    }
}

fn line(event: &EventSummary, now: Timestamp) -> Vec<String> {
    let since = |from: Timestamp, to: Timestamp| lasting(to.duration_since(from).try_into().unwrap_or_default());
    let next = if event.due_at <= now { "now".to_owned() } else { format!("in {}", since(now, event.due_at)) };
    let (next, state) = if event.is_taken { ("-".to_owned(), "running") } else { (next, "waiting") };
    vec![
        event.id.to_string(),
        super::status::resource(event.function.as_str()),
        since(event.accepted_at, now),
        event.attempts.to_string(),
        next,
        state.to_owned(),
    ]
}

async fn show(queue: &Arc<dyn EventQueue>, id: Uuid) -> anyhow::Result<ExitCode> {
    let Some(event) = queue.event(EventId(id)).await? else {
        output::print_error(&format!("no event {id} waits: it has come to its end, or was never accepted"));
        return Ok(ExitCode::from(NONE));
    };
    output::print(&(serde_json::to_string_pretty(&whole(&event)?)? + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn whole(event: &AsyncEvent) -> anyhow::Result<View<'_>> {
    Ok(View {
        request_id: event.id,
        function_arn: event.function.as_str(),
        accepted_at: event.accepted_at,
        attempts: event.attempts,
        due_at: event.due_at,
        is_running: None,
        trace_header: Some(event.trace.as_str()),
        client_context: event.client_context.as_deref(),
        payload: Some(serde_json::from_slice(&event.payload)?),
    })
}

async fn cancel(queue: &Arc<dyn EventQueue>, ids: &[Uuid]) -> anyhow::Result<ExitCode> {
    let mut status = ExitCode::SUCCESS;
    for id in ids {
        if queue.cancel(EventId(*id)).await? {
            output::print(&format!("{id} is cancelled\n"))?;
        } else {
            output::print_error(&format!("{id} can't be cancelled: it is gone, or is being worked on"));
            status = ExitCode::from(NONE);
        }
    }
    Ok(status)
}
