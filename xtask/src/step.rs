//! Running commands: shown, streamed, and ended together with this program.
use std::fmt;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use pelton_testkit::backend::ProcessGroup;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// SIGINT, SIGTERM and SIGHUP.
pub struct Interrupted {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupted {
    /// Takes the signals over: from here on they end what is awaited, and everything that runs is stopped in order.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any of them.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Does something, unless a signal comes first. What is dropped then must stop what it had started.
    pub async fn or<T>(&mut self, what: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            result = work => result,
            () = self.wait() => bail!("{what}: interrupted"),
        }
    }
}

/// A command ended with another status than 0.
#[derive(Debug)]
pub struct Failed {
    name: String,
    status: ExitStatus,
}

impl Failed {
    /// The command's own status, so that a script sees what it would have seen without us; 1 if a signal ended it.
    pub fn exit_code(&self) -> ExitCode {
        let code = self.status.code().and_then(|code| u8::try_from(code).ok());
        code.map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed: {}", self.name, self.status)
    }
}

impl std::error::Error for Failed {}

/// Says what is being done.
pub fn say(text: &str) {
    println!("\n==> {text}");
}

/// Says that a step went well.
pub fn done(started: Instant) {
    println!("    ok, {}", took(started.elapsed()));
}

/// `cargo` with arguments.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments);
    command
}

/// Runs a command to its end and fails if it does.
pub async fn run(name: &str, command: Command, interrupted: &mut Interrupted) -> anyhow::Result<()> {
    run_watching(name, command, interrupted, |_| {}).await
}

/// The same; shows every line of standard output to `watch` as well.
pub async fn run_watching(
    name: &str,
    mut command: Command,
    interrupted: &mut Interrupted,
    mut watch: impl FnMut(&str),
) -> anyhow::Result<()> {
    say(name);
    let started = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = ProcessGroup::spawn(&mut command)
        .with_context(|| format!("{name}: can't start {:?}", command.as_std().get_program()))?;
    let output = process.take_stdout().context("the child has no output")?;
    let to_the_end = async {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            // A test may print anything.
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            watch(&line);
        }
        Ok(process.wait().await?)
    };
    let status = interrupted.or(name, to_the_end).await?;
    if !status.success() {
        return Err(Failed { name: name.to_owned(), status }.into());
    }
    done(started);
    Ok(())
}

/// `1 min 5 s`, `12 s`, `0.4 s`.
pub fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f32()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_times_in_words() {
        let shown = |millis| took(Duration::from_millis(millis));
        assert_eq!([shown(420), shown(12_300), shown(65_000)], ["0.4 s", "12 s", "1 min 5 s"]);
    }
}
