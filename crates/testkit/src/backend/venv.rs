//! Virtual environments with pinned packages.
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::error::tail;
use super::{BackendError, ProcessGroup, Progress};

const CANDIDATES: [&str; 5] = ["python3", "python3.13", "python3.12", "python3.11", "python3.10"];
const OLDEST_MINOR: u32 = 10;
const WORD_EVERY: Duration = Duration::from_secs(3);
const LOCK_STEP: Duration = Duration::from_millis(200);

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
    let output = Command::new(program).args(["-c", code]).stdin(Stdio::null()).output().await;
    let output = output.map_err(|_| "not found".to_owned())?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(complaint.lines().last().unwrap_or("doesn't run").to_owned());
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| "says no version".to_owned())
}

/// Makes a virtual environment with just these packages, unless it is there already. Gives its `bin` directory.
///
/// A marker that is written last tells a finished installation from a broken one; a lock keeps a second process out
/// meanwhile. Cancelling leaves a broken one, which the next call replaces.
pub(super) async fn venv(
    python: &Python,
    directory: &Path,
    packages: &[String],
    progress: Progress<'_>,
) -> Result<PathBuf, BackendError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let parent = directory.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).map_err(BackendError::io(format!("creating {}", parent.display())))?;
    let _lock = lock(&parent.join(format!("{name}.lock")), &name, progress).await?;

    let bin = directory.join("bin");
    let marker = directory.join("installed.txt");
    // With its place, because a virtual environment that was moved doesn't work.
    let wanted = format!("python 3.{}\n{}\n{}\n", python.minor, directory.display(), packages.join("\n"));
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(BackendError::io(format!("removing {}", directory.display())))?;
    }
    progress(&format!("installing {name} with {}, once", python.program));
    let started = Instant::now();
    let mut make = Command::new(python.program);
    run(make.args(["-m", "venv"]).arg(directory), "making a virtual environment", &name, progress).await?;
    let mut pip = Command::new(bin.join("python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]);
    run(pip.args(packages), &format!("pip install {}", packages.join(" ")), &name, progress).await?;
    std::fs::write(&marker, wanted).map_err(BackendError::io(format!("writing {}", marker.display())))?;
    progress(&format!("installed {name} in {} s", started.elapsed().as_secs()));
    Ok(bin)
}

/// Holds the lock as long as the file lives.
async fn lock(path: &Path, name: &str, progress: Progress<'_>) -> Result<File, BackendError> {
    let file = File::create(path).map_err(BackendError::io(format!("creating {}", path.display())))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(BackendError::io(format!("locking {name}"))(source)),
            Err(TryLockError::WouldBlock) if !told => progress(&format!("another process is installing {name}")),
            Err(TryLockError::WouldBlock) => {}
        }
        told = true;
        tokio::time::sleep(LOCK_STEP).await;
    }
}

/// Runs a command, and says every few seconds what it printed last.
async fn run(command: &mut Command, what: &str, name: &str, progress: Progress<'_>) -> Result<(), BackendError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = ProcessGroup::spawn(command).map_err(BackendError::io(what))?;
    let (Some(output), Some(mut errors)) = (process.take_stdout(), process.take_stderr()) else {
        unreachable!("both were piped")
    };
    let read_output = async {
        let (mut lines, mut text, mut word) = (BufReader::new(output).lines(), String::new(), Instant::now());
        while let Some(line) = lines.next_line().await? {
            if word.elapsed() >= WORD_EVERY {
                progress(&format!("{name}: {}", line.trim().chars().take(80).collect::<String>()));
                word = Instant::now();
            }
            text.push_str(&line);
            text.push('\n');
        }
        std::io::Result::Ok(text)
    };
    let mut complaint = Vec::new();
    let read = async { tokio::try_join!(read_output, errors.read_to_end(&mut complaint)) };
    let (text, _) = read.await.map_err(BackendError::io(what))?;
    let status = process.wait().await.map_err(BackendError::io(what))?;
    if status.success() {
        return Ok(());
    }
    // Complaints go last: they say why.
    let output = tail(&format!("{text}{}", String::from_utf8_lossy(&complaint)));
    Err(BackendError::Command { what: what.into(), status, output })
}
