//! `pelton checkpoint list`.
use std::process::ExitCode;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use pelton_core::{Mapping, Position, ShardState, StartingPosition};
use serde::Serialize;

use super::look::{Look, Rest, kept};
use super::{ListArguments, choose, load};
use crate::aws::Aws;
use crate::columns::columns;
use crate::lasting::lasting;
use crate::output;
use crate::sources::Sources;
use crate::state::OpenState;

/// Shards that are asked for their lag at the same time.
const ASKED_AT_ONCE: usize = 16;
const HEADINGS: [&str; 5] = ["SHARD", "POSITION", "ARRIVED", "LAG", "OWNER"];
const LAG: usize = 3;

/// One mapping.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct View {
    #[serde(rename = "UUID")]
    uuid: String,
    /// `None`: the file has no such mapping.
    #[serde(flatten)]
    mapping: Option<MappingView>,
    /// Why the stream can't be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    shards: Vec<ShardView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MappingView {
    event_source_arn: String,
    function_arn: String,
    enabled: bool,
    #[serde(skip)]
    function: String,
    #[serde(skip)]
    starting: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShardView {
    shard_id: String,
    position: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrived_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_milliseconds: Option<u64>,
    /// The position is no longer in the stream: what came behind it is lost up to the oldest record there is.
    trimmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

/// Prints what is kept of every mapping, or of those that are asked for.
pub async fn list(arguments: ListArguments) -> anyhow::Result<ExitCode> {
    let configuration = load(&arguments.config)?;
    let mappings = choose::streams(&configuration.mappings, arguments.mapping.as_deref(), &arguments.config)?;
    let aws = Aws::new(&configuration).await?;
    let state = OpenState::open_beside(&configuration, &aws).await?;
    let (store, mut sources) = (state.store(), Sources::new(aws));
    let mut views = Vec::new();
    for mapping in &mappings {
        let look = Look::at(mapping, store.clone(), &mut sources).await?;
        views.push(view(mapping, &look).await?);
    }
    if arguments.mapping.is_none() {
        let is_shown = |id| configuration.mappings.iter().any(|mapping| mapping.id == id);
        for id in store.mappings().await?.into_iter().filter(|id| !is_shown(*id)) {
            let shards = kept(&*store, id).await?.into_iter().map(|shard| ShardView::of(shard, None)).collect();
            views.push(View { uuid: id.to_string(), mapping: None, problem: None, shards });
        }
    }
    state.close().await;
    output::print(&if arguments.json {
        serde_json::to_string_pretty(&views)? + "\n"
    } else {
        views.iter().map(text).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn view(mapping: &Mapping, look: &Look) -> anyhow::Result<View> {
    let shards = look.shards().await?;
    let asked = stream::iter(shards).map(|shard| async {
        let rest = look.rest(&shard.partition, &shard.checkpoint.position).await;
        ShardView::of(shard, rest)
    });
    let starting = match mapping.stream.as_ref().map(|stream| stream.starting_position) {
        Some(StartingPosition::Latest) => "LATEST",
        Some(StartingPosition::AtTimestamp(_)) => "AT_TIMESTAMP",
        Some(StartingPosition::TrimHorizon) | None => "TRIM_HORIZON",
    };
    Ok(View {
        uuid: mapping.id.to_string(),
        mapping: Some(MappingView {
            event_source_arn: mapping.event_source.to_string(),
            function_arn: mapping.function_arn.to_string(),
            enabled: mapping.enabled,
            function: mapping.function.to_string(),
            starting,
        }),
        problem: look.listing.as_ref().err().cloned(),
        shards: asked.buffered(ASKED_AT_ONCE).collect().await,
    })
}

impl ShardView {
    fn of(shard: ShardState, rest: Option<Rest>) -> Self {
        let millis = |lag: Duration| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        Self {
            shard_id: shard.partition.0,
            // There is no record at a place that is none of a record.
            arrived_at: shard.checkpoint.arrived_at.filter(|_| matches!(shard.checkpoint.position, Position::After(_))),
            position: shard.checkpoint.position.to_string(),
            lag_milliseconds: rest.and_then(|rest| rest.lag).map(millis),
            trimmed: rest.is_some_and(|rest| rest.trimmed),
            owner: shard.owner.map(|owner| owner.0),
        }
    }
}

fn text(view: &View) -> String {
    let mut text = match &view.mapping {
        Some(mapping) => {
            let disabled = if mapping.enabled { "" } else { ", disabled" };
            format!("{}  {} → {}{disabled}\n", view.uuid, mapping.event_source_arn, mapping.function)
        }
        None => format!("{}  a mapping that the file doesn't have\n", view.uuid),
    };
    if let Some(problem) = &view.problem {
        text += &format!("the stream can't be asked: {problem}\n");
    }
    if let (true, Some(mapping)) = (view.shards.is_empty(), &view.mapping) {
        return text + &format!("no checkpoint yet: it begins at its StartingPosition {}\n", mapping.starting);
    }
    let mut lines = vec![HEADINGS.map(String::from).to_vec()];
    lines.extend(view.shards.iter().map(line));
    text + &columns(&lines, &[LAG])
}

fn line(shard: &ShardView) -> Vec<String> {
    let dash = || "-".to_owned();
    let lag = shard.lag_milliseconds.map_or_else(dash, |millis| lasting(Duration::from_millis(millis)));
    vec![
        shard.shard_id.clone(),
        shard.position.clone(),
        shard.arrived_at.map_or_else(dash, |at| format!("{at:.3}")),
        if shard.trimmed { format!("{lag}, trimmed") } else { lag },
        shard.owner.clone().unwrap_or_else(dash),
    ]
}

#[cfg(test)]
mod tests;
