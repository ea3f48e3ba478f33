//! One run: the whole engine on the simulated world, from the first message to the last.
use std::cell::Cell;
use std::sync::{Arc, Once};
use std::time::Duration;

use pelton_core::{Arn, Destination, FunctionName, Mapping, MappingId, SystemClock};
use pelton_engine::{Plan, Shutdown, Supervisor};
use pelton_pattern::{Decoding, Filters};
use pelton_testkit::FakeQueue;
use tokio::time::Instant;

use crate::defect::{Defect, DefectiveSource};
use crate::function::Function;
use crate::ledger::Ledger;
use crate::network::{Line, RemoteDestination, RemoteQueue};
use crate::schedule::{LONG_GRACE, Operation, Schedule};

/// How long the system is off between an end and a new start.
const OFF: Duration = Duration::from_millis(700);

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that happened at the seams, with times.
    pub trace: Vec<String>,
    /// What should not have.
    pub violations: Vec<String>,
}

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts panics by thread: the supervisor survives them, but there must be none.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
    PANICS.set(0);
}

/// Runs a schedule in paused time.
pub fn run(schedule: &Schedule, defect: Option<Defect>) -> Outcome {
    count_panics();
    // The engine's jitter.
    fastrand::seed(schedule.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(schedule, defect);
        world.live().await;
        let panics = PANICS.replace(0);
        if panics > 0 {
            world.ledger.violation(format!("panic: {panics} of them"));
        }
        let (trace, violations) = world.ledger.take();
        Outcome { trace, violations }
    })
}

struct World<'a> {
    schedule: &'a Schedule,
    ledger: Arc<Ledger>,
    queue: Arc<FakeQueue>,
    remote: Arc<RemoteQueue>,
    function: Arc<Function>,
    on_failure: Arc<RemoteDestination>,
    plan: Plan,
}

impl<'a> World<'a> {
    fn new(schedule: &'a Schedule, defect: Option<Defect>) -> Self {
        let ledger = Arc::new(Ledger::new(schedule));
        let queue = FakeQueue::new(schedule.visibility);
        let queue = Arc::new(match schedule.maximum_receives {
            Some(receives) => queue.with_maximum_receives(receives),
            None => queue,
        });
        let line = |salt| Line::new(schedule, &ledger, salt);
        let remote = Arc::new(RemoteQueue { line: line(1), queue: queue.clone() });
        let loses_records = defect == Some(Defect::LosesRecords);
        let on_failure = Arc::new(RemoteDestination { line: line(2), on_failure: !loses_records });
        let on_success = Arc::new(RemoteDestination { line: line(3), on_failure: false });
        let function = match defect {
            Some(Defect::ExceedsConcurrency) => Schedule { slots: None, ..schedule.clone() },
            _ => schedule.clone(),
        };
        let function = Arc::new(Function::new(&function, &ledger, &queue));
        let plan = Plan {
            mapping: mapping(schedule, defect),
            source: Arc::new(DefectiveSource { inner: remote.clone(), defect }),
            invoker: function.clone(),
            on_success: schedule.on_success.then_some(on_success as Arc<dyn Destination>),
            on_failure: schedule.on_failure.then(|| on_failure.clone() as Arc<dyn Destination>),
            store: None,
        };
        Self { schedule, ledger, queue, remote, function, on_failure, plan }
    }

    fn start(&self) -> Supervisor {
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        supervisor.start(self.plan.clone());
        supervisor
    }

    async fn live(&self) {
        let started = Instant::now();
        let mut supervisor = self.start();
        let mut messages = self.schedule.messages.iter().peekable();
        let mut operations = self.schedule.operations.iter().peekable();
        loop {
            let message_at = messages.peek().map(|message| message.at);
            let operation_at = operations.peek().map(|(at, _)| *at);
            let Some(at) = message_at.into_iter().chain(operation_at).min() else { break };
            tokio::time::sleep_until(started + at).await;
            if message_at == Some(at) {
                let Some(message) = messages.next() else { break };
                self.ledger.note(format_args!("send {}", message.id));
                self.queue.send_sized(&message.id, message.group.as_deref(), 0);
            } else if let Some((_, operation)) = operations.next() {
                self.ledger.note(format_args!("{operation:?}"));
                supervisor = self.operate(*operation, supervisor).await;
            }
        }
        let deadline = started + self.schedule.deadline();
        while !self.queue.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let (deleted, dead) = (self.queue.deleted().len(), self.queue.dead().len());
        self.ledger.note(format_args!("deleted: {deleted}, in the dead-letter queue: {dead}"));
        let status = supervisor.status();
        if supervisor.shutdown(LONG_GRACE).await != Shutdown::Clean {
            self.ledger.violation("hang: the last shutdown was cut short");
        }
        let status = status.mappings().remove(0);
        let mut counts = vec![("in flight", status.in_flight, 0), ("pollers", status.pollers, 0)];
        if self.schedule.calm && self.schedule.heartbeat && self.schedule.operations.is_empty() {
            counts.push(("deleted", status.deleted, self.queue.deleted().len() as u64));
            counts.push(("reported", status.reported_failures, self.ledger.records()));
            counts.push(("expired", status.expired_receipts, 0));
            counts.push(("undelivered", status.destination_delivery_failures, 0));
        }
        for (what, count, expected) in counts.into_iter().filter(|(_, count, expected)| count != expected) {
            self.ledger.violation(format!("status: {what} {count}, not {expected}"));
        }
        self.ledger.finish(&self.queue);
    }

    async fn operate(&self, operation: Operation, supervisor: Supervisor) -> Supervisor {
        match operation {
            Operation::QueueDown(time) => self.remote.line.go_down(time),
            Operation::FunctionDown(time) => self.function.go_down(time),
            Operation::DestinationDown(time) => self.on_failure.line.go_down(time),
            Operation::Restart(grace) => {
                let begun = Instant::now();
                let shutdown = supervisor.shutdown(grace).await;
                self.ledger.note(format_args!("stopped: {shutdown:?}"));
                if shutdown == Shutdown::Clean {
                    self.ledger.stopped(&self.queue);
                }
                if begun.elapsed() > grace + Duration::from_secs(1) {
                    self.ledger.violation("hang: a shutdown took longer than its grace");
                }
                tokio::time::sleep(OFF).await;
                return self.start();
            }
            Operation::Abort => {
                drop(supervisor);
                tokio::time::sleep(OFF).await;
                return self.start();
            }
        }
        supervisor
    }
}

fn mapping(schedule: &Schedule, defect: Option<Defect>) -> Mapping {
    let event_source: Arn = "arn:aws:sqs:us-east-1:000000000000:orders".parse().unwrap();
    let function: FunctionName = "work".parse().unwrap();
    let filtered = schedule.messages.iter().any(|message| message.id.starts_with('-'));
    let filters = match filtered && defect != Some(Defect::IgnoresFilters) {
        true => Filters::compile(&[r#"{"messageId": [{"anything-but": {"prefix": "-"}}]}"#], Decoding::Sqs).unwrap(),
        false => Filters::default(),
    };
    let unlimited = defect == Some(Defect::ExceedsConcurrency);
    Mapping {
        id: MappingId::of("orders", "work"),
        function_arn: function.arn(&event_source).unwrap(),
        event_source,
        function,
        enabled: true,
        batch_size: schedule.batch_size + if defect == Some(Defect::ExceedsBatchSize) { 3 } else { 0 },
        batching_window: schedule.window,
        filters,
        report_batch_item_failures: schedule.report_batch_item_failures,
        maximum_concurrency: schedule.maximum_concurrency.filter(|_| !unlimited),
        on_success: None,
        on_failure: None,
        overflow_bucket: None,
        maximum_retry_attempts: schedule.maximum_retry_attempts,
        visibility_heartbeat: schedule.heartbeat,
        stream: None,
        tags: Default::default(),
    }
}
