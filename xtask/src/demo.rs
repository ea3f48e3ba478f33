//! `cargo xtask demo`: builds Pelton, finds or provides a backend, and hands over to the `pelton-demo` program.
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use pelton_testkit::backend::{self, ProcessGroup, Server};
use tokio::process::Command;

use crate::backends::progress;
use crate::step::{Interrupted, cargo, run, say};

/// An engine that is installed but doesn't run can take its time to say so.
const DOCKER_LIMIT: Duration = Duration::from_secs(10);
/// What the demo may take to stop Pelton and to remove its queues.
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// Something that speaks SQS, SNS and EventBridge.
enum Backend {
    /// Not ours: left as it is.
    Given(String),
    /// A container that we start and stop.
    Compose,
    /// A process that ends with this value.
    MiniStack(Box<Server>),
}

/// Runs the demo.
pub async fn demo(interrupted: &mut Interrupted) -> anyhow::Result<()> {
    run("build", cargo(&["build", "-p", "pelton-cli", "-p", "pelton-demo"]), interrupted).await?;
    match find_backend(interrupted).await? {
        Backend::Given(endpoint) => play(&endpoint, false, interrupted).await,
        Backend::MiniStack(server) => play(server.endpoint(), true, interrupted).await,
        Backend::Compose => {
            let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let mut start = compose(&["up", "--detach", "--wait", "localstack"]);
            start.env("LOCALSTACK_PORT", port.to_string());
            let result = match run("start LocalStack", start, interrupted).await {
                Ok(()) => play(&format!("http://127.0.0.1:{port}"), true, interrupted).await,
                Err(error) => Err(error),
            };
            // Also after a failed start: half of it may run.
            let down = run("stop LocalStack", compose(&["down", "--volumes"]), interrupted).await;
            result.and(down)
        }
    }
}

async fn find_backend(interrupted: &mut Interrupted) -> anyhow::Result<Backend> {
    say("backend");
    if let Some(endpoint) = std::env::var("AWS_ENDPOINT_URL").ok().filter(|endpoint| !endpoint.is_empty()) {
        println!("    AWS_ENDPOINT_URL is set: {endpoint}");
        return Ok(Backend::Given(endpoint));
    }
    if interrupted.or("looking for Docker", async { Ok(docker_answers().await) }).await? {
        println!("    a Docker engine answers: LocalStack by docker compose");
        return Ok(Backend::Compose);
    }
    println!("    no AWS_ENDPOINT_URL, no Docker engine with compose: MiniStack in a private virtual environment");
    let server = interrupted.or("MiniStack", async { Ok(backend::start_ministack(&progress).await?) }).await?;
    Ok(Backend::MiniStack(Box::new(server)))
}

/// Whether there is an engine, and `docker compose`.
async fn docker_answers() -> bool {
    for arguments in [["info"].as_slice(), &["compose", "version"]] {
        let mut command = Command::new("docker");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(DOCKER_LIMIT, command.status()).await {
            Ok(Ok(status)) if status.success() => {}
            _ => return false,
        }
    }
    true
}

/// Runs `pelton-demo`. It writes to the terminal itself, because it draws a live line.
async fn play(endpoint: &str, backend_is_ours: bool, interrupted: &mut Interrupted) -> anyhow::Result<()> {
    // Beside this program: cargo put all three into the same folder.
    let program = std::env::current_exe().context("can't find the build folder")?;
    let mut command = Command::new(program.with_file_name("pelton-demo"));
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("PELTON_DEMO_BINARY", program.with_file_name("pelton"))
        .env("PELTON_DEMO_EXAMPLES", workspace().join("deploy/examples"))
        .stdin(Stdio::null());
    let mut credentials = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"].iter();
    let has_credentials = credentials.any(|name| std::env::var_os(name).is_some());
    if !backend_is_ours && !has_credentials {
        println!("    no credentials in the environment: test and test, as emulators take any");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    }
    if backend_is_ours {
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env("AWS_REGION", "us-east-1");
        command.env("NO_PROXY", "127.0.0.1,localhost");
        for own in ["AWS_PROFILE", "AWS_SESSION_TOKEN"] {
            command.env_remove(own);
        }
        for service in ["SQS", "SNS", "EVENTBRIDGE", "LAMBDA", "S3", "KINESIS", "DYNAMODB", "DYNAMODB_STREAMS"] {
            command.env_remove(format!("AWS_ENDPOINT_URL_{service}"));
        }
    }
    let mut process = ProcessGroup::spawn(&mut command).context("can't start pelton-demo")?;
    let result = interrupted.or("demo", async { Ok(process.wait().await?) }).await;
    if result.is_err() {
        // It stops Pelton and removes its queues, if it is let.
        process.ask_to_end();
        let _ = tokio::time::timeout(STOP_LIMIT, process.wait()).await;
    }
    let status = result?;
    anyhow::ensure!(status.success(), "the demo failed: {status}");
    Ok(())
}

fn compose(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    let file = workspace().join("docker-compose.yml");
    command.arg("compose").arg("--file").arg(file).args(["--project-name", "pelton-demo"]).args(arguments);
    command
}

/// The top folder of the repository.
fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
