//! The commands a person types: `cargo xtask demo`, `test`, `backends` and `bench`.
#![allow(clippy::print_stdout, reason = "a command line program prints")]

mod backends;
mod bench;
mod demo;
mod fuzz;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use step::Failed;

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo       the main job, for real, in under a minute after the build
  cargo xtask test       before every commit, and in CI
  cargo xtask backends   then, in another terminal, with the variables it prints:
                         cargo test -p pelton-tests fifo

  AWS_ENDPOINT_URL=http://localhost:4566 cargo xtask demo
                         the same on a backend that runs already";

/// The commands a person types to work on Pelton
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES, max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See Pelton at work: real queues, a real function, real execution records
    ///
    /// Uses AWS_ENDPOINT_URL if it is set; else LocalStack by docker compose if a Docker engine answers; else MiniStack
    /// in a private virtual environment, which needs only python3 from 3.10 on. Leaves nothing running.
    Demo,
    /// Check everything: format, lints, dependency rules, and all tests on real backends
    ///
    /// Installs what the tests need into target/backends, pinned. Ends with the status of the first step that fails.
    Test,
    /// Start the backends that tests need, print how to use them, and stop them on Ctrl-C
    Backends,
    /// Measure the release build beside bare loops and other mappers, and print ratios
    ///
    /// Everything takes about ten minutes after the build, and wants a machine with nothing else to do. docs/benchmarks.md
    /// holds the last full run.
    Bench {
        /// pattern, engine, start, loop, ministack, delay, idle, kinesis, kinesis-ministack, dynamodb, stream-delay,
        /// stream-idle; everything without a name
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Fewer messages, samples and seconds: shows that it works, not how fast
        #[arg(long)]
        quick: bool,
    },
}

fn main() -> ExitCode {
    match carry_out() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\ncargo xtask: {error:#}");
            error.downcast_ref::<Failed>().map_or(ExitCode::FAILURE, Failed::exit_code)
        }
    }
}

fn carry_out() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // From here on Ctrl-C ends the step that runs, not this program: what was started is stopped in any case.
        let mut interrupted = step::Interrupted::new()?;
        match arguments.command {
            Command::Demo => demo::demo(&mut interrupted).await,
            Command::Test => test::test(&mut interrupted).await,
            Command::Backends => backends::backends(&mut interrupted).await,
            Command::Bench { mut names, quick } => {
                names.extend(quick.then(|| "--quick".to_owned()));
                bench::bench(&names, &mut interrupted).await
            }
        }
    })
}
