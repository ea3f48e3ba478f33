//! Who is told of an event that is given up.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pelton_core::{Destination, DestinationError, ExecutionRecord, FunctionName};

use crate::events::{EventPlan, EventPlans};
use crate::status::Part;

/// The destination that a function has now: after a refusal it is looked up again, because one that was set wrong, and
/// so refuses everything, can be set right.
pub(crate) struct Outlet {
    plans: Arc<dyn EventPlans>,
    function: FunctionName,
    part: Part,
    known: Arc<dyn Destination>,
    has_refused: AtomicBool,
}

impl Outlet {
    /// What a plan has for one part: its OnFailure destination or its dead-letter queue.
    pub fn of(plan: &EventPlan, part: Part, plans: &Arc<dyn EventPlans>, function: &FunctionName) -> Option<Self> {
        let (plans, function, has_refused) = (plans.clone(), function.clone(), AtomicBool::new(false));
        destination(plan, part).map(|known| Self { plans, function, part, known, has_refused })
    }

    async fn now(&self) -> Option<Arc<dyn Destination>> {
        if !self.has_refused.load(Ordering::Relaxed) {
            return Some(self.known.clone());
        }
        match self.plans.plan(&self.function).await {
            Ok(plan) => destination(&plan, self.part),
            // Nothing newer is known.
            Err(_) => Some(self.known.clone()),
        }
    }
}

fn destination(plan: &EventPlan, part: Part) -> Option<Arc<dyn Destination>> {
    match part {
        Part::DeadLetterQueue => plan.dead_letter_queue.clone(),
        _ => plan.on_failure.clone(),
    }
}

#[async_trait]
impl Destination for Outlet {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        let Some(destination) = self.now().await else {
            tracing::warn!("the destination that refused an execution record was taken away: nobody is to be told now");
            return Ok(());
        };
        let result = destination.deliver(record).await;
        self.has_refused.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    }
}
