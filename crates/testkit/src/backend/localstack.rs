//! LocalStack, with kinesis-mock inside.
use std::path::Path;

use super::npm::Npm;
use super::server::Plan;
use super::venv::{Python, venv};
use super::{BackendError, Progress, Server, directory};

/// A LocalStack, and the kinesis-mock that it would install.
struct Release {
    localstack: &'static str,
    kinesis: &'static str,
}

/// The last LocalStack that runs on Python 3.10 and 3.11.
const FOR_OLD_PYTHON: Release = Release { localstack: "4.9.2", kinesis: "0.4.13" };
/// The last open-source LocalStack: what came later asks for an account.
const FOR_NEW_PYTHON: Release = Release { localstack: "4.14.0", kinesis: "0.5.2" };
/// Newer releases of these break LocalStack 4.
const PINS: [&str; 4] = ["cbor2<6", "pyopenssl==25.3.0", "localstack-twisted==25.5.0", "service-identity"];
/// What Pelton talks to. DynamoDB stays out: LocalStack would download its engine.
const SERVICES: &str = "sqs,sns,events,kinesis,lambda,iam,sts,s3,logs";
const KINESIS: &str = "kinesis-local";

/// Installs LocalStack if need be, and starts it on a free port: of all interfaces, whatever `GATEWAY_LISTEN` says. Its
/// Lambda can't execute functions without Docker. Its Kinesis needs Node.js.
pub async fn start_localstack(progress: Progress<'_>) -> Result<Server, BackendError> {
    let python = Python::find().await?;
    let release = if python.minor >= 12 { FOR_NEW_PYTHON } else { FOR_OLD_PYTHON };
    let mut packages = vec![format!("localstack-core[runtime]=={}", release.localstack)];
    packages.extend(PINS.map(String::from));
    let home = directory().join(format!("localstack-{}", release.localstack));
    let bin = venv(&python, &home, &packages, progress).await?;
    let kinesis = directory().join(format!("{KINESIS}-{}", release.kinesis));
    let npm = Npm::find("Kinesis in LocalStack").await?;
    npm.install(&kinesis, &format!("{KINESIS}@{}", release.kinesis), progress).await?;

    let mut server = Plan::new("LocalStack", bin.join("localstack-supervisor"))?;
    let (port, state) = (server.port, server.state().to_owned());
    lend_kinesis(&kinesis, &state, release.kinesis)?;
    server
        .environment("SERVICES", SERVICES)
        .environment("EAGER_SERVICE_LOADING", "1")
        // Also inside a container it keeps to the folders below.
        .environment("OVERRIDE_IN_DOCKER", "0")
        // No name server of its own, on port 53.
        .environment("DNS_ADDRESS", "0")
        .environment("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
        .environment("LOCALSTACK_HOST", format!("localhost:{port}"))
        .environment("SQS_ENDPOINT_STRATEGY", "path")
        .environment("KINESIS_MOCK_VERSION", release.kinesis)
        // Streams and shards are there at once, not after half a second.
        .environment("KINESIS_LATENCY", "0")
        // Its data goes with it in any case.
        .environment("KINESIS_PERSISTENCE", "0")
        // All tests share one account: 100 shards and 10 on-demand streams would not do.
        .environment("KINESIS_SHARD_LIMIT", "10000")
        .environment("KINESIS_ON_DEMAND_STREAM_COUNT_LIMIT", "1000")
        .environment("SKIP_SSL_CERT_DOWNLOAD", "1")
        .environment("DISABLE_EVENTS", "1")
        .environment("LOCALSTACK_VOLUME_DIR", &state)
        .environment("FILESYSTEM_ROOT", &state);
    let server = server.start(progress).await?;
    // The engine starts at the first call, for seconds. Tests shall not meet that.
    server.call("kinesis", "Kinesis_20131202.ListStreams").await?;
    Ok(server)
}

/// Puts the installed kinesis-mock where LocalStack looks for it, so that it doesn't install its own at every start.
fn lend_kinesis(installed: &Path, state: &Path, release: &str) -> Result<(), BackendError> {
    let shelf = state.join("var/lib/localstack/lib").join(KINESIS);
    std::fs::create_dir_all(&shelf).map_err(BackendError::io(format!("creating {}", shelf.display())))?;
    std::os::unix::fs::symlink(installed, shelf.join(release))
        .map_err(BackendError::io(format!("linking {}", installed.display())))
}
