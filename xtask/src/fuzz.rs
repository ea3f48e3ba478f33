//! The fuzz targets of `fuzz/`, each for a short time, where cargo-fuzz is installed.
use std::process::Stdio;

use anyhow::{Context as _, bail};

use crate::step::{Interrupted, cargo, run, say};

/// For each target. Long runs are for whoever works on what it covers.
const SECONDS: u32 = 10;

/// Runs every target. Building cargo-fuzz takes minutes, so that is left to the user: property tests cover the same
/// code everywhere.
pub async fn fuzz(interrupted: &mut Interrupted) -> anyhow::Result<()> {
    let listed = cargo(&["fuzz", "list"]).stdin(Stdio::null()).output().await.context("can't run cargo")?;
    if !listed.status.success() {
        let error = String::from_utf8_lossy(&listed.stderr);
        if !error.contains("no such command") {
            bail!("fuzz targets: `cargo fuzz list` failed: {error}");
        }
        say("fuzz targets: skipped, because cargo-fuzz is not installed; property tests cover the same code");
        println!("    `cargo install --locked cargo-fuzz` gets it; fuzz/README.md says how to use it");
        return Ok(());
    }
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let time = format!("-max_total_time={SECONDS}");
    for target in listed.lines() {
        let mut command = cargo(&["fuzz", "run", "--sanitizer", "none", target, "--", &time, "-verbosity=0"]);
        // cargo-fuzz passes flags that are unstable in name only; this allows them to the stable compiler.
        command.env("RUSTC_BOOTSTRAP", "1");
        run(&format!("fuzz target {target}, {SECONDS} s"), command, interrupted).await?;
    }
    Ok(())
}
