//! What mappings are put together from: local functions, and SDK clients of each region, made once.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pelton_core::{Destination, DestinationArn, Invoker, Mapping};
use pelton_destinations::Clients;
use pelton_engine::Plan;
use pelton_invoke::{LambdaInvoker, ProcessFunction};
use pelton_source_sqs::SqsSource;

use super::running::Functions;
use crate::aws::Aws;

pub struct Parts {
    aws: Aws,
    functions: Functions,
    queues: BTreeMap<String, pelton_source_sqs::Client>,
    clients: BTreeMap<String, Clients>,
}

impl Parts {
    pub fn new(aws: Aws, functions: Functions) -> Self {
        Self { aws, functions, queues: BTreeMap::new(), clients: BTreeMap::new() }
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
            self.aws = aws;
            self.queues.clear();
            self.clients.clear();
        }
        let ended = stop.iter().filter_map(|name| self.functions.remove(name)).collect();
        self.functions.extend(start);
        ended
    }

    /// A mapping with everything it works with.
    pub fn plan(&mut self, mapping: &Mapping) -> Plan {
        let region = mapping.event_source.region();
        let aws = &self.aws;
        let queues = self.queues.entry(region.to_owned());
        let queues = queues.or_insert_with(|| pelton_source_sqs::Client::new(&aws.sqs_config(region))).clone();
        let source =
            SqsSource::new(queues, mapping.event_source.clone(), mapping.batching_window, self.aws.idle_wait());
        let invoker: Arc<dyn Invoker> = match self.functions.get(mapping.function.name()) {
            Some(local) => local.clone(),
            None => Arc::new(LambdaInvoker::new(self.clients(mapping.function_arn.region()).lambda.clone())),
        };
        Plan {
            source: Arc::new(source),
            invoker,
            on_success: self.destination(mapping, mapping.on_success.as_ref()),
            on_failure: self.destination(mapping, mapping.on_failure.as_ref()),
            mapping: mapping.clone(),
        }
    }

    fn destination(&mut self, mapping: &Mapping, arn: Option<&DestinationArn>) -> Option<Arc<dyn Destination>> {
        let arn = arn?;
        let region = match arn.arn().region() {
            "" => mapping.event_source.region(),
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
