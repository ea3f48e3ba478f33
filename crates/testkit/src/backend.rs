//! Real backends: found by tests, provisioned by `cargo xtask`.
//!
//! Everything is installed into `target/backends`, pinned, in virtual environments of its own.

mod error;
mod process_group;
mod server;
mod venv;

use std::path::{Path, PathBuf};

pub use error::BackendError;
pub use process_group::ProcessGroup;
pub use server::Server;
use venv::{Python, venv};

/// Where tests find LocalStack.
pub const LOCALSTACK_VARIABLE: &str = "PELTON_TEST_LOCALSTACK";
/// Where tests find MiniStack.
pub const MINISTACK_VARIABLE: &str = "PELTON_TEST_MINISTACK";

/// Hears, line by line, what provisioning is doing. Steps that take long speak up every few seconds.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

const AWSLAMBDARIC_RELEASE: &str = "4.2.2";
const MINISTACK_RELEASE: &str = "1.5.33";
/// The last LocalStack that runs on Python 3.10 and 3.11.
const LOCALSTACK_FOR_OLD_PYTHON: &str = "4.9.2";
/// The last open-source LocalStack: what came later asks for an account.
const LOCALSTACK_FOR_NEW_PYTHON: &str = "4.14.0";
/// Newer releases of these break LocalStack 4.
const LOCALSTACK_PINS: [&str; 4] = ["cbor2<6", "pyopenssl==25.3.0", "localstack-twisted==25.5.0", "service-identity"];
/// What Pelton talks to. Kinesis and DynamoDB stay out: LocalStack would download their engines.
const LOCALSTACK_SERVICES: &str = "sqs,sns,events,lambda,iam,sts,s3,logs";

/// The endpoint of LocalStack in a test, such as `http://127.0.0.1:4566`. Panics if there is none.
pub fn localstack() -> String {
    endpoint(LOCALSTACK_VARIABLE)
}

/// The endpoint of MiniStack in a test. Panics if there is none.
pub fn ministack() -> String {
    endpoint(MINISTACK_VARIABLE)
}

#[expect(clippy::panic, reason = "a test without its backend can't go on, and must not pass")]
fn endpoint(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(endpoint) => endpoint,
        Err(_) => panic!("{variable} is not set: run `cargo xtask test`, or start them with `cargo xtask backends`"),
    }
}

/// `target/backends` of this workspace.
pub fn directory() -> PathBuf {
    let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_directory.ancestors().nth(2).unwrap_or(crate_directory).join("target/backends")
}

/// Installs MiniStack if need be, and starts it on a free port of the loopback interface.
pub async fn start_ministack(progress: Progress<'_>) -> Result<Server, BackendError> {
    let python = Python::find().await?;
    let packages = [format!("ministack=={MINISTACK_RELEASE}")];
    let home = directory().join(format!("ministack-{MINISTACK_RELEASE}"));
    let bin = venv(&python, &home, &packages, progress).await?;
    let mut server = server::Plan::new("MiniStack", &bin.join("ministack"))?;
    server.environment("GATEWAY_PORT", server.port.to_string()).environment("BIND_HOST", "127.0.0.1");
    server.start(progress).await
}

/// Installs LocalStack if need be, and starts it on a free port: of all interfaces, whatever `GATEWAY_LISTEN` says. Its
/// Lambda can't execute functions without Docker.
pub async fn start_localstack(progress: Progress<'_>) -> Result<Server, BackendError> {
    let python = Python::find().await?;
    let release = if python.minor >= 12 { LOCALSTACK_FOR_NEW_PYTHON } else { LOCALSTACK_FOR_OLD_PYTHON };
    let mut packages = vec![format!("localstack-core[runtime]=={release}")];
    packages.extend(LOCALSTACK_PINS.map(String::from));
    let bin = venv(&python, &directory().join(format!("localstack-{release}")), &packages, progress).await?;
    let mut server = server::Plan::new("LocalStack", &bin.join("localstack-supervisor"))?;
    let (port, state) = (server.port, server.state().to_owned());
    server
        .environment("SERVICES", LOCALSTACK_SERVICES)
        .environment("EAGER_SERVICE_LOADING", "1")
        // No name server of its own, on port 53.
        .environment("DNS_ADDRESS", "0")
        .environment("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
        .environment("LOCALSTACK_HOST", format!("localhost:{port}"))
        .environment("SQS_ENDPOINT_STRATEGY", "path")
        .environment("SKIP_SSL_CERT_DOWNLOAD", "1")
        .environment("DISABLE_EVENTS", "1")
        .environment("LOCALSTACK_VOLUME_DIR", &state)
        .environment("FILESYSTEM_ROOT", &state);
    server.start(progress).await
}

/// A Python interpreter that has `awslambdaric`, AWS's own runtime client. Installs it if need be.
pub async fn awslambdaric(progress: Progress<'_>) -> Result<PathBuf, BackendError> {
    let python = Python::find().await?;
    let packages = [format!("awslambdaric=={AWSLAMBDARIC_RELEASE}")];
    let home = directory().join(format!("awslambdaric-{AWSLAMBDARIC_RELEASE}"));
    Ok(venv(&python, &home, &packages, progress).await?.join("python"))
}
