//! `pelton replay`: what failed, once more.
mod deliver;
mod fetch;
mod parse;
pub mod place;
mod queue;
mod replayer;
mod select;

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use pelton_config::Configuration;
use pelton_core::{Arn, FunctionName};
use pelton_source_sqs::SqsSource;
use tokio_util::sync::CancellationToken;

use self::parse::Failure;
use self::queue::{AfterSuccess, Tally};
use self::replayer::{Mode, Replayer, Settings};
use super::run::signals::Signals;
use crate::aws::Aws;
use crate::{logging, output};

/// Exit status where what is to be replayed, or the file, can't be used.
pub const UNUSABLE: u8 = 2;
const FAILED: u8 = 1;
const INTERRUPTED: u8 = 130;

/// What follows the options in the long help.
pub const HELP: &str = "\
Examples:
  pelton replay --from-queue arn:aws:sqs:us-east-1:000000000000:failed --dry-run
  pelton replay --from-queue arn:aws:sqs:us-east-1:000000000000:failed --delete
  pelton replay --record failure.json --function work-fixed
  aws s3 cp s3://failures/aws/lambda/… - | pelton replay --record -

A failure record of a stream holds a shard and a range: exactly those records
are read once more, and sent to the function of the mapping as the mapping
would, in batches of BatchSize and through its filters. A record that holds
its event, of a queue's messages or from a bucket, is sent as it is. Envelopes
of SNS, EventBridge and SQS are opened; a file may hold several records.

If not exactly the records that failed can be sent, because some are older
than the stream keeps them or the mapping's filters have changed, nothing is
sent; --anyway sends those that there are.

--from-queue replays every message of a queue once, until none is left. What
is not deleted can be received again at once; its receive count has grown.

Exit status: 0 all replayed, 1 something failed, 2 a record, the queue's ARN
or the configuration file can't be used, 130 interrupted.";

/// The command line of `pelton replay`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("failed").required(true).args(["record", "from_queue"])))]
pub struct ReplayArguments {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "pelton.yaml")]
    config: PathBuf,
    /// Failure records in a file; - reads standard input
    #[arg(long, value_name = "FILE|-")]
    record: Option<PathBuf>,
    /// Failure records in a queue
    #[arg(long, value_name = "ARN")]
    from_queue: Option<Arn>,
    /// Print the records that would be sent, one a line, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Send them to this function, one of the file or of Lambda, instead of the mapping's
    #[arg(long, value_name = "NAME")]
    function: Option<FunctionName>,
    /// Delete each message of the queue that was replayed
    #[arg(long, conflicts_with_all = ["record", "dry_run"])]
    delete: bool,
    /// Records of one invocation, 1 to 10,000, of those that are read from a stream; the mapping's BatchSize by default
    #[arg(long, value_name = "N", value_parser = batch_size)]
    batch_size: Option<NonZeroUsize>,
    /// Send what there is, also where it isn't exactly what failed
    #[arg(long)]
    anyway: bool,
}

fn batch_size(text: &str) -> Result<NonZeroUsize, String> {
    let size: Option<NonZeroUsize> = text.parse().ok();
    size.filter(|size| size.get() <= 10_000).ok_or_else(|| "a number from 1 to 10,000".to_owned())
}

/// Replays until everything was tried, or a signal comes: the invocation under way is waited for, a second signal exits
/// at once. An error means that nothing was tried.
pub async fn replay(arguments: ReplayArguments) -> anyhow::Result<ExitCode> {
    logging::start();
    let failures = match &arguments.record {
        Some(file) => parse::parse(&read(file)?).with_context(|| format!("{} can't be replayed", name_of(file)))?,
        None => Vec::new(),
    };
    let configuration = load(&arguments.config)?;
    let aws = Aws::new(&configuration).await?;
    let settings = Settings {
        function: arguments.function,
        batch_size: arguments.batch_size.map(NonZeroUsize::get),
        mode: if arguments.dry_run { Mode::DryRun } else { Mode::Invoke },
        anyway: arguments.anyway,
    };
    let queue = arguments.from_queue.map(|arn| queue_at(&aws, arn)).transpose()?;
    let mut replayer = Replayer::new(configuration, aws, settings);
    let after = if arguments.delete { AfterSuccess::Delete } else { AfterSuccess::Keep };

    let (mut signals, stop) = (Signals::new()?, CancellationToken::new());
    let work = async {
        let tally = match &queue {
            Some(queue) => messages(&mut replayer, queue, after, &stop).await,
            None => Ok(records(&mut replayer, failures, &stop).await),
        };
        replayer.shutdown().await;
        tally
    };
    tokio::pin!(work);
    let tally = tokio::select! {
        tally = &mut work => tally?,
        _ = signals.next() => {
            stop.cancel();
            tokio::select! {
                tally = &mut work => tally?,
                _ = signals.next() => return Ok(ExitCode::from(INTERRUPTED)),
            }
        }
    };
    if !arguments.dry_run {
        output::print(&format!("{} replayed, {} failed\n", tally.replayed, tally.failed))?;
    }
    Ok(match (stop.is_cancelled(), tally.failed) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::from(FAILED),
    })
}

async fn records(replayer: &mut Replayer, failures: Vec<Failure>, stop: &CancellationToken) -> Tally {
    let mut tally = Tally::default();
    for failure in failures {
        if stop.is_cancelled() {
            break;
        }
        let worked = attempt(replayer, "", &failure).await;
        *(if worked { &mut tally.replayed } else { &mut tally.failed }) += 1;
    }
    tally
}

async fn messages(
    replayer: &mut Replayer,
    queue: &SqsSource,
    after: AfterSuccess,
    stop: &CancellationToken,
) -> anyhow::Result<Tally> {
    let replayed = queue::replay_all(queue, after, stop, async |message| {
        let label = format!("message {}: ", message.id);
        match parse::parse_body(&message.body) {
            Ok(failure) => attempt(replayer, &label, &failure).await,
            Err(error) => {
                output::print_error(&format!("{label}{error}"));
                false
            }
        }
    });
    replayed.await.context("the queue can't be read")
}

/// Replays one, and says how it went.
async fn attempt(replayer: &mut Replayer, label: &str, failure: &Failure) -> bool {
    let label = format!("{label}{}", failure.describe());
    match replayer.replay(failure).await {
        Ok(done) => match output::print(&done.text(&label)) {
            Ok(()) => true,
            Err(error) => {
                output::print_error(&format!("{error:#}"));
                false
            }
        },
        Err(error) => {
            output::print_error(&format!("{label}: {error:#}"));
            false
        }
    }
}

fn queue_at(aws: &Aws, arn: Arn) -> anyhow::Result<SqsSource> {
    if arn.service() != "sqs" {
        anyhow::bail!("--from-queue: '{arn}' is no queue: write arn:aws:sqs:REGION:ACCOUNT:NAME");
    }
    let client = pelton_source_sqs::Client::new(&aws.sqs_config(arn.region()));
    Ok(SqsSource::new(client, arn, std::time::Duration::ZERO, aws.idle_wait()))
}

fn load(file: &Path) -> anyhow::Result<Configuration> {
    let loaded = pelton_config::load(file, &|name| std::env::var(name).ok())?;
    if !loaded.problems.is_empty() {
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        anyhow::bail!("nothing was replayed, since the file has problems\n\n{}", problems.join("\n\n"));
    }
    Ok(loaded.configuration)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("can't read {}", name_of(file)))?;
    Ok(text)
}

fn name_of(file: &Path) -> String {
    if file == Path::new("-") { "standard input".into() } else { file.display().to_string() }
}
