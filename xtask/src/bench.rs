//! `cargo xtask bench`: builds for release, starts the backends, and hands over to the `pelton-bench` program.
use anyhow::Context as _;
use pelton_testkit::backend::directory;
use tokio::process::Command;

use crate::backends::Backends;
use crate::step::{Interrupted, cargo, run, say};

/// Runs the named measurements, or all.
pub async fn bench(arguments: &[String], interrupted: &mut Interrupted) -> anyhow::Result<()> {
    // One at a time, so that each is built with the features of a build of its own.
    run("build pelton", cargo(&["build", "--release", "-p", "pelton-cli"]), interrupted).await?;
    run("build the benchmarks", cargo(&["build", "--release", "-p", "pelton-bench"]), interrupted).await?;
    let example = ["build", "--release", "-p", "pelton-pattern", "--example", "throughput"];
    run("build the benchmark of patterns", cargo(&example), interrupted).await?;
    say("backends");
    let backends = interrupted.or("backends", Backends::start()).await?;
    backends.say_logs();
    let target = directory();
    let target = target.parent().context("no build folder")?;
    let mut command = Command::new(target.join("release/pelton-bench"));
    for (name, _) in std::env::vars_os() {
        let proxy = name.to_string_lossy().to_lowercase().ends_with("_proxy");
        if name.to_string_lossy().starts_with("AWS_") || name.to_string_lossy().starts_with("PELTON_") || proxy {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .envs(backends.variables())
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1");
    run("bench", command, interrupted).await
}
