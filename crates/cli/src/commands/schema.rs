//! `pelton schema`: for editors.
use std::process::ExitCode;

use crate::output;

/// Prints the JSON Schema of `pelton.yaml`.
pub fn schema() -> anyhow::Result<ExitCode> {
    output::print(&format!("{}\n", serde_json::to_string_pretty(&pelton_config::schema())?))?;
    Ok(ExitCode::SUCCESS)
}
