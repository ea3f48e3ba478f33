//! The asynchronous side on fakes, in paused time.
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{
    AsyncEvent, Clock as _, Destination, ErrorKind, EventId, FunctionName, InvokeError, StoreError, Subject,
    TraceHeader,
};
use pelton_engine::{EventDoor, EventPlan, EventPlans, Events, FunctionStatus, NewEvent, Shutdown, Supervisor};
use pelton_testkit::{FakeClock, FakeDestination, FakeEvents, FakeInvoker, Reply};
use tokio::time::Instant;
use uuid::Uuid;

pub const WORK: &str = "work:$LATEST";

/// `arn:…:function:` before a name with its qualifier.
pub fn function(name: &str) -> FunctionName {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}").parse().unwrap()
}

/// A plan as AWS's defaults have it, with nobody to tell.
pub fn plan(name: &str, invoker: &Arc<FakeInvoker>) -> EventPlan {
    EventPlan {
        function_arn: function(name).as_str().parse().unwrap(),
        invoker: invoker.clone(),
        maximum_retry_attempts: 2,
        maximum_event_age: Duration::from_secs(21_600),
        on_success: None,
        on_failure: None,
        dead_letter_queue: None,
        reserved_concurrency: None,
    }
}

pub fn to(destination: &Arc<FakeDestination>) -> Option<Arc<dyn Destination>> {
    Some(destination.clone())
}

/// A function that always raises.
pub fn raising() -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::deciding_on_event(|_| Reply::Raises))
}

pub fn scripted(script: impl IntoIterator<Item = Reply>) -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::scripted(script))
}

/// A throttle or another refusal, for ever.
pub fn refusing(kind: ErrorKind) -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::deciding_on_event(move |_| Reply::Refuses(kind)))
}

pub const THROTTLED: ErrorKind = ErrorKind::Throttled { retry_after: None };

/// Plans that a test can change.
#[derive(Default)]
pub struct FakePlans {
    plans: Mutex<HashMap<FunctionName, Result<EventPlan, ErrorKind>>>,
    bugs: AtomicU32,
}

impl FakePlans {
    pub fn set(&self, name: &str, plan: Result<EventPlan, ErrorKind>) {
        self.plans.lock().unwrap().insert(function(name), plan);
    }

    /// The next lookups panic.
    pub fn break_down(&self, times: u32) {
        self.bugs.store(times, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventPlans for FakePlans {
    async fn plan(&self, function: &FunctionName) -> Result<EventPlan, InvokeError> {
        let has_bug = self.bugs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        assert!(!has_bug, "a bug in a lookup");
        let known = self.plans.lock().unwrap().get(function).cloned().unwrap_or(Err(ErrorKind::Missing));
        known.map_err(|kind| InvokeError { function: function.to_string(), message: "no plan".into(), kind })
    }
}

pub struct World {
    pub queue: Arc<FakeEvents>,
    pub plans: Arc<FakePlans>,
    pub supervisor: Supervisor,
    pub events: Events,
    pub clock: Arc<FakeClock>,
    pub began: Instant,
}

impl World {
    /// One function.
    pub fn with(plan: EventPlan) -> Self {
        let world = Self::on(Arc::default(), 1.0);
        world.plans.set(WORK, Ok(plan));
        world
    }

    /// No function yet.
    pub fn on(queue: Arc<FakeEvents>, delay_scale: f64) -> Self {
        Self::beside(queue, Arc::default(), delay_scale)
    }

    pub fn beside(queue: Arc<FakeEvents>, plans: Arc<FakePlans>, delay_scale: f64) -> Self {
        let clock = Arc::new(FakeClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        Self::at(queue, plans, clock, delay_scale)
    }

    fn at(queue: Arc<FakeEvents>, plans: Arc<FakePlans>, clock: Arc<FakeClock>, delay_scale: f64) -> Self {
        let supervisor = Supervisor::new(clock.clone());
        let events = Events::start(queue.clone(), plans.clone(), clock.clone(), delay_scale, &supervisor.status());
        Self { queue, plans, supervisor, events, clock, began: Instant::now() }
    }

    /// The process is gone without a word, and another opens the queue.
    pub fn crash(self) -> Self {
        let Self { queue, plans, events, clock, .. } = self;
        drop(events);
        queue.reopen();
        Self::at(queue, plans, clock, 1.0)
    }

    /// The process ends properly, and another opens the queue.
    pub async fn restart(self, grace: Duration) -> (Self, Shutdown) {
        let Self { queue, plans, events, clock, .. } = self;
        let shutdown = events.shutdown(grace).await;
        queue.reopen();
        (Self::at(queue, plans, clock, 1.0), shutdown)
    }

    pub fn door(&self) -> EventDoor {
        self.events.door()
    }

    /// Hands an event in: `{"number": …}`, whose id is that number.
    pub async fn accept(&self, name: &str, number: u128) -> Result<(), StoreError> {
        self.door().accept(event(name, number)).await
    }

    /// Hands one in for [`WORK`].
    pub async fn send(&self, number: u128) {
        self.accept(WORK, number).await.unwrap();
    }

    pub fn status(&self, name: &str) -> FunctionStatus {
        self.status_if_any(name).unwrap()
    }

    /// `None` if it has got no events since the start.
    pub fn status_if_any(&self, name: &str) -> Option<FunctionStatus> {
        let arn = function(name).to_string();
        self.supervisor.status().functions().into_iter().find(|status| status.function_arn == arn)
    }

    /// Seconds since the start at which a function was invoked.
    pub fn times(&self, invoker: &FakeInvoker) -> Vec<f64> {
        invoker.seen().iter().map(|call| (call.at - self.began).as_secs_f64()).collect()
    }

    pub async fn until_empty(&self) {
        super::until("no event is left", async || self.queue.is_empty()).await;
    }

    /// Waits for longer than an event can wait.
    pub async fn until_over(&self) {
        for _ in 0..2_200 {
            if self.queue.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        panic!("an event is left: {:?}", self.queue.kept());
    }

    pub async fn stop(self) -> Shutdown {
        self.events.shutdown(Duration::from_secs(30)).await
    }
}

pub fn event(name: &str, number: u128) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::from_u128(number)),
        function: function(name),
        payload: Bytes::from(format!("{{\"number\":{number}}}")),
        client_context: Some("e30=".into()),
        trace: TraceHeader::received(Some("Root=1-67a-9c")),
    }
}

/// The same as a queue keeps it.
pub fn event_of(world: &World, number: u128) -> AsyncEvent {
    let NewEvent { id, function, payload, client_context, trace } = event(WORK, number);
    let now = world.clock.now();
    let (accepted_at, due_at) = (now, now);
    AsyncEvent { id, function, payload, client_context, trace, accepted_at, attempts: 0, refusals: 0, due_at }
}

/// Condition, `approximateInvokeCount`, and what the function answered.
pub fn told(destination: &FakeDestination) -> Vec<(&'static str, u32, Option<String>)> {
    let record = |record: pelton_core::ExecutionRecord| {
        let answer = match record.subject {
            Subject::Invocation { response_payload, .. } => response_payload.map(|payload| payload.get().to_owned()),
            Subject::Batch { .. } => None,
        };
        let context = record.request_context;
        (context.condition.as_str(), context.approximate_invoke_count, answer)
    };
    destination.accepted().into_iter().map(record).collect()
}

pub const RAISED: &str = "{\"errorMessage\":\"raised\",\"errorType\":\"Error\"}";
