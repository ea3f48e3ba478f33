//! The sources of mappings, and what they call: one client a region.
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use pelton_core::{Mapping, Source, SystemClock};
use pelton_source_dynamodb::DynamoDbSource;
use pelton_source_kinesis::KinesisSource;
use pelton_source_sqs::SqsSource;

use crate::aws::Aws;

/// Makes sources. A new source takes an arm here.
pub struct Sources {
    aws: Aws,
    queues: BTreeMap<String, pelton_source_sqs::Client>,
    kinesis: BTreeMap<String, pelton_source_kinesis::Client>,
    dynamodb: BTreeMap<String, pelton_source_dynamodb::Client>,
}

impl Sources {
    /// Clients are made when they are first needed.
    pub fn new(aws: Aws) -> Self {
        Self { aws, queues: BTreeMap::new(), kinesis: BTreeMap::new(), dynamodb: BTreeMap::new() }
    }

    /// The source of a mapping. `identity` is the function's execution role, which records of Kinesis name.
    pub fn source(&mut self, mapping: &Mapping, identity: String) -> anyhow::Result<Arc<dyn Source>> {
        let (arn, region) = (mapping.event_source.clone(), mapping.event_source.region().to_owned());
        let interval = mapping.stream.as_ref().and_then(|stream| stream.poll_interval);
        let interval = interval.unwrap_or_else(|| self.aws.poll_interval(arn.service()));
        let aws = &self.aws;
        Ok(match arn.service() {
            "kinesis" => {
                let client = self.kinesis.entry(region.clone());
                let client = client.or_insert_with(|| pelton_source_kinesis::Client::new(&aws.kinesis_config(&region)));
                let source = KinesisSource::new(client.clone(), arn, identity, interval);
                Arc::new(source.with_context(|| format!("{} can't be read", mapping.event_source))?)
            }
            "dynamodb" => {
                let client = self.dynamodb.entry(region.clone());
                let client = client
                    .or_insert_with(|| pelton_source_dynamodb::Client::new(&aws.dynamodb_streams_config(&region)));
                Arc::new(DynamoDbSource::new(client.clone(), arn, interval, Arc::new(SystemClock)))
            }
            _ => {
                let client = self.queues.entry(region.clone());
                let client = client.or_insert_with(|| pelton_source_sqs::Client::new(&aws.sqs_config(&region)));
                Arc::new(SqsSource::new(client.clone(), arn, mapping.batching_window, aws.idle_wait()))
            }
        })
    }
}
