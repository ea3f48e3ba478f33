//! The real binary, as a child process.
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::backend::{Backend, Queue};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// A function that does nothing.
pub const NO_OPERATION: &str = "def handler(event, context):\n    return None\n";

/// The same, noting in `STARTED` that its process is up.
pub const NOTED_NO_OPERATION: &str = "import os
with open(os.environ['STARTED'], 'a') as started:
    started.write('up\\n')

def handler(event, context):
    return None
";

/// What Pelton is to run.
pub struct Setup {
    folder: TempDir,
    port: u16,
    configuration: Value,
}

impl Setup {
    /// One mapping a queue, BatchSize 10, all to one local Python function.
    pub fn new(endpoint: &str, queues: &[Queue], function: &str, concurrency: usize) -> anyhow::Result<Self> {
        let mapping = |queue: &Queue| json!({"EventSourceArn": queue.arn, "FunctionName": "work", "BatchSize": 10});
        let endpoints = json!({});
        Self::of(endpoint, endpoints, queues.iter().map(mapping).collect(), function, concurrency)
    }

    /// Any mappings, all to the function `work`, one local Python function.
    pub fn with_mappings(
        backend: &Backend,
        mappings: Vec<Value>,
        function: &str,
        concurrency: usize,
    ) -> anyhow::Result<Self> {
        let endpoints = json!({"DynamoDB": backend.dynamodb_endpoint});
        Self::of(&backend.endpoint, endpoints, mappings, function, concurrency)
    }

    fn of(
        endpoint: &str,
        endpoints: Value,
        mappings: Vec<Value>,
        function: &str,
        concurrency: usize,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("function.py"), function)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = json!({
            "Endpoint": endpoint,
            "Endpoints": endpoints,
            "Region": "us-east-1",
            "Listen": format!("127.0.0.1:{port}"),
            "Functions": [{
                "FunctionName": "work",
                "Runtime": "python3.x",
                "Handler": "function.handler",
                "CodeUri": ".",
                "Concurrency": concurrency,
                "Environment": {"Variables": {"STARTED": folder.path().join("started.txt")}},
            }],
            "EventSourceMappings": mappings,
        });
        let setup = Self { folder, port, configuration };
        setup.write()?;
        Ok(setup)
    }

    /// Enables or disables all mappings: of a running Pelton by a reload.
    pub fn enable(&mut self, enabled: bool) -> anyhow::Result<()> {
        for mapping in self.configuration["EventSourceMappings"].as_array_mut().into_iter().flatten() {
            mapping["Enabled"] = enabled.into();
        }
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        // JSON is YAML.
        let text = serde_json::to_string_pretty(&self.configuration)?;
        Ok(std::fs::write(self.folder.path().join("pelton.yaml"), text)?)
    }

    /// What the function wrote to `STARTED`.
    pub fn started_file(&self) -> PathBuf {
        self.folder.path().join("started.txt")
    }

    /// Starts it, and doesn't wait for anything.
    pub fn start(&self) -> anyhow::Result<Pelton> {
        let log = self.folder.path().join("pelton.log");
        let child = Command::new(binary()?)
            .arg("run")
            .arg("-c")
            .arg(self.folder.path().join("pelton.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("can't start pelton")?;
        let agent = ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(10))).build();
        Ok(Pelton { child, url: format!("http://127.0.0.1:{}", self.port), agent: agent.into(), log })
    }
}

/// The release build beside this program.
fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("can't find the build folder")?;
    let binary = own.with_file_name("pelton");
    ensure!(binary.exists(), "{} is not built: run `cargo xtask bench`", binary.display());
    Ok(binary)
}

/// A running Pelton.
pub struct Pelton {
    child: Child,
    url: String,
    agent: ureq::Agent,
    log: PathBuf,
}

impl Pelton {
    /// Its process.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("pelton has ended")
    }

    /// Its mappings, as `/status` shows them; none while it doesn't listen yet.
    pub async fn mappings(&mut self) -> anyhow::Result<Vec<Value>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("pelton ended: {status}; the end of its log:\n{}", self.end_of_log());
        }
        let (agent, url) = (self.agent.clone(), format!("{}/status", self.url));
        let get = move || agent.get(&url).call()?.body_mut().read_to_string();
        match tokio::task::spawn_blocking(get).await? {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Waits until it answers.
    pub async fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while tokio::net::TcpStream::connect(self.address()).await.is_err() {
            // Also notices its end.
            self.mappings().await?;
            ensure!(started.elapsed() < START_LIMIT, "it doesn't listen:\n{}", self.end_of_log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Ends it at once, whatever runs.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("pelton can't be ended")
    }

    /// The sum of a count over all mappings.
    pub async fn count(&mut self, name: &str) -> anyhow::Result<usize> {
        let sum: u64 = self.mappings().await?.iter().filter_map(|mapping| mapping[name].as_u64()).sum();
        Ok(usize::try_from(sum)?)
    }

    /// Waits until every mapping polls.
    pub async fn wait_until_enabled(&mut self, count: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let enabled = self.mappings().await?.iter().filter(|mapping| mapping["State"] == "Enabled").count();
            if enabled == count {
                return Ok(());
            }
            ensure!(started.elapsed() < START_LIMIT, "{enabled} of {count} mappings poll:\n{}", self.end_of_log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGTERM, and an exit status of 0.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.context("pelton did not stop")??;
        ensure!(status.success(), "pelton ended with {status}:\n{}", self.end_of_log());
        Ok(())
    }

    /// When it logged a message first.
    pub fn logged(&self, message: &str) -> anyhow::Result<jiff::Timestamp> {
        let log = std::fs::read_to_string(&self.log)?;
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let line =
            lines.find(|line| line["message"] == message).with_context(|| format!("nothing says '{message}'"))?;
        Ok(line["timestamp"].as_str().unwrap_or_default().parse()?)
    }

    fn end_of_log(&self) -> String {
        end(&self.log)
    }
}

fn end(log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
