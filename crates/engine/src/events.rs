//! The asynchronous side: events wait in a queue for their function, are tried again, and end with a report.
//!
//! ```text
//!  door.rs ──add──▶ EventQueue ──take──▶ line.rs ──▶ work.rs: invoke ──▶ attempt.rs ──▶ report ──▶ remove
//!     │                  ▲                  ▲                                │
//!     │                  └──────────────────│────────── put back ────────────┘
//!     └───────────────────ring──────────────┘
//! ```
//!
//! Each function with events has a *line*, so that one whose function is slow, throttled or gone holds up no other. A
//! line with nothing left ends.
mod attempt;
mod door;
mod line;
mod outlet;
mod pace;
mod plan;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{Clock, EventQueue, FunctionName};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::door::Bell;
use crate::events::line::Line;
use crate::events::work::Shared;
use crate::idle::idle;
use crate::{Backoff, Shutdown, StatusHandle};
pub use door::{EventDoor, NewEvent};
pub use plan::{EventPlan, EventPlans};

const LISTING_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_LISTING_PAUSE: Duration = Duration::from_secs(30);
/// The range of the scale: six hours as 22 ms at one end, as eight months at the other.
const SCALES: std::ops::RangeInclusive<f64> = 0.000_001..=1_000.0;

/// Owns the tasks of all functions that have events.
pub struct Events {
    door: EventDoor,
    shared: Arc<Shared>,
    lines: JoinSet<()>,
}

impl Events {
    /// Begins with what waits in the queue. `delay_scale` multiplies every time of the asynchronous side: pauses between
    /// attempts, backoff, and the ages that events may reach. 1.0 is AWS's; what lies outside of 0.000001..=1,000 counts
    /// as the nearer end. Must be called within a tokio runtime.
    pub fn start(
        queue: Arc<dyn EventQueue>,
        plans: Arc<dyn EventPlans>,
        clock: Arc<dyn Clock>,
        delay_scale: f64,
        status: &StatusHandle,
    ) -> Self {
        let bell = Arc::new(Bell::default());
        let door = EventDoor {
            queue: queue.clone(),
            clock: clock.clone(),
            status: status.clone(),
            bell: bell.clone(),
            adding: TaskTracker::new(),
        };
        let shared = Arc::new(Shared {
            queue,
            plans,
            clock,
            // No number is no scale.
            delay_scale: if delay_scale.is_nan() { 1.0 } else { delay_scale.clamp(*SCALES.start(), *SCALES.end()) },
            shutdown: CancellationToken::new(),
            working: TaskTracker::new(),
        });
        let mut lines = JoinSet::new();
        lines.spawn(find_waiting(shared.clone(), status.clone(), bell.clone()));
        let running =
            Lines { shared: shared.clone(), status: status.clone(), wakes: HashMap::new(), tasks: JoinSet::new() };
        lines.spawn(running.run(bell));
        Self { door, shared, lines }
    }

    /// Where events come in.
    pub fn door(&self) -> EventDoor {
        self.door.clone()
    }

    /// Takes no more events. Invocations in flight may end within `grace`; what waits or was cut off is executed after
    /// the next start.
    pub async fn shutdown(mut self, grace: Duration) -> Shutdown {
        self.shared.shutdown.cancel();
        let all_ended = async { while self.lines.join_next().await.is_some() {} };
        let outcome = match tokio::time::timeout(grace, all_ended).await {
            Ok(()) => Shutdown::Clean,
            Err(_) => {
                self.lines.shutdown().await;
                Shutdown::Cut
            }
        };
        // Tasks that were cut off are gone only when they have noticed.
        self.shared.working.close();
        self.shared.working.wait().await;
        outcome
    }
}

/// Wakes the lines of all functions that have events from before.
async fn find_waiting(shared: Arc<Shared>, status: StatusHandle, bell: Arc<Bell>) {
    let mut backoff = Backoff::new(LISTING_PAUSE, LONGEST_LISTING_PAUSE);
    loop {
        let Some(listed) = shared.shutdown.run_until_cancelled(shared.queue.waiting()).await else { return };
        match listed {
            Ok(waiting) => {
                for one in waiting {
                    status.function(&one.function).found(one.events);
                    bell.ring(one.function);
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "the asynchronous events that wait can't be listed, trying again");
                if !idle(backoff.next_delay(), &shared.shutdown).await {
                    return;
                }
            }
        }
    }
}

/// The lines of all functions that have something to do.
struct Lines {
    shared: Arc<Shared>,
    status: StatusHandle,
    wakes: HashMap<FunctionName, mpsc::Sender<()>>,
    tasks: JoinSet<Line>,
}

impl Lines {
    async fn run(mut self, bell: Arc<Bell>) {
        loop {
            let shared = &self.shared;
            tokio::select! {
                // The one that is ready most often last, so that it can't keep the others waiting.
                biased;
                () = shared.shutdown.cancelled() => break,
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(line) => self.ended(line),
                    Err(error) => tracing::error!(%error, "a line of asynchronous events was lost"),
                },
                function = shared.queue.arrival() => self.wake(function),
                functions = bell.rung() => functions.into_iter().for_each(|function| self.wake(function)),
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn wake(&mut self, function: FunctionName) {
        if let Some(wake) = self.wakes.get(&function) {
            // Full: it is woken already. It can't be closed, or it would not be here.
            let _ = wake.try_send(());
            return;
        }
        let watch = self.status.function(&function);
        let (line, wake) = Line::new(self.shared.clone(), function.clone(), watch);
        self.wakes.insert(function, wake);
        self.tasks.spawn(line.run());
    }

    fn ended(&mut self, mut line: Line) {
        if line.is_woken() {
            self.tasks.spawn(line.run());
        } else {
            self.wakes.remove(line.function());
        }
    }
}
