//! `pelton checkpoint`: how far each shard of a stream is settled, and where reading goes on.
mod choose;
mod list;
mod look;
mod place;
mod reset;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pelton_config::Configuration;

use self::place::Place;

pub use self::list::list;
pub use self::reset::reset;

/// Exit status where the file, the store, or what was asked for can't be used.
pub const UNUSABLE: u8 = 2;
/// Exit status where a process works on the mapping.
const REFUSED: u8 = 1;

const LIST_HELP: &str = "\
Shows, shard by shard, the checkpoint: everything up to this record is settled.
ARRIVED is when that record came into the stream. LAG is how old the oldest
record behind it is, 0 s if there is none; `-` where the stream can't be asked.
OWNER is the process that works on the shard. It may run meanwhile.

Exit status: 0 shown, 2 if the file or the store can't be used.";

const RESET_HELP: &str = "\
Examples:
  pelton checkpoint reset --mapping arn:aws:kinesis:… --to TRIM_HORIZON
  pelton checkpoint reset --mapping 5f0… --to 2026-01-01T00:00:00Z
  pelton checkpoint reset --mapping 5f0… --shard shardId-000000000001 --to 4966…

TRIM_HORIZON is the oldest record there is. LATEST begins with what is put from
now on, and a time with the first record that arrived then or later. Behind a
sequence number, which belongs to one shard, reading goes on. Open tumbling
windows are dropped.

The mapping must not run: set Enabled: false, which a running pelton takes over
by itself, reset, and enable it again. Nothing else has to stop.

Exit status: 0 done, 1 while a process works on the mapping, 2 if the file, the
store or what was asked for can't be used.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum CheckpointCommand {
    /// Show position and lag of every shard
    #[command(after_long_help = LIST_HELP)]
    List(ListArguments),
    /// Have shards of a disabled mapping read on from another place
    #[command(after_long_help = RESET_HELP)]
    Reset(ResetArguments),
}

/// The command line of `pelton checkpoint list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "pelton.yaml")]
    config: PathBuf,
    /// Show this mapping only
    #[arg(long, value_name = "UUID|ARN")]
    mapping: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The command line of `pelton checkpoint reset`.
#[derive(Debug, Args)]
pub struct ResetArguments {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "pelton.yaml")]
    config: PathBuf,
    /// The mapping: its UUID, or its EventSourceArn if no other mapping has the same
    #[arg(long, value_name = "UUID|ARN")]
    mapping: String,
    /// One shard of it; without it, all
    #[arg(long, value_name = "ID")]
    shard: Option<String>,
    /// Where reading goes on: TRIM_HORIZON, LATEST, a time, or behind a sequence number
    #[arg(long, value_name = "PLACE")]
    to: Place,
}

/// Reads a file that an operator's command works by; one with problems is refused.
pub fn load(file: &Path) -> anyhow::Result<Configuration> {
    let loaded = pelton_config::load(file, &|name| std::env::var(name).ok())
        .map_err(|error| anyhow::anyhow!("{error}; -c FILE names another file"))?;
    if !loaded.problems.is_empty() {
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        anyhow::bail!("nothing was done, since the file has problems\n\n{}", problems.join("\n\n"));
    }
    Ok(loaded.configuration)
}
