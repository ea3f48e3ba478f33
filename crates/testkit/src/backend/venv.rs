//! Virtual environments with pinned packages.
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::install::{install, probe};
use super::{BackendError, Progress};

const CANDIDATES: [&str; 5] = ["python3", "python3.13", "python3.12", "python3.11", "python3.10"];
const OLDEST_MINOR: u32 = 10;

/// A Python 3 that can make virtual environments.
#[derive(Debug, Clone)]
pub(super) struct Python {
    program: &'static str,
    /// `11` of Python 3.11.
    pub(super) minor: u32,
}

impl Python {
    /// The first of the usual names that is recent enough.
    pub(super) async fn find() -> Result<Self, BackendError> {
        let mut tried = Vec::new();
        for program in CANDIDATES {
            match minor_version(program).await {
                Ok(minor) if minor >= OLDEST_MINOR => return Ok(Self { program, minor }),
                Ok(minor) => tried.push(format!("{program}: is 3.{minor}")),
                Err(problem) => tried.push(format!("{program}: {problem}")),
            }
        }
        Err(BackendError::Python { tried: tried.join("; ") })
    }
}

async fn minor_version(program: &str) -> Result<u32, String> {
    let code = "import sys, venv, ensurepip; print(sys.version_info[1])";
    probe(program, &["-c", code]).await?.trim().parse().map_err(|_| "says no version".to_owned())
}

/// Makes a virtual environment with just these packages, unless it is there already. Gives its `bin` directory.
pub(super) async fn venv(
    python: &Python,
    directory: &Path,
    packages: &[String],
    progress: Progress<'_>,
) -> Result<PathBuf, BackendError> {
    let bin = directory.join("bin");
    let content = format!("python 3.{}\n{}", python.minor, packages.join("\n"));
    install(directory, &content, progress, async |installation| {
        let mut make = Command::new(python.program);
        installation.run(make.args(["-m", "venv"]).arg(directory), "making a virtual environment").await?;
        let mut pip = Command::new(bin.join("python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]);
        installation.run(pip.args(packages), &format!("pip install {}", packages.join(" "))).await.map(drop)
    })
    .await?;
    Ok(bin)
}
