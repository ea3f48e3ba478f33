//! The packages of npm that scripts of tests import.
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pelton_testkit::backend::directory;

const PACKAGE: &str = include_str!("../javascript/package.json");
const LOCK: &str = include_str!("../javascript/package-lock.json");

/// A folder of `target/backends` with just the packages of `tests/javascript/package-lock.json`. Installs them if need be.
pub async fn javascript() -> PathBuf {
    tokio::task::spawn_blocking(installed).await.unwrap()
}

fn installed() -> PathBuf {
    let folder = directory().join("javascript");
    std::fs::create_dir_all(&folder).unwrap();
    // One test installs, and the others wait for it. The copy of the lock file is written last: it says what is there.
    let lock = File::create(directory().join("javascript.lock")).unwrap();
    lock.lock().unwrap();
    let marker = folder.join("installed.json");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == LOCK) {
        return folder;
    }
    std::fs::write(folder.join("package.json"), PACKAGE).unwrap();
    std::fs::write(folder.join("package-lock.json"), LOCK).unwrap();
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder).stdin(Stdio::null());
    let output = npm.output().expect("the AWS SDK for JavaScript needs Node.js 20 or later, with npm");
    assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(marker, LOCK).unwrap();
    folder
}
