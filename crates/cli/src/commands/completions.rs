//! `pelton completions`: for shells.
use std::process::ExitCode;

use clap_complete::Shell;

use crate::output;

/// Prints the completion script of a shell.
pub fn completions(shell: Shell, command: &mut clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "pelton", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
