//! What each attempt at an asynchronous event works with: looked up anew, so that a change counts for what waits.
use std::sync::Arc;

use async_trait::async_trait;
use pelton_api::EventInvokeConfigs;
use pelton_core::{Arn, DestinationArn, ErrorKind, EventInvokeConfig, FunctionName, InvokeError, Invoker};
use pelton_engine::{EventPlan, EventPlans};

use super::outlets::Remote;
use super::surroundings::World;

/// Looks plans up.
pub struct Plans {
    world: Arc<World>,
    configs: EventInvokeConfigs,
}

impl Plans {
    pub fn new(world: Arc<World>, configs: EventInvokeConfigs) -> Self {
        Self { world, configs }
    }
}

#[async_trait]
impl EventPlans for Plans {
    async fn plan(&self, function: &FunctionName) -> Result<EventPlan, InvokeError> {
        let failed = |kind, message| InvokeError { function: function.to_string(), message, kind };
        let arn: Arn = function.as_str().parse().map_err(|error| failed(ErrorKind::Payload, format!("{error}")))?;
        let config = self.configs.of(&arn).await;
        let config = config.map_err(|error| failed(ErrorKind::Transient, error.to_string()))?;
        let now = self.world.now();
        let (outlets, home) = (&now.outlets, arn.region());
        let (invoker, remote): (Arc<dyn Invoker>, Remote) = match now.local(function.name()) {
            Some(local) => {
                let reserved_concurrency = local.settings.reserved_concurrency;
                (local.invoker.clone(), Remote { dead_letter_queue: None, reserved_concurrency })
            }
            None => (outlets.invoker(home), outlets.remote(&arn).await?),
        };
        let destination = |to: Option<&DestinationArn>| Some(outlets.destination(to?, home, None, &now.functions));
        let of_file = now.dead_letter_queues.get(function.name()).map(|target| target.arn().to_string());
        let dead_letter_queue = of_file.or(remote.dead_letter_queue);
        let retries = config.maximum_retry_attempts;
        Ok(EventPlan {
            invoker,
            maximum_retry_attempts: retries.unwrap_or(EventInvokeConfig::DEFAULT_RETRY_ATTEMPTS),
            maximum_event_age: config.maximum_event_age.unwrap_or(EventInvokeConfig::LONGEST_EVENT_AGE),
            on_success: destination(config.on_success.as_ref()),
            on_failure: destination(config.on_failure.as_ref()),
            dead_letter_queue: dead_letter_queue.map(|target| outlets.dead_letter_queue(&target, home)),
            reserved_concurrency: remote.reserved_concurrency,
            function_arn: arn,
        })
    }
}
