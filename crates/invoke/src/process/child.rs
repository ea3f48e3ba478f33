//! One process and everything it started.
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child as TokioChild, ChildStderr, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::output::Output;

/// How long output is read on after the process has ended. Only a grandchild that left the process group can keep the
/// pipe open for longer.
const OUTPUT_DRAIN: Duration = Duration::from_secs(1);

/// A running process, leader of a process group of its own. Dropping it kills the whole group.
#[derive(Debug)]
pub struct Child {
    child: TokioChild,
    group: Group,
    readers: JoinSet<()>,
}

impl Child {
    /// Starts the command with its output going where `output` says.
    pub fn start(mut command: Command, output: &mut Output) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let mut readers = JoinSet::new();
        let pipes = [
            ("stdout", child.stdout.take().map(ChildStdout::into_owned_fd)),
            ("stderr", child.stderr.take().map(ChildStderr::into_owned_fd)),
        ];
        for (name, pipe) in pipes {
            if let Some(pipe) = pipe {
                let stream = output.attach(name, pipe?)?;
                readers.spawn(async move { stream.forward().await });
            }
        }
        Ok(Self { child, group, readers })
    }

    /// Waits for the process to end by itself. Cancel safe.
    pub async fn exited(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks the group to end, then kills what is left of it after `grace`. Returns when the process is gone and its
    /// last words are in the log.
    pub async fn end(mut self, grace: Duration) {
        if !grace.is_zero() {
            self.group.signal(Signal::TERM);
            // Whether it obeyed shows below.
            let _obeyed = timeout(grace, self.child.wait()).await;
        }
        self.group.signal(Signal::KILL);
        // An error means that somebody else has reaped it.
        let _reaped = self.child.wait().await;
        self.group.0 = None;
        let readers = &mut self.readers;
        let _drained = timeout(OUTPUT_DRAIN, async { while readers.join_next().await.is_some() {} }).await;
    }
}

#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The only possible error is that nothing is left of the group.
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
