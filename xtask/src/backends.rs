//! `cargo xtask backends`, and what the tests use of it.
use anyhow::Context as _;
use pelton_testkit::backend::{self, DYNAMODB_VARIABLE, LOCALSTACK_VARIABLE, MINISTACK_VARIABLE, Server};

use crate::step::{Interrupted, say};

/// All backends, running. Dropping it stops them.
pub struct Backends {
    localstack: Server,
    ministack: Server,
    dynamodb: Server,
}

impl Backends {
    /// Installs them if need be, and starts them on free ports.
    pub async fn start() -> anyhow::Result<Self> {
        let (ministack, localstack, dynamodb) = tokio::try_join!(
            async { backend::start_ministack(&progress).await.context("MiniStack") },
            async { backend::start_localstack(&progress).await.context("LocalStack") },
            async { backend::start_dynamodb(&progress).await.context("DynamoDB Local") },
        )?;
        Ok(Self { localstack, ministack, dynamodb })
    }

    /// What a test finds them by.
    pub fn variables(&self) -> [(&'static str, &str); 3] {
        [
            (LOCALSTACK_VARIABLE, self.localstack.endpoint()),
            (MINISTACK_VARIABLE, self.ministack.endpoint()),
            (DYNAMODB_VARIABLE, self.dynamodb.endpoint()),
        ]
    }

    /// Says where their logs are.
    pub fn say_logs(&self) {
        println!("    logs:");
        for server in [&self.ministack, &self.localstack, &self.dynamodb] {
            println!("    {}", server.log().display());
        }
    }
}

/// Shows what provisioning says.
pub fn progress(text: &str) {
    println!("    {text}");
}

/// Runs them until Ctrl-C.
pub async fn backends(interrupted: &mut Interrupted) -> anyhow::Result<()> {
    say("backends");
    let backends = interrupted.or("backends", Backends::start()).await?;
    backends.say_logs();
    println!("\nIn another terminal:\n");
    for (variable, endpoint) in backends.variables() {
        println!("export {variable}={endpoint}");
    }
    println!("cargo test --workspace\n\nCtrl-C stops them.");
    interrupted.wait().await;
    say("stopping");
    Ok(())
}
