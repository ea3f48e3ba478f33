//! Pinned packages of npm.
use std::path::Path;

use tokio::process::Command;

use super::install::{install, probe};
use super::{BackendError, Progress};

/// A Node.js with its npm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Npm;

impl Npm {
    /// Looks for both. `needed_for` is what can't be had without them, for the error.
    pub async fn find(needed_for: &'static str) -> Result<Self, BackendError> {
        for program in ["node", "npm"] {
            probe(program, &["--version"]).await.map_err(|problem| BackendError::Program {
                program,
                problem,
                needed_for,
                remedy: "install Node.js 18 or later with npm",
            })?;
        }
        Ok(Self)
    }

    /// Installs one package with what it depends on into `directory/node_modules`, unless it is there already.
    /// `package` is such as `kinesis-local@0.4.13`.
    pub async fn install(self, directory: &Path, package: &str, progress: Progress<'_>) -> Result<(), BackendError> {
        install(directory, &format!("npm install {package}"), progress, async |installation| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
                .arg(directory)
                .arg(package);
            installation.run(&mut npm, &format!("npm install {package}")).await.map(drop)
        })
        .await
    }

    /// Unpacks one package into `directory`, without what it depends on, unless it is there already.
    pub async fn unpack(self, directory: &Path, package: &str, progress: Progress<'_>) -> Result<(), BackendError> {
        install(directory, &format!("npm pack {package}"), progress, async |installation| {
            let mut npm = Command::new("npm");
            npm.args(["pack", "--silent", package]).current_dir(directory);
            let output = installation.run(&mut npm, &format!("npm pack {package}")).await?;
            // Its last line is the name of the archive.
            let archive = directory.join(output.lines().last().unwrap_or_default().trim());
            let mut tar = Command::new("tar");
            tar.arg("-xzf").arg(&archive).arg("-C").arg(directory).arg("--strip-components=1");
            installation.run(&mut tar, &format!("unpacking {}", archive.display())).await?;
            std::fs::remove_file(&archive).map_err(BackendError::io(format!("removing {}", archive.display())))
        })
        .await
    }
}
