//! A function from a few lines of code.
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pelton_core::{Call, FunctionName, InvokeError, Invoker as _, Response};
use pelton_invoke::{Launch, ProcessFunction, ProcessSettings, ProcessStatus};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Generous, because the machine may be busy; nothing waits for it to be over.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with code, and how to run it.
pub struct Code {
    pub folder: Arc<TempDir>,
    pub settings: ProcessSettings,
}

impl Code {
    /// `handler` is `file.function`.
    pub fn new(runtime: &str, file: &str, text: &str, handler: &str) -> Self {
        let launch =
            Launch::Runtime { runtime: runtime.parse().unwrap(), handler: handler.to_owned(), code_uri: ".".into() };
        let code = Self::launch(launch);
        code.write(file, text);
        code
    }

    /// `def handler(event, context)` in `app.py`.
    pub fn python(text: &str) -> Self {
        Self::new("python3", "app.py", text, "app.handler")
    }

    /// A program that speaks the Runtime API itself.
    pub fn command(words: &[&str]) -> Self {
        Self::launch(Launch::Command(words.iter().map(|word| (*word).to_owned()).collect()))
    }

    fn launch(launch: Launch) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let settings = ProcessSettings {
            name: "work".to_owned(),
            region: "us-east-1".to_owned(),
            account: None,
            launch,
            working_directory: folder.path().to_owned(),
            concurrency: 1,
            timeout: PATIENCE,
            memory_size_megabytes: 256,
            environment: BTreeMap::new(),
            watch: false,
        };
        Self { folder, settings }
    }

    pub fn with(mut self, change: impl FnOnce(&mut ProcessSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.timeout = timeout)
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub async fn start(&self) -> Started {
        self.start_until(CancellationToken::new()).await
    }

    pub async fn start_until(&self, cancellation: CancellationToken) -> Started {
        let function = ProcessFunction::start(self.settings.clone(), cancellation).await.unwrap();
        Started { function, _folder: Arc::clone(&self.folder) }
    }
}

/// A function, and the folder that it needs.
pub struct Started {
    pub function: ProcessFunction,
    _folder: Arc<TempDir>,
}

impl Deref for Started {
    type Target = ProcessFunction;

    fn deref(&self) -> &ProcessFunction {
        &self.function
    }
}

pub async fn try_invoke(function: &Started, event: impl Into<Bytes>) -> Result<Response, InvokeError> {
    let name: FunctionName = function.name().parse().unwrap();
    function.invoke(&name, event.into()).await
}

pub async fn try_call(function: &Started, call: Call) -> Result<Response, InvokeError> {
    let name: FunctionName = function.name().parse().unwrap();
    function.call(&name, call).await
}

pub async fn invoke(function: &Started, event: impl Into<Bytes>) -> Response {
    try_invoke(function, event).await.unwrap()
}

/// The answer of an invocation that succeeds.
pub async fn result(function: &Started, event: impl Into<Bytes>) -> Value {
    let response = invoke(function, event).await;
    assert_eq!(response.function_error, None, "{:?}", response.payload);
    assert_eq!((response.status_code, response.executed_version.as_str()), (200, "$LATEST"));
    json(&response)
}

/// The error object of an invocation that fails.
pub async fn error(function: &Started, event: impl Into<Bytes>) -> Value {
    let response = invoke(function, event).await;
    assert_eq!(response.function_error.as_deref(), Some("Unhandled"), "{:?}", response.payload);
    assert_eq!(response.status_code, 200);
    json(&response)
}

pub fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.payload).unwrap()
}

/// Waits until the status is as it should be.
pub async fn until(function: &Started, what: &str, is_so: impl Fn(&ProcessStatus) -> bool) -> ProcessStatus {
    let mut status = function.status();
    eventually(what, || {
        status = function.status();
        is_so(&status)
    })
    .await;
    status
}

/// Waits until something holds, and fails after [`PATIENCE`].
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process is there and no zombie.
pub fn is_alive(process: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
