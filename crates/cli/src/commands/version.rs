//! `pelton version`.
use std::process::ExitCode;

use crate::output;

/// Prints name, version and platform.
pub fn version() -> anyhow::Result<ExitCode> {
    let (version, system, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    output::print(&format!("pelton {version} ({system} {machine})\n"))?;
    Ok(ExitCode::SUCCESS)
}
