//! A backend as a child process.
use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{ChildStdin, Command};
use tokio::time::Instant;

use super::error::tail;
use super::{BackendError, ProcessGroup, Progress};

const START_LIMIT: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(200);
const WORD_EVERY: Duration = Duration::from_secs(5);
/// LocalStack answers here, and MiniStack, which took the path over.
const HEALTH: &str = "/_localstack/health";
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// For one call of the set-up: an engine may have to start first.
const CALL_LIMIT: Duration = Duration::from_secs(90);

/// Runs a program, and ends the whole process group when standard input is closed: also a killed owner, who can't stop
/// anything any more, leaves nothing running.
///
/// Stays until the program is gone, so that it's given time: LocalStack must end kinesis-mock, which it has put into a
/// group of its own.
const TIED: &str = r#"exec 3<&0
trap : TERM
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -TERM 0; } &
wait "$server"
status=$?
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
    status=$?
done
exit "$status""#;

/// A running backend. Dropping it stops it, with everything it has started, and removes its data. Its log stays.
#[derive(Debug)]
pub struct Server {
    // Dropped in this order: the process must be gone before its data.
    process: ProcessGroup,
    _tie: Option<ChildStdin>,
    _state: TempDir,
    name: &'static str,
    endpoint: String,
    log: PathBuf,
    health: Health,
}

/// How to see that a backend is ready.
#[derive(Debug, Clone, Copy)]
pub(super) enum Health {
    /// A 2xx at LocalStack's path.
    LocalStackPath,
    /// Any answer to a GET.
    AnyAnswer,
}

/// A backend before it runs.
pub(super) struct Plan {
    name: &'static str,
    command: Command,
    state: TempDir,
    health: Health,
    pub port: u16,
}

impl Plan {
    pub fn new(name: &'static str, program: impl AsRef<OsStr>) -> Result<Self, BackendError> {
        let state = tempfile::Builder::new().prefix("pelton-backend-").tempdir();
        let state = state.map_err(BackendError::io("making a temporary folder"))?;
        let mut command = Command::new("sh");
        command
            .args(["-c", TIED, name])
            .arg(program)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env_remove("AWS_ENDPOINT_URL")
            .env("TMPDIR", state.path())
            .current_dir(state.path());
        Ok(Self { name, command, state, health: Health::LocalStackPath, port: free_port()? })
    }

    /// Where it keeps its data: gone with it.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    pub fn healthy_when(&mut self, health: Health) -> &mut Self {
        self.health = health;
        self
    }

    pub fn argument(&mut self, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(value);
        self
    }

    pub fn environment(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    pub async fn start(mut self, progress: Progress<'_>) -> Result<Server, BackendError> {
        progress(&format!("starting {}", self.name));
        let logs = super::directory().join("logs");
        std::fs::create_dir_all(&logs).map_err(BackendError::io(format!("creating {}", logs.display())))?;
        let log = logs.join(format!("{}-{}.log", self.name.to_lowercase().replace(' ', "-"), self.port));
        let file = std::fs::File::create(&log).map_err(BackendError::io(format!("creating {}", log.display())))?;
        let errors = file.try_clone().map_err(BackendError::io("opening the log twice"))?;
        let mut process = ProcessGroup::spawn(self.command.stdin(Stdio::piped()).stdout(file).stderr(errors))
            .map_err(BackendError::io(format!("starting {}", self.name)))?;
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let _tie = process.take_stdin();
        let (name, health) = (self.name, self.health);
        let mut server = Server { process, _tie, _state: self.state, name, endpoint, log, health };
        let started = Instant::now();
        server.wait_until_healthy(progress).await?;
        let seconds = started.elapsed().as_secs_f32();
        progress(&format!("{} runs at {} ({seconds:.1} s)", server.name, server.endpoint));
        Ok(server)
    }
}

impl Server {
    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What it prints goes here.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Makes one call without arguments in AWS's JSON protocol, as the account that tests use.
    pub(super) async fn call(&self, service: &str, target: &'static str) -> Result<(), BackendError> {
        let scope = format!("test/20200101/us-east-1/{service}/aws4_request");
        // Emulators read the account and the service in it, and leave the signature alone.
        let authorization = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
        let endpoint = self.endpoint.clone();
        let post = move || {
            let request = agent(CALL_LIMIT).post(&endpoint).header("authorization", authorization);
            request.header("x-amz-target", target).header("content-type", "application/x-amz-json-1.1").send("{}")
        };
        let answer = tokio::task::spawn_blocking(post).await.map_err(std::io::Error::other);
        let answer = answer.map_err(BackendError::io(target))?;
        answer.map(drop).map_err(|error| BackendError::Call { name: self.name, call: target, source: Box::new(error) })
    }

    async fn wait_until_healthy(&mut self, progress: Progress<'_>) -> Result<(), BackendError> {
        let started = Instant::now();
        let mut word = started + WORD_EVERY;
        while started.elapsed() < START_LIMIT {
            if self.answers().await {
                return Ok(());
            }
            if let Ok(Some(status)) = self.process.try_wait() {
                let what = format!("starting {} (log: {})", self.name, self.log.display());
                return Err(BackendError::Command { what, status, output: self.end_of_log() });
            }
            if Instant::now() >= word {
                progress(&format!("{} is starting, {} s so far", self.name, started.elapsed().as_secs()));
                word += WORD_EVERY;
            }
            tokio::time::sleep(STEP).await;
        }
        Err(BackendError::Unhealthy {
            name: self.name,
            seconds: START_LIMIT.as_secs(),
            log: self.log.clone(),
            tail: self.end_of_log(),
        })
    }

    async fn answers(&self) -> bool {
        let (health, endpoint) = (self.health, self.endpoint.clone());
        let get = move || {
            let agent = agent(PROBE_LIMIT);
            match health {
                Health::LocalStackPath => agent.get(format!("{endpoint}{HEALTH}")).call().is_ok(),
                Health::AnyAnswer => matches!(agent.get(endpoint).call(), Ok(_) | Err(ureq::Error::StatusCode(_))),
            }
        };
        tokio::task::spawn_blocking(get).await.unwrap_or(false)
    }

    fn end_of_log(&self) -> String {
        tail(&String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()))
    }
}

fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(limit)).proxy(None).build().into()
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, BackendError> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(port.map_err(BackendError::io("finding a free port"))?.port())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    #[tokio::test]
    async fn ends_when_its_owner_is_gone() {
        let mut command = Command::new("sh");
        command.args(["-c", TIED, "test", "sh", "-c", "echo started; exec sleep 100"]);
        let tied = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = ProcessGroup::spawn(tied).unwrap();
        let mut lines = BufReader::new(process.take_stdout().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "started");
        drop(process.take_stdin());
        // End of file: nobody of the group holds the pipe any more.
        let end = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await;
        assert_eq!(end.unwrap().unwrap(), None);
    }

    #[tokio::test]
    async fn gives_the_program_time_to_end_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let (started, ended) = (directory.path().join("started"), directory.path().join("ended"));
        let slow = "trap 'sleep 0.5; touch ended; exit' TERM; touch started; while :; do sleep 0.05; done";
        let mut command = Command::new("sh");
        command.args(["-c", TIED, "test", "sh", "-c", slow]).current_dir(directory.path());
        let process = ProcessGroup::spawn(command.stdin(Stdio::piped()).stderr(Stdio::null())).unwrap();
        crate::eventually("it runs", Duration::from_secs(10), async || started.exists()).await;
        drop(process);
        assert!(ended.exists());
    }

    #[tokio::test]
    async fn says_how_the_program_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", TIED, "test", "sh", "-c", "exit 7"]).stdin(Stdio::piped());
        let mut process = ProcessGroup::spawn(&mut command).unwrap();
        let _tie = process.take_stdin();
        let status = tokio::time::timeout(Duration::from_secs(10), process.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
    }
}
