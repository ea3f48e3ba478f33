//! What mappings are put together from: sources, local functions, and SDK clients of each region, made once.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{Destination, DestinationArn, Invoker, Mapping, Source, Store};
use pelton_destinations::Clients;
use pelton_engine::Plan;
use pelton_invoke::{LambdaInvoker, ProcessFunction};

use super::running::Functions;
use crate::aws::Aws;
use crate::sources::Sources;

/// How long a function's role is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Parts {
    aws: Aws,
    functions: Functions,
    sources: Sources,
    clients: BTreeMap<String, Clients>,
    store: Option<Arc<dyn Store>>,
}

impl Parts {
    pub fn new(aws: Aws, functions: Functions, store: Option<Arc<dyn Store>>) -> Self {
        Self { sources: Sources::new(aws.clone()), aws, functions, clients: BTreeMap::new(), store }
    }

    /// Takes a store, for mappings that come later.
    pub fn keep_state_in(&mut self, store: Arc<dyn Store>) {
        self.store = Some(store);
    }

    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    pub fn functions(&self) -> impl Iterator<Item = &Arc<ProcessFunction>> {
        self.functions.values()
    }

    /// Takes new clients, if there are any, and new functions. Gives the functions that are no longer used.
    pub fn replace(
        &mut self,
        aws: Option<Aws>,
        stop: &BTreeSet<String>,
        start: Functions,
    ) -> Vec<Arc<ProcessFunction>> {
        if let Some(aws) = aws {
            self.sources = Sources::new(aws.clone());
            self.aws = aws;
            self.clients.clear();
        }
        let ended = stop.iter().filter_map(|name| self.functions.remove(name)).collect();
        self.functions.extend(start);
        ended
    }

    /// A mapping with everything it works with.
    pub async fn plan(&mut self, mapping: &Mapping) -> anyhow::Result<Plan> {
        let source = self.source(mapping).await?;
        let invoker: Arc<dyn Invoker> = match self.functions.get(mapping.function.name()) {
            Some(local) => local.clone(),
            None => Arc::new(LambdaInvoker::new(self.clients(mapping.function_arn.region()).lambda.clone())),
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
    async fn role(&mut self, mapping: &Mapping) -> String {
        let arn = &mapping.function_arn;
        if !self.functions.contains_key(mapping.function.name()) {
            let lambda = self.clients(arn.region()).lambda.clone();
            let call = lambda.get_function_configuration().function_name(arn.to_string()).send();
            if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, call).await
                && let Some(role) = answer.role.filter(|role| !role.is_empty())
            {
                return role;
            }
        }
        format!("arn:{}:iam::{}:role/{}", arn.partition(), arn.account(), mapping.function.name())
    }

    fn destination(&mut self, mapping: &Mapping, arn: Option<&DestinationArn>) -> Option<Arc<dyn Destination>> {
        let arn = arn?;
        let region = match arn.arn().region() {
            "" => mapping.function_arn.region(),
            region => region,
        };
        Some(pelton_destinations::connect(self.clients(region), arn, mapping.overflow_bucket.as_ref()))
    }

    fn clients(&mut self, region: &str) -> &Clients {
        let aws = &self.aws;
        self.clients.entry(region.to_owned()).or_insert_with(|| Clients {
            sqs: aws.sqs(region),
            sns: aws.sns(region),
            eventbridge: aws.eventbridge(region),
            lambda: aws.lambda(region),
            s3: aws.s3(region),
        })
    }
}
