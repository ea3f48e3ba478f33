//! What happens in one simulated run: everything is drawn from the seed.
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// How often something happens, out of a thousand calls.
pub type PerMille = u32;

/// One message to be sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// `0`, `1`, … in the order of sending; with a `-` in front if the mapping filters it out.
    pub id: String,
    /// Message group of a FIFO queue.
    pub group: Option<String>,
    /// When it is sent, from the start on.
    pub at: Duration,
    /// The function fails on it for ever.
    pub poison: bool,
}

/// What is done to the system from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The queue can't be reached for a while.
    QueueDown(Duration),
    /// The function can't be reached for a while.
    FunctionDown(Duration),
    /// OnFailure can't be reached for a while.
    DestinationDown(Duration),
    /// A shutdown with this grace, then a start.
    Restart(Duration),
    /// The supervisor is dropped in the middle of everything, then a start.
    Abort,
}

/// How calls to the queue and to the destinations go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkFaults {
    /// The call fails before it does anything.
    pub fails: PerMille,
    /// The call is done, but its answer gets lost.
    pub loses_answer: PerMille,
    /// Of a list, some are refused.
    pub partial: PerMille,
    /// The call hangs until the client's time-out, and may have been done.
    pub hangs: PerMille,
}

/// How the function behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct FunctionFaults {
    pub raises: PerMille,
    pub fails_partially: PerMille,
    pub answers_garbage: PerMille,
    pub throttles: PerMille,
    pub refuses: PerMille,
    /// It has worked, but its answer gets lost.
    pub loses_answer: PerMille,
}

/// Everything that steers one run.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub seed: u64,
    pub fifo: bool,
    pub visibility: Duration,
    pub maximum_receives: Option<u32>,
    pub batch_size: usize,
    pub window: Duration,
    pub report_batch_item_failures: bool,
    pub maximum_concurrency: Option<usize>,
    /// Invocations that the function itself runs at a time.
    pub slots: Option<usize>,
    pub maximum_retry_attempts: Option<u32>,
    pub on_failure: bool,
    pub on_success: bool,
    pub heartbeat: bool,
    /// Longest time that one call to the queue or a destination takes.
    pub latency: Duration,
    /// Longest time that one invocation takes.
    pub duration: Duration,
    /// Nothing goes wrong but the function itself: then more is promised.
    pub calm: bool,
    pub network: NetworkFaults,
    pub function: FunctionFaults,
    pub messages: Vec<Message>,
    pub operations: Vec<(Duration, Operation)>,
    /// From here on nothing goes wrong any more, except on poison.
    pub healed_at: Duration,
}

impl Schedule {
    /// Draws a schedule.
    pub fn generate(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let calm = rng.u32(..4) == 0;
        let fifo = rng.bool();
        let heartbeat = rng.u32(..3) > 0;
        let window = if rng.bool() { Duration::ZERO } else { Duration::from_secs(rng.u64(1..15)) };
        let visibility = if heartbeat { rng.u64(2..45) } else { rng.u64(5..45) + 2 * window.as_secs() };
        let duration = if heartbeat { rng.u64(0..3 * visibility) } else { rng.u64(0..visibility / 2) };
        let maximum_receives = rng.bool().then(|| rng.u32(1..5));
        let maximum_retry_attempts = (rng.u32(..3) == 0).then(|| rng.u32(0..4));
        let poison_rate = if maximum_receives.or(maximum_retry_attempts).is_some() { rng.u32(0..200) } else { 0 };
        let filtered_rate = if rng.u32(..4) == 0 { 300 } else { 0 };
        let healed_at = Duration::from_secs(rng.u64(5..240));
        let rate = |rng: &mut Rng, most: u32| if rng.bool() { rng.u32(0..most) } else { 0 };
        let network = NetworkFaults {
            fails: rate(rng, 300),
            loses_answer: rate(rng, 300),
            partial: rate(rng, 300),
            hangs: rate(rng, 60),
        };
        let function = FunctionFaults {
            raises: rate(rng, 400),
            fails_partially: rate(rng, 400),
            answers_garbage: rate(rng, 150),
            throttles: rate(rng, 300),
            refuses: rate(rng, 100),
            loses_answer: rate(rng, 200),
        };
        let groups = rng.u32(1..5);
        let messages = (0..rng.u32(1..40)).map(|number| {
            let filtered = hits(rng, filtered_rate);
            Message {
                id: format!("{}{number}", if filtered { "-" } else { "" }),
                group: fifo.then(|| format!("g{}", rng.u32(..groups))),
                at: healed_at.mul_f64(rng.f64() * rng.f64()),
                poison: hits(rng, poison_rate),
            }
        });
        let mut messages: Vec<Message> = messages.collect();
        // The numbers say the order of sending.
        let mut times: Vec<Duration> = messages.iter().map(|message| message.at).collect();
        times.sort();
        messages.iter_mut().zip(times).for_each(|(message, at)| message.at = at);
        let count = if calm { rng.u32(0..2) } else { rng.u32(0..5) };
        let mut operations: Vec<_> =
            (0..count).map(|_| (healed_at.mul_f64(rng.f64()), if calm { RESTART } else { operation(rng) })).collect();
        operations.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            fifo,
            visibility: Duration::from_secs(visibility),
            maximum_receives,
            batch_size: rng.usize(1..12),
            window,
            report_batch_item_failures: rng.u32(..3) > 0,
            maximum_concurrency: rng.bool().then(|| rng.usize(2..6)),
            slots: (rng.u32(..4) == 0).then(|| rng.usize(1..4)),
            maximum_retry_attempts,
            on_failure: rng.u32(..3) > 0,
            on_success: rng.u32(..4) == 0,
            heartbeat,
            latency: Duration::from_millis(rng.u64(0..300)),
            duration: Duration::from_secs(duration),
            calm,
            network: if calm { NetworkFaults::default() } else { network },
            function: if calm { FunctionFaults { loses_answer: 0, ..function } } else { function },
            messages,
            operations,
            healed_at,
        }
    }

    /// By when everything must have come to its end.
    pub fn deadline(&self) -> Duration {
        // The worst case is one group whose messages all go one by one through every receive there is.
        let rounds = self.maximum_receives.unwrap_or(1).max(self.maximum_retry_attempts.map_or(1, |it| it + 1)) + 1;
        let round = self.visibility + self.window + self.duration + Duration::from_secs(10);
        self.healed_at + Duration::from_secs(600) + round * rounds * (self.messages.len() as u32)
    }
}

/// Long enough for everything.
pub const LONG_GRACE: Duration = Duration::from_secs(900);
const RESTART: Operation = Operation::Restart(LONG_GRACE);

fn operation(rng: &mut Rng) -> Operation {
    let mut seconds = |range: Range<u64>| Duration::from_secs(rng.u64(range));
    let (short, long) = (seconds(0..20), seconds(1..90));
    match rng.u32(..6) {
        0 => Operation::QueueDown(long),
        1 => Operation::FunctionDown(long),
        2 => Operation::DestinationDown(long),
        3 => RESTART,
        4 => Operation::Restart(short),
        _ => Operation::Abort,
    }
}

/// Whether something of this rate happens now.
pub fn hits(rng: &mut Rng, rate: PerMille) -> bool {
    rng.u32(..1000) < rate
}
