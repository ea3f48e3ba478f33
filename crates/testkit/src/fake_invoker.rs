use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{Call, ErrorKind, FunctionName, InvokeError, Invoker, Response};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What a [`FakeInvoker`] answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The function returns this JSON.
    Returns(Value),
    /// The function raises an error.
    Raises,
    /// The service refuses the call.
    Refuses(ErrorKind),
}

/// One invocation that a [`FakeInvoker`] saw.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// When it began.
    pub at: Instant,
    /// `messageId`s of the batch, in order.
    pub ids: Vec<String>,
    /// The whole event.
    pub event: Value,
    /// What else came with it.
    pub call: Call,
}

type Decide = dyn Fn(&Value) -> Reply + Send + Sync;

/// A function that answers by a rule or from a script, takes its time, and remembers what it was given.
pub struct FakeInvoker {
    decide: Box<Decide>,
    script: Mutex<VecDeque<Reply>>,
    takes: Duration,
    slots: Option<Arc<Semaphore>>,
    seen: Mutex<Vec<Invocation>>,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl FakeInvoker {
    /// Answers each batch, given as its records, by a rule.
    pub fn deciding(decide: impl Fn(&[Value]) -> Reply + Send + Sync + 'static) -> Self {
        Self::deciding_on_event(move |event| decide(event["Records"].as_array().map_or(&[], Vec::as_slice)))
    }

    /// Answers each event by a rule.
    pub fn deciding_on_event(decide: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            decide: Box::new(decide),
            script: Mutex::default(),
            takes: Duration::ZERO,
            slots: None,
            seen: Mutex::default(),
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    /// Answers from a script, then succeeds for ever.
    pub fn scripted(script: impl IntoIterator<Item = Reply>) -> Self {
        let invoker = Self::deciding(|_| Reply::Returns(Value::Null));
        Self { script: Mutex::new(script.into_iter().collect()), ..invoker }
    }

    /// Each invocation takes this long.
    pub fn taking(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    /// The function runs only so many invocations at a time.
    pub fn with_slots(self, slots: usize) -> Self {
        Self { slots: Some(Arc::new(Semaphore::new(slots))), ..self }
    }

    /// Every invocation so far, in order of their beginnings.
    pub fn seen(&self) -> Vec<Invocation> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of every invocation so far.
    pub fn batches(&self) -> Vec<Vec<String>> {
        self.seen().into_iter().map(|invocation| invocation.ids).collect()
    }

    /// The most invocations that ran at the same time.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Invoker for FakeInvoker {
    async fn call(&self, function: &FunctionName, call: Call) -> Result<Response, InvokeError> {
        let event: Value = serde_json::from_slice(&call.payload).map_err(|error| InvokeError {
            function: function.to_string(),
            message: format!("the event isn't JSON: {error}"),
            kind: ErrorKind::Payload,
        })?;
        let records = event["Records"].as_array().map_or(&[][..], Vec::as_slice);
        let ids = records.iter().map(|record| record["messageId"].as_str().unwrap_or_default().to_owned()).collect();
        let number = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(Invocation { at: Instant::now(), ids, event: event.clone(), call });
            seen.len()
        };
        self.most_at_once.fetch_max(self.running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        let scripted = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let (function_error, payload) = match scripted.unwrap_or_else(|| (self.decide)(&event)) {
            Reply::Returns(value) => (None, Bytes::from(value.to_string())),
            Reply::Raises => (
                Some("Unhandled".to_owned()),
                Bytes::from_static(b"{\"errorMessage\":\"raised\",\"errorType\":\"Error\"}"),
            ),
            Reply::Refuses(kind) => {
                return Err(InvokeError { function: function.to_string(), message: "refused".into(), kind });
            }
        };
        Ok(Response {
            request_id: format!("request-{number}"),
            status_code: 200,
            executed_version: "$LATEST".into(),
            function_error,
            payload,
            log_tail: None,
        })
    }

    fn slots(&self, _function: &FunctionName) -> Option<Arc<Semaphore>> {
        self.slots.clone()
    }
}
