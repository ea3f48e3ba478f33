//! The `pelton` binary: reads the command line and hands over to one file a command.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory, Parser, Subcommand};

mod aws;
mod columns;
mod commands;
mod lasting;
mod logging;
mod output;
mod sources;
mod state;

use commands::checkpoint::CheckpointCommand;
use commands::events::EventsCommand;
use commands::invoke::InvokeArguments;
use commands::replay::ReplayArguments;

const EXAMPLE: &str = "\
Example:
  # pelton.yaml: messages of the queue `orders` go to the function `work`
  Endpoint: http://localhost:4566
  EventSourceMappings:
    - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
      FunctionName: work

  pelton check       says what is wrong with the file or missing at the endpoint
  pelton run         polls, invokes, reports, until SIGTERM or Ctrl-C
  pelton status      shows in another terminal what it is doing
  pelton invoke      calls a function, or queues an event for it
  pelton events      shows and cancels events that wait for their function
  pelton checkpoint  shows and moves the places up to which streams are settled
  pelton replay      sends what failed once more

Credentials, Region and endpoints follow the AWS rules: AWS_PROFILE,
AWS_REGION, AWS_ENDPOINT_URL and so on.";

const RUN_HELP: &str = "\
Mappings and functions with a problem are reported and left out; the others
run. SIGTERM or Ctrl-C stops receiving, waits for invocations in flight
(GracePeriodSeconds, 30 by default) and gives back what was not invoked. A
second signal exits at once. Logs go to stderr; PELTON_LOG=debug shows more.

SIGHUP or a change of the file has it read again: mappings and functions that
changed stop and start, the others run on. A file with a problem is refused as
a whole, and the one before stays in force.

Exit status: 0 after a stop, 1 if it could not start, 130 after a second signal.
Next: `pelton status`, or http://127.0.0.1:9400/metrics";

const CHECK_HELP: &str = "\
Shows every problem at once: file:line:column, the field, its value, what is
wrong in AWS's words, and what would be right. Without --offline it also asks
the endpoint for each queue, function and destination, and looks for the code
of local functions. Nothing is changed.

Exit status: 0 fine, 1 problems, 2 could not check (the file or the endpoint
can't be read).
Next: `pelton run`";

const SCHEMA_HELP: &str = "\
Example:
  pelton schema > pelton.schema.json
and as the first line of pelton.yaml, for editors with the YAML language server:
  # yaml-language-server: $schema=pelton.schema.json";

const STATUS_HELP: &str = "\
Shows state, backlog, messages in flight, rates and last error of every
mapping of a running `pelton run`. The backlog of a stream is the number of
its open shards, and how far the one that is most behind is behind. Below are
the functions that were invoked asynchronously: events that wait and run, the
age of the one that ran last, and since the start events received, retries,
events dropped (given up, reported or not), records delivered to destinations,
and dead letters.

--shards adds a line a shard: the process that works on it, the checkpoint, how
far the last read was behind the newest record, how old the last batch was when
the function got it, records that were read and are not settled yet,
invocations, attempts at the batch that is being retried, open windows.

Exit status: 0 shown, 1 if nothing answers there.";

const FILTER_TEST_HELP: &str = "\
Examples:
  pelton filter test --pattern '{\"kind\": [\"order\"]}' --event '{\"kind\": \"order\"}'
  pelton filter test --source sqs --pattern @pattern.json --event @message.json

The event is matched as given. With --source it is a record of that source as
the function sees it, and its payload is decoded first: `body` of an SQS
message, `data` of a Kinesis record. Several --pattern are alternatives, as in
FilterCriteria.

Exit status: 0 match, 1 no match, 2 invalid pattern or event.";

const TEST_HELP: &str = "\
Example, in pelton.yaml:
  Tests:
    - Name: large orders reach `work`
      EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
      Body: '{\"amount\": 120}'
      MatchedBy: [work]
    - Name: small ones reach nobody
      EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
      Body: '{\"amount\": 20}'
      MatchedBy: []

Instead of Body, Event gives the whole record as the function would see it, as
JSON in a text, and EventFile names a file with it. No request is made.

Exit status: 0 all passed, 1 some failed, 2 the file has problems or no tests.";

const COMPLETIONS_HELP: &str = "\
Examples:
  pelton completions bash > ~/.local/share/bash-completion/completions/pelton
  pelton completions zsh > \"${fpath[1]}/_pelton\"
  pelton completions fish > ~/.config/fish/completions/pelton.fish";

/// Event source mappings that run against any AWS endpoint: SQS, Kinesis and DynamoDB Streams to functions to
/// destinations.
#[derive(Debug, Parser)]
#[command(name = "pelton", version, after_long_help = EXAMPLE, max_term_width = 120)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the mappings of a file until stopped
    #[command(after_long_help = RUN_HELP)]
    Run(ConfigurationFile),
    /// Find everything that is wrong with a file, without running it
    #[command(after_long_help = CHECK_HELP)]
    Check {
        #[command(flatten)]
        file: ConfigurationFile,
        /// Look at the file only: no request to any endpoint, no look at other files
        #[arg(long)]
        offline: bool,
    },
    /// Print the JSON Schema of pelton.yaml, so that editors complete and validate it
    #[command(after_long_help = SCHEMA_HELP)]
    Schema,
    /// Show what a running pelton is doing
    #[command(after_long_help = STATUS_HELP)]
    Status {
        /// Where it listens
        #[arg(default_value = "http://127.0.0.1:9400")]
        url: String,
        /// Keep showing it, until Ctrl-C
        #[arg(long, short)]
        watch: bool,
        /// Show the shards of streams too
        #[arg(long)]
        shards: bool,
    },
    /// Call a function, or queue an event for it
    #[command(after_long_help = commands::invoke::HELP)]
    Invoke(InvokeArguments),
    /// Show, and cancel, events that wait for their function
    #[command(subcommand)]
    Events(EventsCommand),
    /// Show, and move, the places up to which streams are settled
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Send what failed, as failure records tell, once more
    #[command(after_long_help = commands::replay::HELP)]
    Replay(Box<ReplayArguments>),
    /// Try filter patterns
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Carry out the filter tests of a file
    #[command(after_long_help = TEST_HELP)]
    Test(ConfigurationFile),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    #[command(after_long_help = COMPLETIONS_HELP)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum FilterCommand {
    /// Say whether an event matches a pattern, and why
    #[command(after_long_help = FILTER_TEST_HELP)]
    Test {
        /// A pattern as JSON, or @ and a file; may be given several times
        #[arg(long = "pattern", value_name = "JSON|@FILE", required = true)]
        patterns: Vec<String>,
        /// An event as JSON, or @ and a file
        #[arg(long, value_name = "JSON|@FILE")]
        event: String,
        /// Whose record the event is, so that its payload is decoded first
        #[arg(long)]
        source: Option<commands::filter::Source>,
    },
}

#[derive(Debug, Args)]
struct ConfigurationFile {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "pelton.yaml")]
    path: PathBuf,
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let status_of_failure = match command {
        Command::Check { .. } => ExitCode::from(commands::check::COULD_NOT_CHECK),
        Command::Filter(_) => ExitCode::from(commands::filter::UNUSABLE),
        Command::Test(_) => ExitCode::from(commands::test::COULD_NOT_TEST),
        Command::Checkpoint(_) => ExitCode::from(commands::checkpoint::UNUSABLE),
        Command::Replay(_) => ExitCode::from(commands::replay::UNUSABLE),
        Command::Invoke(_) => ExitCode::from(commands::invoke::UNUSABLE),
        Command::Events(_) => ExitCode::from(commands::events::UNUSABLE),
        _ => ExitCode::FAILURE,
    };
    match carry_out(command) {
        Ok(status) => status,
        Err(error) => {
            output::print_error(&format!("{error:#}"));
            status_of_failure
        }
    }
}

fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(file) => {
            logging::start();
            runtime()?.block_on(commands::run::run(&file.path))
        }
        Command::Check { file, offline } => runtime()?.block_on(commands::check::check(&file.path, offline)),
        Command::Schema => commands::schema::schema(),
        Command::Status { url, watch, shards } => commands::status::status(&url, watch, shards),
        Command::Invoke(arguments) => runtime()?.block_on(commands::invoke::invoke(arguments)),
        Command::Events(command) => runtime()?.block_on(commands::events::events(command)),
        Command::Checkpoint(CheckpointCommand::List(arguments)) => {
            runtime()?.block_on(commands::checkpoint::list(arguments))
        }
        Command::Checkpoint(CheckpointCommand::Reset(arguments)) => {
            runtime()?.block_on(commands::checkpoint::reset(arguments))
        }
        Command::Replay(arguments) => runtime()?.block_on(commands::replay::replay(*arguments)),
        Command::Filter(FilterCommand::Test { patterns, event, source }) => {
            commands::filter::test(&patterns, &event, source)
        }
        Command::Test(file) => commands::test::test(&file.path),
        Command::Version => commands::version::version(),
        Command::Completions { shell } => commands::completions::completions(shell, &mut CommandLine::command()),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("can't start the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
