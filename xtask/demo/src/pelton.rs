//! The real binary, as a child process.
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::resources::Account;
use crate::{text, variable};

const START_LIMIT: Duration = Duration::from_secs(15);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The counts of one mapping that the demo shows.
#[derive(Debug, Clone)]
pub struct Status {
    pub polled: u64,
    pub deleted: u64,
    pub failed: u64,
    pub dropped: u64,
    pub in_flight: u64,
    pub reported_successes: u64,
}

/// A running Pelton.
pub struct Pelton {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Pelton {
    /// Starts it on one of the examples, with more variables of its own, and waits until it polls.
    pub async fn start(account: &Account, example: &str, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let file = configuration(example)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let log = std::env::temp_dir().join(format!("{}-{example}.log", account.prefix));
        let child = Command::new(variable("PELTON_DEMO_BINARY")?)
            .arg("run")
            .arg("-c")
            .arg(&file)
            .env("AWS_REGION", &account.region)
            .envs(variables.iter().copied())
            .env("DEMO_PREFIX", &account.prefix)
            .env("PELTON_LISTEN", &listen)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("can't start pelton")?;
        let mut pelton = Self { child, url: format!("http://{listen}"), log };
        let started = Instant::now();
        while pelton.get("/readyz").await.is_err() {
            if let Some(status) = pelton.child.try_wait()? {
                bail!("pelton ended: {status}; its log:\n{}", pelton.end_of_log());
            }
            ensure!(started.elapsed() < START_LIMIT, "pelton is not ready; its log:\n{}", pelton.end_of_log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("    pelton run -c deploy/examples/{example}/pelton.yaml, ready after {:.1?}", started.elapsed());
        Ok(pelton)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Of the mapping on the orders queue, and of the one on the payments queue.
    pub async fn status(&self) -> anyhow::Result<[Status; 2]> {
        let all = self.mappings().await?;
        let of = |queue: &str| {
            let mappings = all.iter();
            let mut mappings = mappings.filter(|mapping| text(mapping, "EventSourceArn").ends_with(queue));
            let mapping = mappings.next().with_context(|| format!("pelton shows no mapping on {queue}"))?;
            let count = |key: &str| mapping[key].as_u64().unwrap_or_default();
            anyhow::Ok(Status {
                polled: count("Polled"),
                deleted: count("Deleted"),
                failed: count("Failed"),
                dropped: count("Dropped"),
                in_flight: count("InFlight"),
                reported_successes: count("ReportedSuccesses"),
            })
        };
        Ok([of("-orders")?, of("-payments")?])
    }

    /// What it shows of its mappings.
    pub async fn mappings(&self) -> anyhow::Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.get("/status").await?)?)
    }

    /// The end of its log, in short.
    fn end_of_log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(15)..];
        end.iter().map(|line| in_short(line)).collect::<Vec<_>>().join("\n")
    }

    /// SIGTERM, and an exit status of 0.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        println!("\n==> stopping pelton");
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.context("pelton did not stop")??;
        ensure!(status.success(), "pelton ended with {status}");
        println!("    exit status 0");
        Ok(())
    }

    /// Shows the end of its log, and where all of it is.
    pub fn show_log(&self) {
        println!("    its log: {}; the end of it:\n{}", self.log.display(), self.end_of_log());
    }

    /// A log of a demo that went well serves nobody.
    pub fn remove_log(&self) {
        let _ = std::fs::remove_file(&self.log);
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.url);
        let get = move || anyhow::Ok(ureq::get(&url).call()?.body_mut().read_to_string()?);
        tokio::task::spawn_blocking(get).await?
    }
}

/// The configuration of an example.
pub fn configuration(example: &str) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(variable("PELTON_DEMO_EXAMPLES")?).join(example).join("pelton.yaml"))
}

/// A line of the log, as far as it tells what went wrong.
fn in_short(line: &str) -> String {
    let Ok(entry) = serde_json::from_str::<Value>(line) else { return format!("      {line}") };
    let more = ["error", "reason"].map(|key| text(&entry, key)).join("");
    format!("      {:<5} {} {more}", text(&entry, "level"), text(&entry, "message"))
}
