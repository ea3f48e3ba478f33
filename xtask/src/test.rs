//! `cargo xtask test`: every check there is.
use std::process::Stdio;

use anyhow::{Context as _, bail};
use pelton_testkit::backend;
use tokio::process::Command;
use tokio::time::Instant;

use crate::backends::{Backends, progress};
use crate::fuzz::fuzz;
use crate::step::{Interrupted, cargo, done, run, run_watching, say, took};

/// Tests that may run at the same time in one test program: they share the backends.
const TEST_THREADS: &str = "4";

/// Runs every step; the first that fails ends it.
pub async fn test(interrupted: &mut Interrupted) -> anyhow::Result<()> {
    let started = Instant::now();
    run("format", cargo(&["fmt", "--all", "--check"]), interrupted).await?;
    run("lints", cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]), interrupted).await?;
    interrupted.or("dependency rule", dependency_rule()).await?;
    deny(interrupted).await?;
    fuzz(interrupted).await?;
    run("build what the tests run", cargo(&["build", "-p", "pelton-cli", "-p", "pelton-test-function"]), interrupted)
        .await?;
    run("build the tests", cargo(&["test", "--workspace", "--no-run"]), interrupted).await?;

    say("backends");
    let provisioned = Instant::now();
    interrupted.or("awslambdaric", async { Ok(backend::awslambdaric(&progress).await?) }).await?;
    let backends = interrupted.or("backends", Backends::start()).await?;
    backends.say_logs();
    done(provisioned);

    let mut totals = Totals::default();
    let result = run_watching("tests", tests(&backends), interrupted, |line| totals.add(line)).await;
    say("stopping the backends");
    drop(backends);
    println!("    all of it took {}\n\n{} passed, {} failed", took(started.elapsed()), totals.passed, totals.failed);
    result
}

/// `cargo test`, untouched by the user's own AWS settings and proxies.
fn tests(backends: &Backends) -> Command {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--", "--test-threads", TEST_THREADS]);
    for (name, _) in std::env::vars_os() {
        let proxy = name.to_string_lossy().to_lowercase().ends_with("_proxy");
        if name.to_string_lossy().starts_with("AWS_") || proxy {
            command.env_remove(name);
        }
    }
    command
        .envs(backends.variables())
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// The heart builds and tests in seconds because it knows no AWS SDK. It is to stay so.
async fn dependency_rule() -> anyhow::Result<()> {
    say("dependency rule: pelton-core and pelton-engine know no AWS crate");
    let started = Instant::now();
    for package in ["pelton-core", "pelton-engine"] {
        let mut tree = cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none"]);
        let output = tree.output().await.context("can't run cargo tree")?;
        if !output.status.success() {
            bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let listing = String::from_utf8_lossy(&output.stdout);
        if let Some(line) = listing.lines().find(|line| is_aws(line)) {
            bail!("dependency rule: {package} depends on {line}");
        }
    }
    done(started);
    Ok(())
}

fn is_aws(dependency: &str) -> bool {
    dependency.starts_with("aws-") || dependency.starts_with("pelton-aws ")
}

/// Licences, bans, sources and advisories, where cargo-deny is installed: building it takes minutes, so that is left to
/// the user.
async fn deny(interrupted: &mut Interrupted) -> anyhow::Result<()> {
    let installed = cargo(&["deny", "--version"]).stdin(Stdio::null()).output().await?;
    if !installed.status.success() {
        say("licences, bans, sources, advisories: skipped, because cargo-deny is not installed");
        println!("    `cargo install --locked cargo-deny` gets it (2 to 3 minutes); deny.toml holds the rules");
        return Ok(());
    }
    let arguments = ["deny", "--log-level", "error", "check", "licenses", "bans", "sources"];
    run("licences, bans, sources", cargo(&arguments), interrupted).await?;
    interrupted.or("advisories", advisories()).await
}

async fn advisories() -> anyhow::Result<()> {
    say("advisories");
    let started = Instant::now();
    let checked = cargo(&["deny", "check", "advisories"]).stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let output = String::from_utf8_lossy(&checked.stderr);
    if checked.status.success() {
        done(started);
        return Ok(());
    }
    if output.contains("failed to fetch advisory database") {
        println!("    skipped: the advisory database can't be fetched without a network");
        return Ok(());
    }
    println!("{output}");
    bail!("advisories: `cargo deny check advisories` failed: {}", checked.status)
}

/// Adds up the closing lines of all test programs.
#[derive(Debug, Default)]
struct Totals {
    passed: u64,
    failed: u64,
}

impl Totals {
    /// `test result: ok. 16 passed; 0 failed; …`
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        for part in counts.split([';', '.']) {
            let mut words = part.split_whitespace();
            match (words.next().and_then(|count| count.parse::<u64>().ok()), words.next()) {
                (Some(count), Some("passed")) => self.passed += count,
                (Some(count), Some("failed")) => self.failed += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Totals, is_aws};

    #[test]
    fn knows_an_aws_crate() {
        assert!(is_aws("aws-sdk-sqs v1.119.0") && is_aws("pelton-aws v0.1.0 (/somewhere)"));
        assert!(!is_aws("pelton-core v0.1.0") && !is_aws("await-something v1.0.0"));
    }

    #[test]
    fn adds_up_the_closing_lines() {
        let mut totals = Totals::default();
        totals.add("test result: ok. 16 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s");
        totals.add("test result: FAILED. 3 passed; 2 failed; 0 ignored");
        totals.add("test something ... ok");
        assert_eq!((totals.passed, totals.failed), (19, 2));
    }
}
