//! Owns one process for as long as the function lives.
//!
//! ```text
//! start ─▶ Initialising ─next─▶ Idle ─invocation─▶ Busy ─response, error─▶ Settling
//!                │               ▲ └─────────────── next ────────────────────┘
//!           init error           any state: the process exits, takes too long, or its code changes
//!                ▼                 ▼
//!             Failed ───────────▶ end ─▶ start again: at once the first time, with backoff while it keeps dying
//! ```
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pelton_core::{Clock as _, SystemClock};
use pelton_engine::Backoff;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::child::Child;
use super::failure::Failure;
use super::function::Shared;
use super::output::Output;
use super::phase::{Ended, Phase};
use super::queue::{Answer, Invocation};
use super::runtime_api::{Call, Delivery, Verdict};

/// How long Lambda lets a function initialise; after that it tries once more within the function's own timeout.
pub const INITIALISATION_LIMIT: Duration = Duration::from_secs(10);
/// Between deaths. The cap is below [`INITIALISATION_LIMIT`], so that a waiting invocation sees at least one attempt.
const RESTART_BASE: Duration = Duration::from_millis(100);
const RESTART_CAP: Duration = Duration::from_secs(5);
/// How long a process that is asked to end may take.
const END_GRACE: Duration = Duration::from_secs(1);

/// Runs one process after the other.
pub struct Worker {
    shared: Arc<Shared>,
    number: usize,
    runtime_api: SocketAddr,
    calls: mpsc::Receiver<Call>,
    code: watch::Receiver<u64>,
    backoff: Backoff,
    deaths_in_a_row: u32,
    starts: u64,
    initialisation_limit: Duration,
    output: Output,
}

/// Why a process is at its end, and how gently it is ended.
enum End {
    /// Pelton stops. Idle processes get a moment.
    Stopped { grace: Duration },
    /// A new process takes over at once.
    Replaced { grace: Duration },
    /// It died by itself, or never came up.
    Died,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, number: usize, runtime_api: SocketAddr, calls: mpsc::Receiver<Call>) -> Self {
        let code = shared.code.subscribe();
        let output = Output::new(&shared.settings.name);
        Self {
            shared,
            number,
            runtime_api,
            calls,
            code,
            backoff: Backoff::new(RESTART_BASE, RESTART_CAP),
            deaths_in_a_row: 0,
            starts: 0,
            initialisation_limit: INITIALISATION_LIMIT,
            output,
        }
    }

    /// Returns when the function is shut down and the process is gone.
    pub async fn run(mut self) {
        loop {
            match self.run_process().await {
                End::Stopped { .. } => return,
                End::Replaced { .. } => {}
                End::Died => {
                    if !self.pause().await {
                        return;
                    }
                }
            }
        }
    }

    async fn run_process(&mut self) -> End {
        self.code.mark_unchanged();
        // What the last process still had to say is of no meaning to this one.
        while self.calls.try_recv().is_ok() {}
        if self.starts > 0 {
            self.shared.board.update(|status| status.restarts += 1);
        }
        self.starts += 1;
        let settings = &self.shared.settings;
        let command = self.shared.program.command(settings, self.number, self.runtime_api);
        let mut child = match Child::start(command, &mut self.output) {
            Ok(child) => child,
            Err(error) => {
                self.output.detach();
                self.complain(format!("could not be started: {error}"));
                return End::Died;
            }
        };
        let end = {
            let _running = self.shared.board.running();
            self.attend(&mut child).await
        };
        let grace = match end {
            End::Stopped { grace } | End::Replaced { grace } => grace,
            End::Died => Duration::ZERO,
        };
        child.end(grace).await;
        self.output.detach();
        end
    }

    async fn attend(&mut self, child: &mut Child) -> End {
        let shared = Arc::clone(&self.shared);
        let mut phase = Phase::Initialising { deadline: Instant::now() + self.initialisation_limit };
        loop {
            let is_busy = matches!(phase, Phase::Busy { .. });
            let is_idle = matches!(phase, Phase::Idle { .. });
            phase = tokio::select! {
                biased;
                () = shared.stop.cancelled() => return End::Stopped { grace: Duration::ZERO },
                Some(call) = self.calls.recv() => self.answer(phase, call),
                status = child.exited() => {
                    self.died(phase, status);
                    return End::Died;
                }
                () = shared.drain.cancelled(), if !is_busy => return End::Stopped { grace: END_GRACE },
                Ok(()) = self.code.changed(), if !is_busy => {
                    tracing::info!(function = shared.settings.name, process = self.number, "code changed, restarting");
                    self.forgive();
                    return End::Replaced { grace: END_GRACE };
                }
                ended = phase.ended() => match ended {
                    Ended::Overdue => return self.overdue(phase),
                    Ended::HungUp => self.settling(),
                },
                invocation = shared.queue.take(), if is_idle => self.deliver(phase, invocation),
            };
        }
    }

    fn answer(&mut self, phase: Phase, call: Call) -> Phase {
        match (phase, call) {
            // A second poll replaces the first, whose connection the runtime must have given up.
            (Phase::Initialising { .. } | Phase::Idle { .. } | Phase::Settling { .. }, Call::Next(next)) => {
                self.initialisation_limit = INITIALISATION_LIMIT;
                Phase::Idle { next }
            }
            (phase, Call::Next(refused)) => {
                drop(refused);
                phase
            }
            (Phase::Busy { invocation, deadline, .. }, Call::Outcome { request_id, outcome, verdict })
                if invocation.request_id == request_id =>
            {
                self.conclude(invocation, outcome);
                reply(verdict, Verdict::Accepted);
                Phase::Settling { deadline }
            }
            (phase, Call::Outcome { verdict, .. }) => {
                reply(verdict, Verdict::UnknownRequest);
                phase
            }
            (Phase::Initialising { .. }, Call::InitError { error, verdict }) => {
                reply(verdict, Verdict::Accepted);
                Phase::Failed { error, deadline: Instant::now() + END_GRACE }
            }
            (phase, Call::InitError { verdict, .. }) => {
                reply(verdict, Verdict::WrongState);
                phase
            }
        }
    }

    /// An invocation that can't be handed over is dropped, which tells its caller that it was not run.
    fn deliver(&mut self, phase: Phase, invocation: Invocation) -> Phase {
        let Phase::Idle { next } = phase else { return phase };
        let limit = self.shared.settings.timeout;
        let now = SystemClock.now();
        let delivery = Delivery {
            request_id: invocation.request_id.clone(),
            function_arn: invocation.function_arn.to_string(),
            deadline_milliseconds: now
                .as_millisecond()
                .saturating_add(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)),
            trace_id: invocation.trace.as_ref().map_or_else(|| trace_id(now.as_second()), ToString::to_string),
            client_context: invocation.client_context.clone(),
            payload: invocation.payload.clone(),
        };
        self.output.begin(&invocation.request_id, invocation.wants_log);
        match next.send(delivery) {
            Ok(()) => Phase::Busy { invocation, deadline: Instant::now() + limit, _mark: self.shared.board.busy() },
            Err(_) => self.settling(),
        }
    }

    /// The process owes a `next`.
    fn settling(&self) -> Phase {
        Phase::Settling { deadline: Instant::now() + self.shared.settings.timeout.max(INITIALISATION_LIMIT) }
    }

    /// The function has answered by itself, so the process is well, whatever the answer says.
    fn conclude(&mut self, invocation: Invocation, outcome: Result<Bytes, Failure>) {
        self.forgive();
        if outcome.is_ok() {
            self.shared.board.update(|status| status.last_error = None);
        }
        self.give(invocation, outcome);
    }

    fn give(&self, invocation: Invocation, outcome: Result<Bytes, Failure>) {
        let log_tail = self.output.end(self.shared.settings.memory_size_megabytes, outcome.as_ref().err());
        let answer = match outcome {
            Ok(payload) => Answer { function_error: None, payload, log_tail },
            Err(failure) => {
                Answer { function_error: Some("Unhandled"), payload: failure.payload(&invocation.request_id), log_tail }
            }
        };
        // The caller may have gone away, which changes nothing here.
        let _gone = invocation.answer.send(answer);
    }

    fn forgive(&mut self) {
        self.deaths_in_a_row = 0;
        self.backoff.reset();
    }

    fn died(&mut self, phase: Phase, status: io::Result<ExitStatus>) {
        let failure = match (&phase, status) {
            (Phase::Failed { error, .. }, _) => Failure::Reported(error.clone()),
            (_, Ok(status)) => Failure::Exited(status),
            (_, Err(error)) => {
                self.complain(format!("can't be waited for: {error}"));
                Failure::Exited(ExitStatus::default())
            }
        };
        match phase {
            Phase::Busy { invocation, .. } => {
                self.complain(format!("request {}: {}", invocation.request_id, failure.describe()));
                self.give(invocation, Err(failure));
            }
            Phase::Initialising { .. } | Phase::Failed { .. } => self.failed_to_initialise(failure),
            Phase::Idle { .. } | Phase::Settling { .. } => {
                self.complain(format!("between invocations: {}", failure.describe()));
            }
        }
    }

    fn overdue(&mut self, phase: Phase) -> End {
        let limit = self.shared.settings.timeout;
        match phase {
            Phase::Busy { invocation, .. } => {
                let failure = Failure::TimedOut(limit);
                self.complain(format!("request {}: {}, killed", invocation.request_id, failure.describe()));
                self.give(invocation, Err(failure));
            }
            Phase::Initialising { .. } if self.initialisation_limit < limit => {
                self.complain(format!(
                    "not initialised within {} s, trying once more within the function's timeout",
                    self.initialisation_limit.as_secs()
                ));
                self.initialisation_limit = limit;
            }
            Phase::Initialising { .. } => {
                self.failed_to_initialise(Failure::TimedOut(self.initialisation_limit));
                return End::Died;
            }
            Phase::Failed { error, .. } => {
                self.failed_to_initialise(Failure::Reported(error));
                return End::Died;
            }
            Phase::Settling { .. } | Phase::Idle { .. } => {
                self.complain("didn't ask for the next invocation in time, killed".to_owned());
            }
        }
        End::Replaced { grace: Duration::ZERO }
    }

    /// As in Lambda, the invocation that waits for the process gets the reason why there is none.
    fn failed_to_initialise(&mut self, failure: Failure) {
        self.complain(format!("initialisation failed: {}", failure.describe()));
        if let Some(invocation) = self.shared.queue.try_take() {
            self.output.begin(&invocation.request_id, invocation.wants_log);
            self.give(invocation, Err(failure));
        }
    }

    fn complain(&self, reason: String) {
        tracing::warn!(function = self.shared.settings.name, process = self.number, "{reason}");
        self.shared.board.update(|status| status.last_error = Some(reason));
    }

    /// Waits before the next start. `false`: there is none.
    async fn pause(&mut self) -> bool {
        self.deaths_in_a_row += 1;
        let delay = if self.deaths_in_a_row == 1 { Duration::ZERO } else { self.backoff.next_delay() };
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => false,
            () = self.shared.drain.cancelled() => false,
            Ok(()) = self.code.changed() => {
                self.forgive();
                true
            }
            () = sleep(delay) => true,
        }
    }
}

fn reply(verdict: oneshot::Sender<Verdict>, answer: Verdict) {
    // The process may have hung up, which the worker notices by itself.
    let _gone = verdict.send(answer);
}

/// In X-Ray's format; not sampled, since nobody collects the traces.
fn trace_id(seconds: i64) -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("Root=1-{seconds:08x}-{};Sampled=0", &random[..24])
}
