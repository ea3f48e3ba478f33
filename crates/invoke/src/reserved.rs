//! `ReservedConcurrentExecutions`: how many invocations of a function run at a time, at most.
use std::sync::Arc;

use async_trait::async_trait;
use pelton_core::{Call, ErrorKind, FunctionName, InvokeError, Invoker, Response};
use tokio::sync::Semaphore;

/// Lets at most so many calls through at a time and refuses every other one at once, in Lambda's words. Nothing waits
/// here.
pub struct Reserved {
    inner: Arc<dyn Invoker>,
    free: Semaphore,
}

impl Reserved {
    /// `limit` is the function's `ReservedConcurrentExecutions`; 0 refuses every call. A call whose future is dropped
    /// no longer counts, although the function may run on.
    pub fn new(inner: Arc<dyn Invoker>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { inner, free: Semaphore::new(limit) }
    }
}

#[async_trait]
impl Invoker for Reserved {
    async fn call(&self, function: &FunctionName, call: Call) -> Result<Response, InvokeError> {
        let Ok(_running) = self.free.try_acquire() else {
            return Err(InvokeError {
                function: function.as_str().to_owned(),
                message: "Rate Exceeded.".to_owned(),
                kind: ErrorKind::Throttled { retry_after: None },
            });
        };
        self.inner.call(function, call).await
    }

    fn slots(&self, function: &FunctionName) -> Option<Arc<Semaphore>> {
        self.inner.slots(function)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;

    use super::*;

    /// Answers when the test lets it.
    struct Gate {
        open: Semaphore,
        slots: Arc<Semaphore>,
    }

    #[async_trait]
    impl Invoker for Gate {
        async fn call(&self, _: &FunctionName, call: Call) -> Result<Response, InvokeError> {
            self.open.acquire().await.unwrap().forget();
            Ok(Response {
                request_id: "r".into(),
                status_code: 200,
                executed_version: "$LATEST".into(),
                function_error: None,
                payload: call.payload,
                log_tail: None,
            })
        }

        fn slots(&self, _: &FunctionName) -> Option<Arc<Semaphore>> {
            Some(Arc::clone(&self.slots))
        }
    }

    fn reserved(limit: u32) -> (Arc<Gate>, Reserved, FunctionName) {
        let gate = Arc::new(Gate { open: Semaphore::new(0), slots: Arc::new(Semaphore::new(7)) });
        (gate.clone(), Reserved::new(gate, limit), "work".parse().unwrap())
    }

    fn assert_throttled(result: Option<Result<Response, InvokeError>>) {
        let error = result.expect("it is refused at once").unwrap_err();
        assert_eq!((error.kind, &*error.message), (ErrorKind::Throttled { retry_after: None }, "Rate Exceeded."));
        assert_eq!(error.function, "work");
    }

    #[tokio::test]
    async fn refuses_what_is_more_than_the_limit_at_once() {
        let (gate, reserved, function) = reserved(2);
        let call = || reserved.invoke(&function, Bytes::from_static(b"1"));
        let (mut first, mut second) = (call(), call());
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert_throttled(call().now_or_never());

        gate.open.add_permits(1);
        assert_eq!(first.await.unwrap().payload, "1");
        let mut third = call();
        assert!((&mut third).now_or_never().is_none(), "an ended call has made room");
        assert_throttled(call().now_or_never());
        drop(second);
        gate.open.add_permits(2);
        assert!(call().await.is_ok(), "a dropped call has made room");
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn zero_refuses_every_call() {
        let (gate, reserved, function) = reserved(0);
        gate.open.add_permits(1);
        assert_throttled(reserved.invoke(&function, Bytes::new()).now_or_never());
    }

    #[test]
    fn the_slots_are_those_of_the_function() {
        let (gate, reserved, function) = reserved(u32::MAX);
        assert!(Arc::ptr_eq(&reserved.slots(&function).unwrap(), &gate.slots));
    }
}
