//! A child process that ends together with everything it has started.
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

const GRACE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);

/// A child process in a process group of its own: Ctrl-C in the terminal doesn't reach it, only its owner does.
///
/// Dropping it stops the whole group: SIGTERM, up to 5 s of grace, then SIGKILL to whoever is left.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    leader: Option<Pid>,
}

impl ProcessGroup {
    /// Starts a command as the leader of a new group.
    pub fn spawn(command: &mut Command) -> std::io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, leader })
    }

    /// Its standard input, once, if it was piped.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, if it was piped.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once, if it was piped.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for the leader to end. Cancel safe.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// How the leader ended, if it has.
    pub fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks the leader to end (SIGTERM): it may stop the others in order.
    pub fn ask_to_end(&self) {
        if let (Some(leader), Some(_)) = (self.leader, self.child.id()) {
            // Fails when it has ended meanwhile, which is what is wanted.
            let _ = kill_process(leader, Signal::TERM);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // Fails when nobody of the group is left, which is what is wanted.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        for _ in 0..GRACE.as_millis() / STEP.as_millis() {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            pause();
        }
        self.signal(Signal::KILL);
    }
}

#[expect(clippy::disallowed_methods, reason = "Drop can't await, and what it waits for takes milliseconds")]
fn pause() {
    std::thread::sleep(STEP);
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    fn runs(id: &str) -> bool {
        // A zombie has ended; whoever inherited it will notice.
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    }

    #[tokio::test]
    async fn takes_its_children_along_when_it_is_dropped() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 100 & echo $!; exec sleep 100"]).stdout(Stdio::piped());
        let mut group = ProcessGroup::spawn(&mut command).unwrap();
        let leader = group.child.id().unwrap().to_string();
        let mut lines = BufReader::new(group.take_stdout().unwrap()).lines();
        let grandchild = lines.next_line().await.unwrap().unwrap();
        assert!(runs(&leader) && runs(&grandchild));
        drop(group);
        let gone = async {
            while runs(&leader) || runs(&grandchild) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    }
}
