//! Routes an invocation to where its function lives.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use pelton_core::{ErrorKind, FunctionName, InvokeError, Invoker, Response};
use tokio::sync::Semaphore;

use crate::{LambdaInvoker, ProcessFunction};

/// Every function Pelton can call: those of `Functions:` run as local processes, all others are asked for at the
/// Lambda endpoint. A local function is found by its bare name, so `work`, `work:live` and its full ARN are the same
/// processes.
pub struct Functions {
    local: BTreeMap<String, ProcessFunction>,
    lambda: Option<LambdaInvoker>,
}

impl Functions {
    /// `lambda: None` refuses every function that isn't local.
    pub fn new(local: impl IntoIterator<Item = ProcessFunction>, lambda: Option<LambdaInvoker>) -> Self {
        let local = local.into_iter().map(|function| (function.name().to_owned(), function)).collect();
        Self { local, lambda }
    }

    /// The local functions, by name.
    pub fn local(&self) -> impl Iterator<Item = &ProcessFunction> {
        self.local.values()
    }

    /// Shuts all local functions down at the same time; see [`ProcessFunction::shutdown`].
    pub async fn shutdown(&self, grace: Duration) {
        join_all(self.local.values().map(|function| function.shutdown(grace))).await;
    }
}

#[async_trait]
impl Invoker for Functions {
    async fn invoke(&self, function: &FunctionName, payload: Bytes) -> Result<Response, InvokeError> {
        if let Some(local) = self.local.get(function.name()) {
            return local.invoke(function, payload).await;
        }
        match &self.lambda {
            Some(lambda) => lambda.invoke(function, payload).await,
            None => Err(InvokeError {
                function: function.as_str().to_owned(),
                message: format!(
                    "no function '{}' under 'Functions', and no Lambda endpoint to ask: add it there, or configure an endpoint",
                    function.name()
                ),
                kind: ErrorKind::Refused,
            }),
        }
    }

    fn slots(&self, function: &FunctionName) -> Option<Arc<Semaphore>> {
        self.local.get(function.name()).map(ProcessFunction::slots)
    }
}
