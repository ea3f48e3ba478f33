//! The asynchronous side: its queue, and what works on it.
use std::sync::Arc;
use std::time::Duration;

use pelton_config::Configuration;
use pelton_core::{EventQueue, SystemClock};
use pelton_engine::{EventDoor, EventPlans, Events, Shutdown, StatusHandle};
use pelton_source_async::SqsEventQueue;

use crate::aws::Aws;

/// Runs, if there is a queue.
pub struct Asynchronous {
    /// `Err`: why no event can be kept.
    events: Result<Events, String>,
    shared: Option<Arc<SqsEventQueue>>,
}

impl Asynchronous {
    /// Begins with what waits in `AsyncQueue`, or else in `queue`.
    pub async fn start(
        configuration: &Configuration,
        aws: &Aws,
        queue: Result<Arc<dyn EventQueue>, String>,
        plans: Arc<dyn EventPlans>,
        status: &StatusHandle,
    ) -> Self {
        let shared = match &configuration.async_queue {
            None => None,
            Some(arn) => {
                let config = aws.sqs_config(arn.region());
                let queue = SqsEventQueue::start(&config, arn.clone(), aws.idle_wait(), Arc::new(SystemClock));
                if let Err(error) = queue.check().await {
                    tracing::error!(queue = %arn, %error, "asynchronous invocations are refused until AsyncQueue can be used");
                }
                Some(Arc::new(queue))
            }
        };
        let queue = match &shared {
            Some(shared) => Ok(shared.clone() as Arc<dyn EventQueue>),
            None => queue,
        };
        let scale = configuration.delay_scale;
        if scale != 1.0 {
            tracing::warn!(scale, "AsyncInvocation.DelayScale: delays and ages of asynchronous events are not AWS's");
        }
        let events = queue.map(|queue| Events::start(queue, plans, Arc::new(SystemClock), scale, status));
        Self { events, shared }
    }

    /// Where events come in.
    pub fn door(&self) -> Result<EventDoor, String> {
        self.events.as_ref().map(Events::door).map_err(String::clone)
    }

    /// Takes no more events. Those in flight may end within `grace`.
    pub async fn shutdown(self, grace: Duration) -> Shutdown {
        let outcome = match self.events {
            Ok(events) => events.shutdown(grace).await,
            Err(_) => Shutdown::Clean,
        };
        if let Some(shared) = self.shared {
            shared.close().await;
        }
        outcome
    }
}
