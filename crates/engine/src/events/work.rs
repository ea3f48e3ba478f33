//! One event, from its taking to its end or its next wait: invoke, decide, report, settle.
//!
//! **Hops.** An event keeps the trace header that it came with. The function gets that header one hop further, and so
//! does a function that is invoked with its execution record: an SDK inside a function sends the header on, so that what
//! it invokes comes in with one hop more. Nothing else counts hops.
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use pelton_core::{
    AsyncEvent, Call, Clock, Condition, ErrorKind, EventInvokeConfig, EventQueue, ExecutionRecord, InvokeError,
    Response, StoreError,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::Backoff;
use crate::events::attempt::{self, MAXIMUM_HOPS, Next, Policy};
use crate::events::outlet::Outlet;
use crate::events::pace::Asked;
use crate::events::{EventPlan, EventPlans};
use crate::idle::idle;
use crate::report;
use crate::response::describe_function_error;
use crate::status::{EventWatch, InFlight, Part};

/// Pauses after a throttle or an error of the service (developer guide, "Asynchronous invocation": from one second to
/// five minutes).
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_secs(300);
const STORE_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_STORE_PAUSE: Duration = Duration::from_secs(10);

/// What all lines have in common.
pub(crate) struct Shared {
    pub queue: Arc<dyn EventQueue>,
    pub plans: Arc<dyn EventPlans>,
    pub clock: Arc<dyn Clock>,
    pub delay_scale: f64,
    pub shutdown: CancellationToken,
    /// Every event that is worked on.
    pub working: TaskTracker,
}

/// What came of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Whether the function was asked.
    pub asked: Asked,
    /// When it is due again, if it waits.
    pub due_at: Option<Timestamp>,
}

impl Done {
    fn ended(asked: Asked) -> Self {
        Self { asked, due_at: None }
    }
}

/// A taken event.
pub(crate) struct Work {
    pub shared: Arc<Shared>,
    pub watch: Arc<EventWatch>,
    /// The plan, or why there is no such function.
    pub plan: Arc<Result<EventPlan, InvokeError>>,
    pub event: AsyncEvent,
    /// The function's slot, where it has slots.
    pub permit: Option<OwnedSemaphorePermit>,
}

impl Work {
    /// Works on it. An event whose work panics waits as if the function had refused it.
    pub async fn run(mut self) -> Done {
        let span = tracing::info_span!("event", function = %self.event.function, request_id = %self.event.id);
        let work = async {
            if let Ok(done) = AssertUnwindSafe(self.work()).catch_unwind().await {
                return done;
            }
            tracing::error!("the work on an asynchronous event panicked, trying again");
            let error = self.internal_error();
            self.permit = None;
            self.refused(&error, &self.policy()).await
        };
        work.instrument(span).await
    }

    fn internal_error(&self) -> InvokeError {
        let (function, message) = (self.event.function.to_string(), "internal error: a panic".to_owned());
        InvokeError { function, message, kind: ErrorKind::Transient }
    }

    fn policy(&self) -> Policy {
        let delay_scale = self.shared.delay_scale;
        match &*self.plan {
            Ok(plan) => Policy::of(plan, delay_scale),
            // Only age counts: nobody could be told of anything else.
            Err(_) => Policy {
                maximum_retry_attempts: EventInvokeConfig::DEFAULT_RETRY_ATTEMPTS,
                maximum_event_age: EventInvokeConfig::LONGEST_EVENT_AGE,
                may_run: true,
                delay_scale,
            },
        }
    }

    async fn work(&mut self) -> Done {
        let (event, policy) = (&self.event, self.policy());
        let now = self.shared.clock.now();
        if self.shared.shutdown.is_cancelled() {
            // Taken, but not begun.
            self.put_back(event.clone()).await;
            return Done::ended(Asked::Not);
        }
        let looked_up = self.plan.clone();
        let plan = match &*looked_up {
            Ok(plan) => plan,
            Err(error) => return self.refused(error, &policy).await,
        };
        if let Some(condition) = attempt::before(event, &policy, now) {
            self.permit = None;
            self.give_up(condition, self.event.attempts, None).await;
            return Done::ended(Asked::Not);
        }
        self.watch.note_age(Duration::try_from(now.duration_since(event.accepted_at)).unwrap_or_default());
        let call = Call {
            payload: event.payload.clone(),
            request_id: Some(event.id.0),
            trace_header: Some(event.trace.next_hop().to_string()),
            client_context: event.client_context.clone(),
            wants_log: false,
        };
        let metrics = &self.watch.metrics;
        let started = Instant::now();
        let result = {
            let _running = InFlight::new(&metrics.in_flight);
            plan.invoker.call(&event.function, call).await
        };
        metrics.duration.observe(started.elapsed().as_secs_f64());
        // The function is free: another event may have it while this one is reported and settled.
        self.permit = None;
        match result {
            Ok(response) => self.answered(response, &policy).await,
            Err(error) => self.refused(&error, &policy).await,
        }
    }

    async fn answered(&self, response: Response, policy: &Policy) -> Done {
        let metrics = &self.watch.metrics;
        metrics.invocations.inc();
        match &response.function_error {
            None => {
                self.watch.works(Part::Function);
                tracing::info!(attempts = self.event.attempts + 1, "asynchronous event processed");
            }
            Some(error) => {
                metrics.errors.inc();
                let reason = describe_function_error(error, &response.payload);
                self.watch.trouble(Part::Function, &reason);
                tracing::warn!(attempts = self.event.attempts + 1, reason, "asynchronous event failed");
            }
        }
        let now = self.shared.clock.now();
        match attempt::after_answer(&self.event, response.function_error.is_some(), policy, now) {
            Next::Succeed => {
                self.succeed(&response).await;
                Done::ended(Asked::Answered)
            }
            Next::Wait { attempts, refusals, due_at } => {
                metrics.retries.inc();
                self.wait(Asked::Answered, attempts, refusals, due_at).await
            }
            Next::GiveUp { condition, attempts } => {
                self.give_up(condition, attempts, Some(&response)).await;
                Done::ended(Asked::Answered)
            }
        }
    }

    async fn refused(&self, error: &InvokeError, policy: &Policy) -> Done {
        let metrics = &self.watch.metrics;
        match error.kind {
            ErrorKind::Throttled { .. } => metrics.throttles.inc(),
            _ => metrics.service_errors.inc(),
        };
        if self.watch.trouble(Part::Function, &error.to_string()) {
            tracing::warn!(%error, "the function can't be invoked");
        }
        let refusals = self.event.refusals.saturating_add(1);
        let scaled = |pause: Duration| pause.mul_f64(self.shared.delay_scale);
        let pause = Backoff::after(refusals, scaled(REFUSED_PAUSE), scaled(LONGEST_REFUSED_PAUSE));
        let pause = pause.max(error.retry_after().unwrap_or_default());
        // Without a plan there is no attempt that could be the last: only age ends the event.
        let kind = if self.plan.is_ok() { error.kind } else { ErrorKind::Missing };
        match attempt::after_refusal(&self.event, kind, pause, policy, self.shared.clock.now()) {
            Next::Wait { attempts, refusals, due_at } => self.wait(Asked::Refused, attempts, refusals, due_at).await,
            Next::GiveUp { condition, attempts } => {
                self.give_up(condition, attempts, None).await;
                Done::ended(Asked::Not)
            }
            // No refusal is a success.
            Next::Succeed => Done::ended(Asked::Not),
        }
    }

    async fn succeed(&self, response: &Response) {
        if let Ok(plan @ EventPlan { on_success: Some(destination), .. }) = &*self.plan {
            let attempts = self.event.attempts.saturating_add(1);
            let record = self.record(plan, Condition::Success, attempts, Some(response));
            report::offer(&**destination, &record, &*self.watch, &self.shared.shutdown).await;
        }
        self.remove().await;
    }

    /// Reports what is given up to all who are to be told, then forgets it. Not before they have accepted it: should
    /// shutdown come first, it waits for the next start, when it is reported without the answer.
    async fn give_up(&self, condition: Condition, attempts: u32, response: Option<&Response>) {
        let told = match &*self.plan {
            Ok(plan) => self.report(plan, condition, attempts, response).await,
            Err(_) => Told::Nobody,
        };
        let condition = condition.as_str();
        match told {
            Told::NotYet => {
                let due_at = self.shared.clock.now();
                self.put_back(AsyncEvent { attempts, due_at, ..self.event.clone() }).await;
                return;
            }
            Told::Accepted => tracing::warn!(condition, attempts, "an asynchronous event is given up, and reported"),
            Told::Nobody => {
                tracing::warn!(condition, attempts, "an asynchronous event is dropped: nobody is to be told");
            }
        }
        if self.remove().await {
            self.watch.metrics.dropped.inc();
        }
    }

    async fn report(&self, plan: &EventPlan, condition: Condition, attempts: u32, response: Option<&Response>) -> Told {
        let record = self.record(plan, condition, attempts, response);
        let on_failure = async {
            // Each report of an event that went too far may be the event of another function: a circle of reports.
            if self.event.trace.hops() > 2 * MAXIMUM_HOPS {
                tracing::error!("OnFailure destinations are functions that report to each other in a circle");
                return Told::Nobody;
            }
            self.insist(plan, Part::OnFailure, &record).await
        };
        let (reported, dead_lettered) =
            futures_util::join!(on_failure, self.insist(plan, Part::DeadLetterQueue, &record));
        reported.max(dead_lettered)
    }

    fn record(
        &self,
        plan: &EventPlan,
        condition: Condition,
        attempts: u32,
        response: Option<&Response>,
    ) -> ExecutionRecord {
        report::of_event(&self.event, &plan.function_arn, &*self.shared.clock, condition, response, attempts)
    }

    async fn insist(&self, plan: &EventPlan, part: Part, record: &ExecutionRecord) -> Told {
        let Some(outlet) = Outlet::of(plan, part, &self.shared.plans, &self.event.function) else {
            return Told::Nobody;
        };
        match report::insist(&outlet, record, part, &*self.watch, &self.shared.shutdown).await {
            true => Told::Accepted,
            false => Told::NotYet,
        }
    }

    async fn wait(&self, asked: Asked, attempts: u32, refusals: u32, due_at: Timestamp) -> Done {
        let waits = self.put_back(AsyncEvent { attempts, refusals, due_at, ..self.event.clone() }).await;
        Done { asked, due_at: waits.then_some(due_at) }
    }

    async fn put_back(&self, event: AsyncEvent) -> bool {
        self.settle(|| self.shared.queue.put_back(&event)).await
    }

    async fn remove(&self) -> bool {
        let is_gone = self.settle(|| self.shared.queue.remove(self.event.id)).await;
        if is_gone {
            self.watch.ended();
        }
        is_gone
    }

    /// Writes until it is written. False: shutdown came first; the event stays taken and begins again with the next
    /// start.
    async fn settle<F: Future<Output = Result<(), StoreError>>>(&self, mut write: impl FnMut() -> F) -> bool {
        let mut backoff = Backoff::new(STORE_PAUSE, LONGEST_STORE_PAUSE);
        loop {
            let Err(error) = write().await else {
                self.watch.works(Part::Store);
                return true;
            };
            if self.watch.trouble(Part::Store, &error.to_string()) {
                tracing::warn!(%error, "an asynchronous event can't be settled, trying again");
            }
            if !idle(backoff.next_delay(), &self.shared.shutdown).await {
                return false;
            }
        }
    }
}

/// Who knows of an event that is given up. The greatest of several counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nobody,
    Accepted,
    NotYet,
}
