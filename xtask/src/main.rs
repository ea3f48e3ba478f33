//! The commands a person types: `cargo xtask demo`, `cargo xtask test`, `cargo xtask backends`.
#![allow(clippy::print_stdout, reason = "a command line program prints")]

mod backends;
mod demo;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Work on Pelton.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See Pelton at work: real queues, a real function, real execution records.
    ///
    /// Uses AWS_ENDPOINT_URL if it is set; else LocalStack by docker compose if a Docker engine answers; else MiniStack
    /// in a private virtual environment, which needs only python3 from 3.10 on. Leaves nothing running.
    Demo,
    /// Check everything: format, lints, dependency rules, and all tests on real backends.
    ///
    /// Installs what the tests need into target/backends, pinned. Ends with the status of the first step that fails.
    Test,
    /// Start the backends that tests need, print how to use them, and stop them on Ctrl-C.
    Backends,
}

fn main() -> ExitCode {
    match carry_out() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\ncargo xtask: {error:#}");
            ExitCode::FAILURE
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
        }
    })
}
