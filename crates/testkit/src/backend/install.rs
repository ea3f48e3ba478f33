//! Installing something pinned, once, into a folder of its own.
use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::error::tail;
use super::{BackendError, ProcessGroup, Progress};

const WORD_EVERY: Duration = Duration::from_secs(3);
const LOCK_STEP: Duration = Duration::from_millis(200);

/// Makes a folder by `steps`, unless it was made before of just this content, at just this place.
///
/// A marker that is written last tells a finished installation from a broken one; a lock keeps a second process out
/// meanwhile. Cancelling leaves a broken one, which the next call replaces.
pub(super) async fn install(
    directory: &Path,
    content: &str,
    progress: Progress<'_>,
    steps: impl AsyncFnOnce(Installation<'_>) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let parent = directory.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).map_err(BackendError::io(format!("creating {}", parent.display())))?;
    let _lock = lock(&parent.join(format!("{name}.lock")), &name, progress).await?;

    let marker = directory.join("installed.txt");
    // With its place, because some of them don't work when they are moved.
    let wanted = format!("{content}\n{}\n", directory.display());
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(BackendError::io(format!("removing {}", directory.display())))?;
    }
    std::fs::create_dir(directory).map_err(BackendError::io(format!("creating {}", directory.display())))?;
    progress(&format!("installing {name}, once"));
    let started = Instant::now();
    steps(Installation { name: &name, progress }).await?;
    std::fs::write(&marker, wanted).map_err(BackendError::io(format!("writing {}", marker.display())))?;
    progress(&format!("installed {name} in {} s", started.elapsed().as_secs()));
    Ok(())
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

/// An installation under way.
pub(super) struct Installation<'a> {
    name: &'a str,
    progress: Progress<'a>,
}

impl Installation<'_> {
    /// Runs a command, and says every few seconds what it printed last. Gives its standard output.
    pub async fn run(&self, command: &mut Command, what: &str) -> Result<String, BackendError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = ProcessGroup::spawn(command).map_err(BackendError::io(what))?;
        let (Some(output), Some(mut errors)) = (process.take_stdout(), process.take_stderr()) else {
            unreachable!("both were piped")
        };
        let read_output = async {
            let (mut lines, mut text, mut word) = (BufReader::new(output).lines(), String::new(), Instant::now());
            while let Some(line) = lines.next_line().await? {
                if word.elapsed() >= WORD_EVERY {
                    let start: String = line.trim().chars().take(80).collect();
                    (self.progress)(&format!("{}: {start}", self.name));
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
            return Ok(text);
        }
        // Complaints go last: they say why.
        let output = tail(&format!("{text}{}", String::from_utf8_lossy(&complaint)));
        Err(BackendError::Command { what: what.into(), status, output })
    }
}

/// Runs a program to see whether it works: `Err` says what is wrong with it.
pub(super) async fn probe(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    let output = output.map_err(|_| "not found".to_owned())?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(complaint.lines().last().unwrap_or("doesn't run").to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;

    struct Place {
        _parent: tempfile::TempDir,
        directory: PathBuf,
        made: Mutex<u32>,
    }

    impl Place {
        fn new() -> Self {
            let parent = tempfile::tempdir().unwrap();
            let directory = parent.path().join("thing-1");
            Self { _parent: parent, directory, made: Mutex::new(0) }
        }

        async fn install(&self, content: &str, command: &str) -> Result<(), BackendError> {
            install(&self.directory, content, &|_| {}, async |installation| {
                *self.made.lock().unwrap() += 1;
                let mut shell = Command::new("sh");
                shell.args(["-c", command]).current_dir(&self.directory);
                installation.run(&mut shell, "making it").await.map(drop)
            })
            .await
        }

        fn made(&self) -> u32 {
            *self.made.lock().unwrap()
        }
    }

    #[tokio::test]
    async fn installs_once_and_again_when_the_pin_changes() {
        let place = Place::new();
        place.install("thing 1", "echo one >file").await.unwrap();
        place.install("thing 1", "echo one >file").await.unwrap();
        assert_eq!(place.made(), 1);
        place.install("thing 2", "test ! -e file && echo two >file").await.unwrap();
        assert_eq!(place.made(), 2);
        assert_eq!(std::fs::read_to_string(place.directory.join("file")).unwrap(), "two\n");
    }

    #[tokio::test]
    async fn replaces_an_installation_that_failed() {
        let place = Place::new();
        let error = place.install("thing 1", "echo half >half; echo no network >&2; exit 3").await.unwrap_err();
        assert!(error.to_string().contains("making it failed") && error.to_string().contains("no network"), "{error}");
        place.install("thing 1", "test ! -e half").await.unwrap();
        assert_eq!(place.made(), 2);
    }
}
