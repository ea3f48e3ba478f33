//! What becomes of the processes when Pelton is killed and can't end them.
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Code, eventually, is_alive, result};

/// Set in the process that is to be killed.
const VICTIM: &str = "PELTON_TEST_VICTIM";

/// Not a test by itself: the body of the process that [`runtimes_end_when_pelton_is_killed`] kills.
#[tokio::test]
async fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let python = Code::python("import os\ndef handler(event, context):\n    return os.getpid()\n");
    let node = Code::new("nodejs", "index.js", "exports.handler = async () => process.pid", "index.handler");
    let (python, node) = (python.start().await, node.start().await);
    let processes = [result(&python, "{}").await, result(&node, "{}").await];
    let mut stderr = std::io::stderr();
    writeln!(stderr, "PROCESSES {}", Value::from(processes.to_vec())).unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}

#[tokio::test]
async fn runtimes_end_when_pelton_is_killed() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphans::victim", "--nocapture"])
        .env(VICTIM, "yes")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("PROCESSES ").map(str::to_owned));
    let processes: Vec<Value> = serde_json::from_str(&line.unwrap()).unwrap();
    assert!(processes.iter().all(is_alive));
    victim.kill().unwrap();
    victim.wait().unwrap();
    for process in &processes {
        eventually("the process has noticed", || !is_alive(process)).await;
    }
}
