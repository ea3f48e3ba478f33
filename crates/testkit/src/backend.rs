//! Real backends: found by tests, provisioned by `cargo xtask`.
//!
//! Everything is installed into `target/backends`, pinned, in folders of its own.

mod dynamodb;
mod error;
mod install;
mod localstack;
mod npm;
mod process_group;
mod server;
mod venv;

use std::path::{Path, PathBuf};

pub use dynamodb::start_dynamodb;
pub use error::BackendError;
pub use localstack::start_localstack;
pub use process_group::ProcessGroup;
pub use server::Server;
use venv::{Python, venv};

/// Where tests find LocalStack.
pub const LOCALSTACK_VARIABLE: &str = "PELTON_TEST_LOCALSTACK";
/// Where tests find MiniStack.
pub const MINISTACK_VARIABLE: &str = "PELTON_TEST_MINISTACK";
/// Where tests find DynamoDB Local.
pub const DYNAMODB_VARIABLE: &str = "PELTON_TEST_DYNAMODB";

/// Hears, line by line, what provisioning is doing. Steps that take long speak up every few seconds.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

const AWSCLI_RELEASE: &str = "1.46.3";
const AWSLAMBDARIC_RELEASE: &str = "4.2.2";
const BOTO3_RELEASE: &str = "1.44.8";
const MINISTACK_RELEASE: &str = "1.5.33";

/// The endpoint of LocalStack in a test, such as `http://127.0.0.1:4566`. Panics if there is none.
pub fn localstack() -> String {
    endpoint(LOCALSTACK_VARIABLE)
}

/// The endpoint of MiniStack in a test. Panics if there is none.
pub fn ministack() -> String {
    endpoint(MINISTACK_VARIABLE)
}

/// The endpoint of DynamoDB Local in a test, for DynamoDB and for DynamoDB Streams. Panics if there is none.
pub fn dynamodb() -> String {
    endpoint(DYNAMODB_VARIABLE)
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
    let mut server = server::Plan::new("MiniStack", bin.join("ministack"))?;
    server.environment("GATEWAY_PORT", server.port.to_string()).environment("BIND_HOST", "127.0.0.1");
    server.start(progress).await
}

/// A Python interpreter that has `awslambdaric`, AWS's own runtime client. Installs it if need be.
pub async fn awslambdaric(progress: Progress<'_>) -> Result<PathBuf, BackendError> {
    let python = Python::find().await?;
    let packages = [format!("awslambdaric=={AWSLAMBDARIC_RELEASE}")];
    let home = directory().join(format!("awslambdaric-{AWSLAMBDARIC_RELEASE}"));
    Ok(venv(&python, &home, &packages, progress).await?.join("python"))
}

/// A folder with `aws`, the AWS CLI, and `python`, which has boto3. Installs them if need be.
pub async fn aws_tools(progress: Progress<'_>) -> Result<PathBuf, BackendError> {
    let python = Python::find().await?;
    let packages = [format!("awscli=={AWSCLI_RELEASE}"), format!("boto3=={BOTO3_RELEASE}")];
    venv(&python, &directory().join(format!("awscli-{AWSCLI_RELEASE}")), &packages, progress).await
}
