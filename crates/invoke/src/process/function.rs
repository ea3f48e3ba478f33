//! One configured local function.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pelton_core::{Arn, Call, ErrorKind, FunctionName, InvokeError, Invoker, Response, TraceHeader};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::client_context;
use super::failure::MAXIMUM_RESPONSE_BYTES;
use super::program::Program;
use super::queue::{Invocation, Queue};
use super::runtime_api;
use super::settings::{ProcessSettings, StartError};
use super::status::{Board, ProcessStatus};
use super::watch::CodeWatcher;
use super::worker::{INITIALISATION_LIMIT, Worker};

/// A synchronous event may be as large as a response (quota "Invocation payload").
const MAXIMUM_EVENT_BYTES: usize = MAXIMUM_RESPONSE_BYTES;
/// `AWS::AccountId` of emulators.
const DEFAULT_ACCOUNT: &str = "000000000000";
/// A process makes one call at a time; a few more may come from one that misbehaves.
const CALLS_WAITING: usize = 8;

/// A function that runs as `Concurrency` processes on this machine, supervised until it is dropped or shut down.
/// Dropping it kills the processes.
pub struct ProcessFunction {
    shared: Arc<Shared>,
    arn: Arn,
    /// For the engine; see [`ProcessFunction::slots`].
    slots: Arc<Semaphore>,
    /// Keeps callers without a slot out of the queue.
    entries: Semaphore,
    tasks: TaskTracker,
    _stop_when_dropped: DropGuard,
}

fn prepare(settings: ProcessSettings) -> Result<(ProcessSettings, Program, Option<CodeWatcher>), StartError> {
    let program = Program::resolve(&settings)?;
    let watcher = settings
        .watch
        .then(|| CodeWatcher::start(program.task_root(), program.built()))
        .transpose()
        .map_err(|source| StartError::Watch { function: settings.name.clone(), source })?;
    Ok((settings, program, watcher))
}

/// Takes an invocation out of the queue when its caller gives up, so that the queue can't grow without end.
struct Withdrawal<'call> {
    queue: &'call Queue,
    request_id: &'call str,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.queue.withdraw(self.request_id);
    }
}

/// What the function and its workers have in common.
#[derive(Debug)]
pub struct Shared {
    pub settings: ProcessSettings,
    pub program: Program,
    pub queue: Queue,
    pub board: Board,
    /// Counts changes of the code.
    pub code: watch::Sender<u64>,
    /// End after the current invocation.
    pub drain: CancellationToken,
    /// End now.
    pub stop: CancellationToken,
}

impl ProcessFunction {
    /// Checks the settings, finds the program, and starts the processes, without waiting until they are ready: whether
    /// the function's code can be loaded shows in [`ProcessFunction::status`] and in the first invocation.
    ///
    /// When `cancellation` fires, the processes are killed at once; use [`ProcessFunction::shutdown`] to let invocations
    /// end. Must be called within a tokio runtime.
    pub async fn start(settings: ProcessSettings, cancellation: CancellationToken) -> Result<Self, StartError> {
        settings.check()?;
        let name = settings.name.clone();
        let account = settings.account.as_deref().unwrap_or(DEFAULT_ACCOUNT);
        let arn = Arn::new("aws", "lambda", &settings.region, account, &format!("function:{name}"))
            .map_err(|error| StartError::Setting { function: name.clone(), message: error.to_string() })?;
        let io_error = |action| {
            let function = name.clone();
            move |source| StartError::Io { function, action, source }
        };
        let prepared = tokio::task::spawn_blocking(move || prepare(settings)).await;
        let (settings, program, watcher) =
            prepared.map_err(std::io::Error::other).map_err(io_error("preparing the program"))??;

        let concurrency = settings.concurrency;
        let stop = cancellation.child_token();
        let shared = Arc::new(Shared {
            settings,
            program,
            queue: Queue::new(),
            board: Board::default(),
            code: watch::Sender::new(0),
            drain: stop.child_token(),
            stop: stop.clone(),
        });
        let tasks = TaskTracker::new();
        let function = Self {
            shared: Arc::clone(&shared),
            arn,
            slots: Arc::new(Semaphore::new(concurrency)),
            entries: Semaphore::new(concurrency),
            tasks: tasks.clone(),
            _stop_when_dropped: stop.drop_guard(),
        };
        for number in 1..=concurrency {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io_error("listening on 127.0.0.1"))?;
            let address = listener.local_addr().map_err(io_error("listening on 127.0.0.1"))?;
            let (calls, receiver) = mpsc::channel(CALLS_WAITING);
            let worker = Worker::new(Arc::clone(&shared), number, address, receiver);
            let name = name.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = worker.run() => {}
                    Err(error) = runtime_api::serve(listener, calls) => {
                        tracing::error!(function = name, process = number, "the Runtime API has ended: {error}");
                    }
                }
            });
        }
        if let Some(watcher) = watcher {
            tasks.spawn(async move {
                tokio::select! {
                    () = shared.drain.cancelled() => {}
                    () = watcher.run(&shared.code) => {}
                }
            });
        }
        Ok(function)
    }

    /// The bare name.
    pub fn name(&self) -> &str {
        &self.shared.settings.name
    }

    /// What it was started with.
    pub fn settings(&self) -> &ProcessSettings {
        &self.shared.settings
    }

    /// As many permits as there are processes. Whoever receives records takes one before, so that it only receives
    /// what can be invoked at once. [`ProcessFunction::call`] doesn't take one itself.
    pub fn slots(&self) -> Arc<Semaphore> {
        Arc::clone(&self.slots)
    }

    /// The function at this moment.
    pub fn status(&self) -> ProcessStatus {
        self.shared.board.read()
    }

    /// Invokes once and waits for the answer, which takes at most the function's timeout from when a process takes the
    /// invocation. Waits while more invocations are running than there are processes. If no process is up, it waits for
    /// one for the function's timeout or ten seconds, whichever is longer; a process that fails to initialise in the
    /// meantime makes this invocation a function error, as in Lambda.
    ///
    /// Dropping the future withdraws an invocation that no process has taken; one that is running runs on.
    pub async fn call(&self, function: &FunctionName, call: Call) -> Result<Response, InvokeError> {
        let error = |kind, message: String| InvokeError { function: function.as_str().to_owned(), message, kind };
        let Call { payload, request_id, trace_header, client_context, wants_log } = call;
        if payload.len() > MAXIMUM_EVENT_BYTES {
            let message =
                format!("the event has {} bytes, a function takes at most {MAXIMUM_EVENT_BYTES}", payload.len());
            return Err(error(ErrorKind::Payload, message));
        }
        let no_context =
            || error(ErrorKind::Payload, "Client context must be a valid Base64-encoded JSON object.".to_owned());
        let client_context = client_context.map(|base64| client_context::decode(&base64).ok_or_else(no_context));
        let client_context = client_context.transpose()?;
        let function_arn = function.arn(&self.arn).map_err(|cause| error(ErrorKind::Refused, cause.to_string()))?;
        let stopped = || error(ErrorKind::Transient, "the function is being shut down".to_owned());
        let _entry = tokio::select! {
            entry = self.entries.acquire() => entry.map_err(|_| stopped())?,
            () = self.shared.drain.cancelled() => return Err(stopped()),
        };

        let request_id = request_id.unwrap_or_else(Uuid::new_v4).to_string();
        let ((taken, mut was_taken), (answer, answered)) = (oneshot::channel(), oneshot::channel());
        let trace = trace_header.map(|header| TraceHeader::received(Some(&header)));
        let invocation = Invocation {
            request_id: request_id.clone(),
            function_arn,
            trace,
            client_context,
            wants_log,
            payload,
            answer,
        };
        self.shared.queue.push(invocation, taken);
        let withdrawal = Withdrawal { queue: &self.shared.queue, request_id: &request_id };
        let longest_wait = self.shared.settings.timeout.max(INITIALISATION_LIMIT);
        tokio::select! {
            biased;
            taken = timeout(longest_wait, &mut was_taken) => match taken {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(stopped()),
                Err(_) => return Err(error(ErrorKind::Transient, self.describe_absence(longest_wait))),
            },
            () = self.shared.drain.cancelled() => return Err(stopped()),
        }
        drop(withdrawal);
        let answer = answered
            .await
            .map_err(|_| error(ErrorKind::Transient, "the process was stopped before it answered".to_owned()))?;
        Ok(Response {
            request_id,
            status_code: 200,
            executed_version: "$LATEST".to_owned(),
            function_error: answer.function_error.map(str::to_owned),
            payload: answer.payload,
            log_tail: answer.log_tail,
        })
    }

    /// Ends idle processes at once and busy ones after their invocation, or when `grace` is over. Returns when all
    /// processes, and whatever they started in their process group, are gone: at most a few seconds after `grace`.
    /// Invocations that no process has taken fail. Calling it again does no harm.
    pub async fn shutdown(&self, grace: Duration) {
        self.shared.drain.cancel();
        self.tasks.close();
        if timeout(grace, self.tasks.wait()).await.is_err() {
            self.shared.stop.cancel();
            self.tasks.wait().await;
        }
    }

    fn describe_absence(&self, waited: Duration) -> String {
        let status = self.status();
        let reason = status.last_error.map(|reason| format!("; last problem: {reason}")).unwrap_or_default();
        format!("no process took the invocation within {} s ({} running){reason}", waited.as_secs(), status.running)
    }
}

#[async_trait]
impl Invoker for ProcessFunction {
    async fn call(&self, function: &FunctionName, call: Call) -> Result<Response, InvokeError> {
        Self::call(self, function, call).await
    }

    fn slots(&self, _function: &FunctionName) -> Option<Arc<Semaphore>> {
        Some(Self::slots(self))
    }
}
