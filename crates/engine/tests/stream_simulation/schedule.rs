//! What happens in one simulated run: everything is drawn from the seed.
use std::time::Duration;

use fastrand::Rng;

/// How often something happens, out of a thousand calls.
pub type PerMille = u32;

/// One record to be put. The n-th has the sequence number n + 1.
#[derive(Debug, Clone)]
pub struct Put {
    pub key: String,
    /// When, from the start on; before it, if `before`.
    pub at: Duration,
    pub before: bool,
    /// The function fails on it for ever.
    pub poison: bool,
}

impl Put {
    /// Whether the mapping's filters keep it from the function.
    pub fn is_filtered(&self) -> bool {
        self.key.starts_with('-')
    }
}

/// What is done to the system from outside. Shards are picked by a number, of those there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Split {
        pick: u32,
        unlists: bool,
    },
    Merge {
        pick: u32,
        unlists: bool,
    },
    SourceDown(Duration),
    ShardDown {
        pick: u32,
        time: Duration,
    },
    StoreDown(Duration),
    FunctionDown(Duration),
    DestinationDown(Duration),
    /// A shutdown in order, then a start with these settings.
    Restart {
        factor: usize,
        window: Duration,
    },
    /// A shutdown that is cut short, then a start.
    Cut(Duration),
    /// The supervisor is dropped in the middle of everything, then a start.
    Abort,
}

/// Where the mapping begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    TrimHorizon,
    Latest,
    /// With the first record that arrived no longer before the start than this.
    Before(Duration),
}

/// How calls to the source, the store and the destination go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The call fails before it does anything.
    pub fails: PerMille,
    /// The call is done, but its answer gets lost.
    pub loses_answer: PerMille,
    /// The cursor's token is no longer good.
    pub expires: PerMille,
}

/// How the function behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct FunctionFaults {
    pub raises: PerMille,
    pub fails_partially: PerMille,
    pub answers_garbage: PerMille,
    pub lacks_state: PerMille,
    pub throttles: PerMille,
    pub refuses: PerMille,
    /// It has worked, but its answer gets lost.
    pub loses_answer: PerMille,
}

/// Everything that steers one run.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub seed: u64,
    pub shards: usize,
    pub start: Start,
    pub batch_size: usize,
    pub batching_window: Duration,
    pub factor: usize,
    pub bisect: bool,
    pub retries: Option<u32>,
    pub maximum_age: Option<Duration>,
    pub tumbling_window: Duration,
    pub report_batch_item_failures: bool,
    pub on_failure: bool,
    /// The pause after a read that found nothing.
    pub idle: Duration,
    /// Records that a read gives at most.
    pub page: usize,
    /// Longest time that one call to the source, the store or the destination takes.
    pub latency: Duration,
    /// Longest time that one invocation takes.
    pub duration: Duration,
    pub source: Faults,
    pub store: Faults,
    pub destination: Faults,
    pub function: FunctionFaults,
    pub puts: Vec<Put>,
    pub operations: Vec<(Duration, Operation)>,
    /// From here on nothing goes wrong any more, except on poison.
    pub healed_at: Duration,
}

const MOST_AGE: Duration = Duration::from_secs(60);

fn hits_half(rng: &mut Rng, most: PerMille) -> PerMille {
    if rng.bool() { rng.u32(0..most) } else { 0 }
}

fn seconds(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_secs(rng.u64(range))
}

impl Schedule {
    /// Draws a schedule.
    pub fn generate(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let is_calm = rng.u32(..4) == 0;
        let healed_at = seconds(rng, 5..60);
        let retries = match rng.u32(..5) {
            0 | 1 => None,
            2 => Some(0),
            3 => Some(1),
            _ => Some(3),
        };
        let maximum_age = (rng.u32(..3) == 0).then(|| MOST_AGE + seconds(rng, 0..30));
        let factor = factor(rng);
        let tumbling_window = tumbling_window(rng);
        let faults = |rng: &mut Rng| Faults {
            fails: hits_half(rng, 250),
            loses_answer: hits_half(rng, 250),
            expires: hits_half(rng, 200),
        };
        let function = FunctionFaults {
            raises: hits_half(rng, 300),
            fails_partially: hits_half(rng, 400),
            answers_garbage: hits_half(rng, 100),
            lacks_state: hits_half(rng, 150),
            throttles: hits_half(rng, 250),
            refuses: hits_half(rng, 100),
            loses_answer: if rng.u32(..4) == 0 { rng.u32(0..200) } else { 0 },
        };
        let poison_rate = if retries.is_some() || maximum_age.is_some() { hits_half(rng, 150) } else { 0 };
        let puts = puts(rng, healed_at, poison_rate);
        let crashes = rng.bool();
        let count = if is_calm { rng.u32(0..3) } else { rng.u32(0..6) };
        let mut settings = (factor, tumbling_window);
        let operations = (0..count).map(|_| {
            let drawn =
                if is_calm { calm_operation(rng, &mut settings) } else { operation(rng, crashes, &mut settings) };
            (healed_at.mul_f64(rng.f64()), drawn)
        });
        let mut operations: Vec<_> = operations.collect();
        operations.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            shards: rng.usize(1..5),
            start: match rng.u32(..4) {
                0 => Start::Latest,
                1 => Start::Before(seconds(rng, 0..100)),
                _ => Start::TrimHorizon,
            },
            batch_size: rng.usize(1..12),
            batching_window: if rng.u32(..3) == 0 { seconds(rng, 1..10) } else { Duration::ZERO },
            factor,
            bisect: rng.bool(),
            retries,
            maximum_age,
            tumbling_window,
            report_batch_item_failures: rng.bool(),
            on_failure: rng.u32(..3) > 0,
            idle: Duration::from_millis([200, 1000, 2000][rng.usize(..3)]),
            page: rng.usize(1..50),
            latency: Duration::from_millis(rng.u64(0..300)),
            duration: Duration::from_millis(rng.u64(0..4_000)),
            source: if is_calm { Faults::default() } else { faults(rng) },
            store: if is_calm { Faults::default() } else { faults(rng) },
            destination: if is_calm { Faults::default() } else { faults(rng) },
            function: if is_calm { FunctionFaults { loses_answer: 0, ..function } } else { function },
            puts,
            operations,
            healed_at,
        }
    }

    /// Whether nothing happens that allows a record to be delivered after it was settled.
    pub fn never_repeats(&self) -> bool {
        let keeps = |operation: &Operation| match operation {
            Operation::Cut(_) | Operation::Abort => false,
            // What is settled beyond the checkpoint is kept only with windows, and only for the same lanes.
            Operation::Restart { factor, window } => {
                (*factor, *window) == (self.factor, self.tumbling_window)
                    && (self.factor == 1 || !self.tumbling_window.is_zero())
            }
            _ => true,
        };
        self.function.loses_answer == 0 && self.operations.iter().all(|(_, operation)| keeps(operation))
    }

    /// Whether the length of windows changes.
    pub fn changes_windows(&self) -> bool {
        let changes = |operation: &Operation| matches!(operation, Operation::Restart { window, .. } if *window != self.tumbling_window);
        self.operations.iter().any(|(_, operation)| changes(operation))
    }

    /// By when everything must have come to its end.
    pub fn deadline(&self) -> Duration {
        self.healed_at + Duration::from_secs(900) + Duration::from_secs(20) * self.puts.len() as u32
    }
}

/// Long enough for everything.
pub const LONG_GRACE: Duration = Duration::from_secs(900);

fn puts(rng: &mut Rng, healed_at: Duration, poison_rate: PerMille) -> Vec<Put> {
    let keys = rng.u32(1..12);
    let filtered_rate = if rng.u32(..3) == 0 { 300 } else { 0 };
    let before = if rng.bool() { rng.usize(0..20) } else { 0 };
    let count = before + rng.usize(1..60);
    let mut before_at: Vec<Duration> = (0..before).map(|_| Duration::from_millis(rng.u64(0..120_000))).collect();
    before_at.sort_by(|one, other| other.cmp(one));
    let mut after_at: Vec<Duration> = (before..count).map(|_| healed_at.mul_f64(rng.f64())).collect();
    after_at.sort();
    let times = before_at.into_iter().map(|at| (at, true)).chain(after_at.into_iter().map(|at| (at, false)));
    let put = |(at, before)| Put {
        key: format!("{}key-{}", if hits(rng, filtered_rate) { "-" } else { "" }, rng.u32(..keys)),
        at,
        before,
        poison: hits(rng, poison_rate),
    };
    times.map(put).collect()
}

fn factor(rng: &mut Rng) -> usize {
    if rng.bool() { 1 } else { rng.usize(2..=10) }
}

fn tumbling_window(rng: &mut Rng) -> Duration {
    if rng.u32(..5) < 2 { seconds(rng, 1..25) } else { Duration::ZERO }
}

/// A restart, mostly with the settings there were before.
fn restart(rng: &mut Rng, settings: &mut (usize, Duration)) -> Operation {
    match rng.u32(..5) {
        0 | 1 => settings.0 = factor(rng),
        2 => settings.1 = tumbling_window(rng),
        _ => {}
    }
    Operation::Restart { factor: settings.0, window: settings.1 }
}

fn calm_operation(rng: &mut Rng, settings: &mut (usize, Duration)) -> Operation {
    match rng.u32(..4) {
        0 | 1 => restart(rng, settings),
        2 => Operation::Split { pick: rng.u32(..), unlists: rng.bool() },
        _ => Operation::Merge { pick: rng.u32(..), unlists: rng.bool() },
    }
}

fn operation(rng: &mut Rng, crashes: bool, settings: &mut (usize, Duration)) -> Operation {
    let time = seconds(rng, 1..30);
    match rng.u32(..if crashes { 12 } else { 8 }) {
        0 => Operation::SourceDown(time),
        1 => Operation::StoreDown(time),
        2 => Operation::FunctionDown(time),
        3 => Operation::DestinationDown(time),
        4 => Operation::ShardDown { pick: rng.u32(..), time },
        5..=7 => calm_operation(rng, settings),
        8 => Operation::Cut(seconds(rng, 0..3)),
        _ => Operation::Abort,
    }
}

/// Whether something of this rate happens now.
pub fn hits(rng: &mut Rng, rate: PerMille) -> bool {
    rng.u32(..1000) < rate
}
