//! One run: the stream side of the engine on the simulated world, from the first record to the last.
use std::cell::Cell;
use std::sync::{Arc, Once, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{Arn, Clock, Destination, FunctionName, Mapping, MappingId, StartingPosition, StreamSettings};
use pelton_engine::{Plan, Shutdown, Supervisor, lane_of};
use pelton_pattern::{Decoding, Filters};
use pelton_testkit::{FakeClock, FakeStream, shard};
use tokio::time::Instant;

use crate::defect::Defect;
use crate::function::Function;
use crate::ledger::{Due, Ledger};
use crate::schedule::{LONG_GRACE, Operation, Put, Schedule, Start};
use crate::world::{Remote, is_known};

/// How long the system is off between an end and a new start.
const OFF: Duration = Duration::from_millis(700);
/// Hashes of keys are below this.
const HASHES: usize = 1024;

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
        let mut world = World::new(schedule, defect);
        world.live().await;
        let panics = PANICS.replace(0);
        if panics > 0 {
            world.ledger.violation(format!("panic: {panics} of them"));
        }
        let (trace, violations) = world.ledger.take();
        Outcome { trace, violations }
    })
}

/// A shard that takes the records whose keys have these hashes.
#[derive(Debug, Clone, Copy)]
struct Open {
    number: usize,
    from: usize,
    to: usize,
}

struct World<'a> {
    schedule: &'a Schedule,
    defect: Option<Defect>,
    ledger: Arc<Ledger>,
    clock: Arc<FakeClock>,
    began_at: Timestamp,
    stream: Arc<FakeStream>,
    remote: Remote,
    function: Arc<Function>,
    /// In the order of their hashes.
    open: Vec<Open>,
    shards: usize,
    settings: (usize, Duration),
    was_enabled: bool,
    to_unlist: Vec<usize>,
    broken_until: Vec<(usize, Instant)>,
}

impl<'a> World<'a> {
    fn new(schedule: &'a Schedule, defect: Option<Defect>) -> Self {
        let began_at: Timestamp = "2026-01-01T00:00:03Z".parse().unwrap();
        let clock = Arc::new(FakeClock::at(began_at));
        let ledger = Arc::new(Ledger::new(schedule));
        let stream = Arc::new(FakeStream::new(schedule.shards, clock.clone()));
        let width = HASHES.div_ceil(schedule.shards);
        Self {
            schedule,
            defect,
            remote: Remote::new(schedule, &ledger, &clock, &stream, defect),
            function: Arc::new(Function::new(schedule, &ledger, &clock)),
            open: (0..schedule.shards)
                .map(|number| Open { number: number + 1, from: number * width, to: (number + 1) * width })
                .collect(),
            shards: schedule.shards,
            settings: (schedule.factor, schedule.tumbling_window),
            was_enabled: false,
            to_unlist: Vec::new(),
            broken_until: Vec::new(),
            ledger,
            clock,
            began_at,
            stream,
        }
    }

    fn start(&self) -> Supervisor {
        let (factor, window) = self.settings;
        self.ledger.note(format_args!("start: factor {factor}, window {window:?}"));
        self.ledger.starts(factor, window);
        let mut supervisor = Supervisor::new(self.clock.clone());
        supervisor.start(Plan {
            mapping: mapping(self.schedule, self.settings, self.began_at, self.defect),
            source: self.remote.source.clone(),
            invoker: self.function.clone(),
            on_success: None,
            on_failure: self.schedule.on_failure.then(|| self.remote.destination.clone() as Arc<dyn Destination>),
            store: Some(self.remote.store.clone()),
        });
        supervisor
    }

    async fn live(&mut self) {
        let started = Instant::now();
        let (before, after): (Vec<&Put>, Vec<&Put>) = self.schedule.puts.iter().partition(|put| put.before);
        before.iter().for_each(|put| self.put(put, self.began_at.checked_sub(put.at).unwrap()));
        let mut supervisor = self.start();
        let mut puts = after.into_iter().peekable();
        let mut operations = self.schedule.operations.iter().peekable();
        loop {
            let put_at = puts.peek().map(|put| put.at);
            let operation_at = operations.peek().map(|(at, _)| *at);
            let Some(at) = put_at.into_iter().chain(operation_at).min() else { break };
            tokio::time::sleep_until(started + at).await;
            self.tend().await;
            if put_at == Some(at) {
                let Some(put) = puts.next() else { break };
                self.was_enabled |= supervisor.status().mappings()[0].state == "Enabled";
                self.put(put, self.clock.now());
            } else if let Some((_, operation)) = operations.next() {
                self.ledger.note(format_args!("{operation:?}"));
                self.was_enabled |= supervisor.status().mappings()[0].state == "Enabled";
                supervisor = self.operate(*operation, supervisor).await;
            }
        }
        let deadline = started + self.schedule.deadline();
        while !(self.ledger.is_healed() && self.ledger.is_over(self.clock.now())) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.tend().await;
        }
        let status = supervisor.status();
        if supervisor.shutdown(LONG_GRACE).await != Shutdown::Clean {
            self.ledger.violation("hang: the last shutdown was cut short");
        }
        if status.mappings()[0].in_flight != 0 {
            self.ledger.violation("status: something is in flight after the end");
        }
        self.ledger.finish(self.clock.now());
    }

    fn put(&self, put: &Put, arrived_at: Timestamp) {
        let hash = lane_of(&format!("#{}", put.key), HASHES);
        let open = self.open.iter().find(|open| (open.from..open.to).contains(&hash)).unwrap();
        let due = match self.schedule.start {
            Start::TrimHorizon => Due::Yes,
            Start::Latest if self.was_enabled => Due::Yes,
            Start::Latest => Due::Maybe,
            Start::Before(time) if put.before && put.at > time => Due::No,
            Start::Before(_) => Due::Yes,
        };
        let number = self.stream.put_at(open.number, &put.key, arrived_at);
        self.ledger.put(open.number, due, arrived_at);
        *self.remote.store.newest.lock().unwrap_or_else(PoisonError::into_inner) = number;
    }

    /// What comes up some time after an operation.
    async fn tend(&mut self) {
        let now = Instant::now();
        let stream = self.stream.clone();
        self.broken_until.retain(|(number, until)| {
            let is_over = *until <= now || self.ledger.is_healed();
            if is_over {
                stream.break_shard(*number, false);
            }
            !is_over
        });
        // A shard that nobody has ever seen in a listing can't be known.
        for number in std::mem::take(&mut self.to_unlist) {
            match is_known(&self.remote.store, id(), &shard(number)).await {
                true => self.stream.unlist(number),
                false => self.to_unlist.push(number),
            }
        }
    }

    fn reshard(&mut self, first: usize, count: usize, into: usize, unlists: bool) {
        let closed: Vec<Open> = self.open.splice(first..first + count, []).collect();
        let (from, to) = (closed[0].from, closed[count - 1].to);
        let width = (to - from).div_ceil(into);
        let numbers: Vec<usize> = closed.iter().map(|open| open.number).collect();
        let opened: Vec<Open> = (0..into)
            .map(|place| Open {
                number: self.shards + place + 1,
                from: from + place * width,
                to: (from + (place + 1) * width).min(to),
            })
            .collect();
        self.shards += into;
        self.stream.reshard(&numbers, &opened.iter().map(|open| open.number).collect::<Vec<_>>());
        opened.iter().for_each(|open| self.ledger.opened(open.number, numbers.clone()));
        self.open.splice(first..first, opened);
        if unlists {
            self.to_unlist.extend(numbers);
        }
    }

    async fn operate(&mut self, operation: Operation, supervisor: Supervisor) -> Supervisor {
        let picked = |pick: u32, count: usize| pick as usize % count.max(1);
        match operation {
            Operation::Split { pick, unlists } => {
                let place = picked(pick, self.open.len());
                if self.open[place].to - self.open[place].from > 1 {
                    self.reshard(place, 1, 2, unlists);
                }
            }
            Operation::Merge { pick, unlists } if self.open.len() > 1 => {
                let place = picked(pick, self.open.len() - 1);
                self.reshard(place, 2, 1, unlists);
            }
            Operation::Merge { .. } => {}
            Operation::ShardDown { pick, time } => {
                let number = self.open[picked(pick, self.open.len())].number;
                self.stream.break_shard(number, true);
                self.broken_until.push((number, Instant::now() + time));
            }
            Operation::SourceDown(time) => self.remote.source.line.go_down(time),
            Operation::StoreDown(time) => self.remote.store.line.go_down(time),
            Operation::FunctionDown(time) => self.function.go_down(time),
            Operation::DestinationDown(time) => self.remote.destination.line.go_down(time),
            Operation::Restart { factor, window } => {
                if supervisor.shutdown(LONG_GRACE).await != Shutdown::Clean {
                    self.ledger.violation("hang: a shutdown in order was cut short");
                }
                self.settings = (factor, window);
                return self.again().await;
            }
            Operation::Cut(grace) => {
                let begun = Instant::now();
                let shutdown = supervisor.shutdown(grace).await;
                self.ledger.note(format_args!("stopped: {shutdown:?}"));
                if begun.elapsed() > grace + Duration::from_secs(1) {
                    self.ledger.violation("hang: a shutdown took longer than its grace");
                }
                return self.again().await;
            }
            Operation::Abort => {
                drop(supervisor);
                return self.again().await;
            }
        }
        supervisor
    }

    async fn again(&mut self) -> Supervisor {
        tokio::time::sleep(OFF).await;
        self.tend().await;
        self.start()
    }
}

fn id() -> MappingId {
    MappingId::of("stream", "work")
}

fn mapping(schedule: &Schedule, settings: (usize, Duration), began_at: Timestamp, defect: Option<Defect>) -> Mapping {
    let event_source: Arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders".parse().unwrap();
    let function: FunctionName = "work".parse().unwrap();
    let filters = match schedule.puts.iter().any(Put::is_filtered) && defect != Some(Defect::IgnoresFilters) {
        true => Filters::compile(&[r#"{"key": [{"anything-but": {"prefix": "-"}}]}"#], Decoding::DynamoDb).unwrap(),
        false => Filters::default(),
    };
    let (factor, window) = settings;
    let starting_position = match schedule.start {
        Start::TrimHorizon => StartingPosition::TrimHorizon,
        Start::Latest => StartingPosition::Latest,
        Start::Before(time) => StartingPosition::AtTimestamp(began_at.checked_sub(time).unwrap()),
    };
    let if_defect = |it: Defect| usize::from(defect == Some(it));
    Mapping {
        id: id(),
        function_arn: function.arn(&event_source).unwrap(),
        event_source,
        function,
        enabled: true,
        batch_size: schedule.batch_size + 3 * if_defect(Defect::ExceedsBatchSize),
        batching_window: schedule.batching_window,
        filters,
        report_batch_item_failures: schedule.report_batch_item_failures,
        maximum_concurrency: None,
        on_success: None,
        on_failure: None,
        overflow_bucket: None,
        maximum_retry_attempts: schedule.retries.map(|it| it + if_defect(Defect::RetriesOnceMore) as u32),
        visibility_heartbeat: true,
        tags: Default::default(),
        stream: Some(StreamSettings {
            starting_position,
            parallelization_factor: factor + 2 * if_defect(Defect::ExceedsFactor),
            bisect_batch_on_function_error: schedule.bisect && defect != Some(Defect::NeverBisects),
            maximum_record_age: schedule.maximum_age.filter(|_| defect != Some(Defect::IgnoresAge)),
            tumbling_window: window * (1 + if_defect(Defect::StretchesWindows) as u32),
            poll_interval: None,
        }),
    }
}
