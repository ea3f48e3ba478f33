//! Where one process is in its life.
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::queue::Invocation;
use super::runtime_api::Delivery;
use super::status::Mark;

/// The states of [`super::worker`]'s picture. A deadline is when the process is taken to hang.
#[expect(clippy::large_enum_variant, reason = "there is one for each process")]
pub enum Phase {
    /// Started, and not yet heard of.
    Initialising { deadline: Instant },
    /// Waits for an invocation.
    Idle { next: oneshot::Sender<Delivery> },
    /// Runs one.
    Busy { invocation: Invocation, deadline: Instant, _mark: Mark },
    /// Has answered, and owes a `next`.
    Settling { deadline: Instant },
    /// Has reported that it can't initialise, and should end by itself.
    Failed { error: Bytes, deadline: Instant },
}

/// What ends a phase without a word from the process.
pub enum Ended {
    /// It has taken too long.
    Overdue,
    /// The connection on which it waited for an invocation is gone.
    HungUp,
}

impl Phase {
    /// Ends at the deadline, or when an idle process breaks off its poll.
    pub async fn ended(&mut self) -> Ended {
        match self.deadline() {
            Some(deadline) => {
                sleep_until(deadline).await;
                Ended::Overdue
            }
            None => {
                if let Self::Idle { next } = self {
                    next.closed().await;
                }
                Ended::HungUp
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Idle { .. } => None,
            Self::Initialising { deadline }
            | Self::Busy { deadline, .. }
            | Self::Settling { deadline }
            | Self::Failed { deadline, .. } => Some(*deadline),
        }
    }
}
