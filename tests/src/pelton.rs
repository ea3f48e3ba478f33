//! The binary, started as a person starts it.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{Backend, EventSource, Function};

/// The built `pelton`: `PELTON_BIN`, or the one that was built beside this test.
pub fn binary() -> PathBuf {
    let beside = || std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("pelton");
    let binary = std::env::var_os("PELTON_BIN").map_or_else(beside, PathBuf::from);
    assert!(binary.exists(), "{} is not built: run `cargo build`", binary.display());
    binary
}

/// A mapping to a local function, with more fields of its own.
pub fn mapping(source: &(impl EventSource + ?Sized), function: &Function, more: Value) -> Value {
    let mut mapping = json!({ "EventSourceArn": source.arn(), "FunctionName": function.name });
    mapping.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mapping
}

/// A mapping from the oldest record of a stream on.
pub fn stream_mapping(source: &(impl EventSource + ?Sized), function: &Function, more: Value) -> Value {
    let mut mapping = mapping(source, function, json!({ "StartingPosition": "TRIM_HORIZON" }));
    mapping.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mapping
}

/// `State` in a file of a folder, which outlives Pelton.
pub fn state_in(folder: &Path) -> Value {
    json!({ "Sqlite": { "Path": folder.join("pelton.db") } })
}

/// A running `pelton run`. Its log is shown when a test fails.
///
/// Unless the configuration says otherwise, its state is kept in its folder, and so lives as long as this value: also
/// while the process is down.
#[derive(Debug)]
pub struct Pelton {
    child: Child,
    folder: TempDir,
    /// Bytes of the log that are of processes before this one.
    log_before: usize,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

impl Pelton {
    /// Starts it on mappings to one function.
    pub async fn start(backend: &Backend, function: &Function, mappings: Vec<Value>) -> Self {
        Self::run(backend.configuration(&[function], mappings)).await
    }

    /// Starts it on a configuration, to which it adds `Region` and `Listen`, and waits until it listens.
    pub async fn run(configuration: Value) -> Self {
        Self::run_text(&complete(configuration)).await
    }

    /// Starts it on a file with this text, as it is.
    pub async fn run_text(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pelton.yaml"), text).unwrap();
        let mut pelton = Self { child: spawn(folder.path()), folder, log_before: 0, url: String::new() };
        pelton.runs().await;
        pelton
    }

    /// Starts it, and doesn't wait until it runs: it has no URL.
    pub fn begin(configuration: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pelton.yaml"), complete(configuration)).unwrap();
        Self { child: spawn(folder.path()), folder, log_before: 0, url: String::new() }
    }

    /// Starts it where no file may become larger than so many bytes, as on a disk that gets full.
    pub async fn run_with_small_files(configuration: Value, bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pelton.yaml"), complete(configuration)).unwrap();
        // A write beyond the limit fails, instead of ending the process.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" run", bytes / 512);
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(script).arg(binary()).current_dir(folder.path());
        let child = spawn_with(shell, folder.path());
        let mut pelton = Self { child, folder, log_before: 0, url: String::new() };
        pelton.runs().await;
        pelton
    }

    /// Starts it again in its folder, after its end, and doesn't wait until it runs.
    pub fn begin_again(&mut self) {
        assert!(!self.is_alive(), "end it first");
        self.child = spawn(self.folder.path());
    }

    /// Starts it again in its folder, after its end.
    pub async fn start_again(&mut self) {
        assert!(!self.is_alive(), "end it first");
        self.log_before = self.log().len();
        self.child = spawn(self.folder.path());
        self.runs().await;
    }

    /// Ends it in order, and starts it again in its folder.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Ends it in order.
    pub async fn stop(&mut self) {
        self.terminate();
        let status = self.ends(Duration::from_secs(30)).await;
        assert!(status.success(), "{status}");
    }

    async fn runs(&mut self) {
        self.url.clear();
        crate::eventually("pelton runs", || {
            assert_eq!(self.child.try_wait().unwrap(), None, "pelton ended");
            self.url = self.log()[self.log_before..].lines().find_map(listening).unwrap_or_default();
            let runs = !self.url.is_empty() && self.get("/readyz").0 == 200;
            async move { runs }
        })
        .await;
    }

    /// Puts another configuration in the place of its file, at once and as a whole.
    pub fn replace_configuration(&self, configuration: Value) {
        self.replace_file(&complete(configuration));
    }

    /// Puts another text in the place of its file.
    pub fn replace_file(&self, text: &str) {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        std::fs::write(folder.path().join("new"), text).unwrap();
        std::fs::rename(folder.path().join("new"), self.folder.path().join("pelton.yaml")).unwrap();
    }

    /// Writes its file anew, where it is.
    pub fn write_file(&self, text: &str) {
        std::fs::write(self.folder.path().join("pelton.yaml"), text).unwrap();
    }

    /// The value of a metric that has no labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").1;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Waits until this many changed configurations were taken over since the start.
    pub async fn has_reloaded(&self, count: usize) {
        crate::eventually(&format!("{count} reloads"), || async {
            self.metric("pelton_configuration_reloads_total") as usize >= count
        })
        .await;
    }

    /// What it has logged so far, before restarts too.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Status and body of a GET.
    pub fn get(&self, path: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .into();
        match agent.get(format!("{}{path}", self.url)).call() {
            Ok(mut response) => (response.status().as_u16(), response.body_mut().read_to_string().unwrap()),
            Err(error) => (0, error.to_string()),
        }
    }

    /// What `/status` says of a source's mapping.
    pub fn status(&self, source: &(impl EventSource + ?Sized)) -> Value {
        let status: Value = serde_json::from_str(&self.get("/status").1).unwrap();
        let mappings = status.as_array().or_else(|| status["EventSourceMappings"].as_array()).unwrap();
        mappings.iter().find(|mapping| mapping["EventSourceArn"] == source.arn()).unwrap().clone()
    }

    /// `LastProcessingResult` of a source's mapping.
    pub fn result(&self, source: &(impl EventSource + ?Sized)) -> String {
        self.status(source)["LastProcessingResult"].as_str().unwrap().to_owned()
    }

    /// Waits until this process has read so many records of a stream, and settled all that it has read.
    pub async fn has_settled(&self, source: &(impl EventSource + ?Sized), count: u64) {
        // A read is counted a moment before its records show as unsettled: two looks in a row.
        let in_a_row = std::cell::Cell::new(0);
        crate::eventually(&format!("{count} records are settled"), || async {
            let status = self.status(source);
            let is_idle = |shard: &Value| shard["Unsettled"] == 0 && shard["InFlight"] == 0;
            let are_idle = status["Shards"].as_array().is_some_and(|shards| shards.iter().all(is_idle));
            let is_settled = are_idle && status["Polled"].as_u64().unwrap() >= count;
            in_a_row.set(if is_settled { in_a_row.get() + 1 } else { 0 });
            in_a_row.get() >= 2
        })
        .await;
    }

    /// Waits until a mapping's state is `Enabled`.
    pub async fn is_enabled(&self, source: &(impl EventSource + ?Sized)) {
        crate::eventually("the mapping is enabled", || async { self.status(source)["State"] == "Enabled" }).await;
    }

    /// Where its file is, and unless the file says otherwise its state.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the process that was started still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Sends SIGSTOP: it stands still, and can't know.
    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Sends SIGCONT.
    pub fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Sends SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    pub async fn ends(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < limit, "pelton still runs after {limit:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Pelton {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Two signals: at once, but in order.
            let pid = self.pid();
            let _ = kill_process(pid, Signal::TERM);
            let start = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(1) {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- pelton's log\n{}--- end of pelton's log", self.log());
        }
    }
}

/// `pelton run` in a folder, its log behind what is there.
fn spawn(folder: &Path) -> Child {
    let mut command = command(folder);
    command.arg("run");
    spawn_with(command, folder)
}

fn spawn_with(mut command: Command, folder: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// `pelton` in a folder, with credentials and nothing else of the caller's AWS settings.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).env_clear();
    for variable in ["PATH", "HOME", "PELTON_LOG"] {
        if let Some(value) = std::env::var_os(variable) {
            command.env(variable, value);
        }
    }
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    command
}

/// A configuration with what all tests share. JSON is YAML.
pub fn complete(mut configuration: Value) -> String {
    configuration["Region"] = json!("us-east-1");
    configuration["Listen"] = json!("127.0.0.1:0");
    configuration.to_string()
}

fn listening(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "pelton runs").then(|| format!("http://{}", line["listen"].as_str().unwrap()))
}
