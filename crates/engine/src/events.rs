//! The asynchronous side: events wait in a queue for their function, are tried again, and end with a report.
mod door;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use pelton_core::{Clock, EventQueue};
use tokio_util::task::TaskTracker;

use crate::{Shutdown, StatusHandle};
pub use door::{EventDoor, NewEvent};
pub use plan::{EventPlan, EventPlans};

/// Owns the tasks of all functions that have events.
pub struct Events {
    door: EventDoor,
}

impl Events {
    /// Begins with what waits in the queue. `delay_scale` multiplies every time of the asynchronous side: pauses between
    /// attempts, backoff, and the ages that events may reach; 1.0 is AWS's. Must be called within a tokio runtime.
    pub fn start(
        queue: Arc<dyn EventQueue>,
        _plans: Arc<dyn EventPlans>,
        clock: Arc<dyn Clock>,
        _delay_scale: f64,
        status: &StatusHandle,
    ) -> Self {
        let door =
            EventDoor { queue, clock, status: status.clone(), bell: Arc::default(), adding: TaskTracker::new() };
        Self { door }
    }

    /// Where events come in.
    pub fn door(&self) -> EventDoor {
        self.door.clone()
    }

    /// Takes no more events. Those that run may end within `grace`; the others wait for the next start.
    pub async fn shutdown(self, _grace: Duration) -> Shutdown {
        Shutdown::Clean
    }
}
