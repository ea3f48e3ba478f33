//! What mappings are put together from: sources, local functions, and what they reach.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{Destination, DestinationArn, Invoker, Mapping, Source, Store};
use pelton_engine::Plan;
use pelton_invoke::ProcessFunction;

use super::functions::Functions;
use super::outlets::Outlets;
use crate::aws::Aws;
use crate::sources::Sources;

/// How long a function's role is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Parts {
    outlets: Arc<Outlets>,
    functions: Functions,
    sources: Sources,
    store: Option<Arc<dyn Store>>,
}

impl Parts {
    pub fn new(outlets: Arc<Outlets>, functions: Functions, store: Option<Arc<dyn Store>>) -> Self {
        Self { sources: Sources::new(outlets.aws().clone()), outlets, functions, store }
    }

    /// Takes a store, for mappings that come later.
    pub fn keep_state_in(&mut self, store: Arc<dyn Store>) {
        self.store = Some(store);
    }

    pub fn aws(&self) -> &Aws {
        self.outlets.aws()
    }

    pub fn outlets(&self) -> &Arc<Outlets> {
        &self.outlets
    }

    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Takes other outlets, whose clients are other ones or not, and new functions. Gives the functions that are no
    /// longer used.
    pub fn replace(
        &mut self,
        (outlets, has_new_clients): (Arc<Outlets>, bool),
        stop: &BTreeSet<String>,
        start: Functions,
    ) -> Vec<Arc<ProcessFunction>> {
        if has_new_clients {
            self.sources = Sources::new(outlets.aws().clone());
        }
        self.outlets = outlets;
        let ended = stop.iter().filter_map(|name| self.functions.remove(name)).map(|ended| ended.process).collect();
        self.functions.extend(start);
        ended
    }

    /// Takes functions that were started later.
    pub fn add(&mut self, started: Functions) {
        self.functions.extend(started);
    }

    /// A mapping with everything it works with.
    pub async fn plan(&mut self, mapping: &Mapping) -> anyhow::Result<Plan> {
        let source = self.source(mapping).await?;
        let invoker: Arc<dyn Invoker> = match self.functions.get(mapping.function.name()) {
            Some(local) => local.invoker.clone(),
            None => self.outlets.invoker(mapping.function_arn.region()),
        };
        Ok(Plan {
            source,
            invoker,
            on_success: self.destination(mapping, mapping.on_success.as_ref()),
            on_failure: self.destination(mapping, mapping.on_failure.as_ref()),
            store: self.store.clone().filter(|_| mapping.stream.is_some()),
            mapping: mapping.clone(),
        })
    }

    async fn source(&mut self, mapping: &Mapping) -> anyhow::Result<Arc<dyn Source>> {
        let is_kinesis = mapping.event_source.service() == "kinesis";
        let identity = if is_kinesis { self.role(mapping).await } else { String::new() };
        self.sources.source(mapping, identity)
    }

    /// The function's execution role, which records of Kinesis name. A local process has none: it gets one of its name.
    async fn role(&self, mapping: &Mapping) -> String {
        let arn = &mapping.function_arn;
        if !self.functions.contains_key(mapping.function.name()) {
            let lambda = self.outlets.clients(arn.region()).lambda;
            let call = lambda.get_function_configuration().function_name(arn.to_string()).send();
            if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, call).await
                && let Some(role) = answer.role.filter(|role| !role.is_empty())
            {
                return role;
            }
        }
        format!("arn:{}:iam::{}:role/{}", arn.partition(), arn.account(), mapping.function.name())
    }

    fn destination(&self, mapping: &Mapping, to: Option<&DestinationArn>) -> Option<Arc<dyn Destination>> {
        let (home, overflow) = (mapping.function_arn.region(), mapping.overflow_bucket.as_ref());
        Some(self.outlets.destination(to?, home, overflow, &self.functions))
    }
}
