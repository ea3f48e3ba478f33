//! Whether what mappings name is there, and fits together.
use std::time::Duration;

use pelton_config::Loaded;
use pelton_core::{DestinationArn, Mapping};

use super::asynchronous::is_local;
use super::services::{Answer, Services};
use super::{NOT_THERE, Report, missing};

const NO_QUEUE: &str = "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. \
                        SQS Error Message: The specified queue does not exist.";

pub async fn check(loaded: &Loaded, services: &mut Services<'_>, report: &mut Report) {
    let mut look = Look { loaded, services, report };
    for mapping in &loaded.configuration.mappings {
        let hidden_for = look.source(mapping).await;
        let runs_for = look.function(mapping).await;
        look.timeouts(mapping, hidden_for, runs_for);
        look.others(mapping).await;
        look.destination(mapping, "DestinationConfig.OnSuccess.Destination", mapping.on_success.as_ref()).await;
        look.destination(mapping, "DestinationConfig.OnFailure.Destination", mapping.on_failure.as_ref()).await;
        let bucket = mapping.overflow_bucket.clone().map(DestinationArn::Bucket);
        look.destination(mapping, "DestinationConfig.OverflowBucket", bucket.as_ref()).await;
    }
}

struct Look<'a, 'aws> {
    loaded: &'a Loaded,
    services: &'a mut Services<'aws>,
    report: &'a mut Report,
}

impl Look<'_, '_> {
    /// The visibility timeout of a queue, if it is known.
    async fn source(&mut self, mapping: &Mapping) -> Option<Duration> {
        let answer = self.services.ask(&mapping.event_source, home(mapping)).await;
        let missing = match &mapping.stream {
            None => NO_QUEUE.to_owned(),
            Some(_) => format!("Stream not found: {}", mapping.event_source),
        };
        let fix = match mapping.event_source.service() {
            "sqs" => "create the queue at this endpoint, or correct the ARN",
            "kinesis" => "create the stream or its consumer at this endpoint, or correct the ARN",
            _ => {
                "write the table's LatestStreamArn: it is a new one whenever a table is made or its stream switched on"
            }
        };
        self.take(mapping, "EventSourceArn", answer, &missing, fix)
    }

    /// Warns of mappings that take records away, or get them too.
    async fn others(&mut self, mapping: &Mapping) {
        let others = self.services.other_mappings(&mapping.event_source, home(mapping)).await;
        if !others.is_empty() {
            let effect = match &mapping.stream {
                None => "polls the same queue, so records would be split between it and Pelton",
                Some(_) => {
                    "reads the same stream, so its functions get every record too, and the read limits are shared"
                }
            };
            let message = format!("Lambda at this endpoint {effect}: {}", others.join(", "));
            let fix = "delete or disable that mapping, unless this is what you want".to_owned();
            self.report.warnings.push(self.loaded.mapping_problem(mapping.id, "EventSourceArn", message, fix));
        }
    }

    /// The function's timeout, if it is known.
    async fn function(&mut self, mapping: &Mapping) -> Option<Duration> {
        if let Some(function) = self.loaded.configuration.local_function(&mapping.function) {
            return Some(function.timeout);
        }
        let answer = self.services.ask(&mapping.function_arn, home(mapping)).await;
        let fix = "create it at this endpoint, or run it as a local process by an entry in Functions";
        self.take(mapping, "FunctionName", answer, "Function does not exist", fix)
    }

    fn timeouts(&mut self, mapping: &Mapping, hidden_for: Option<Duration>, runs_for: Option<Duration>) {
        let (Some(hidden_for), Some(runs_for)) = (hidden_for, runs_for) else { return };
        if hidden_for < runs_for {
            let (hidden_for, runs_for) = (hidden_for.as_secs(), runs_for.as_secs());
            let message = format!(
                "Queue visibility timeout: {hidden_for} seconds is less than Function timeout: {runs_for} seconds"
            );
            let fix = format!(
                "set the queue's VisibilityTimeout to {runs_for} or more ({} is AWS's advice), or lower the function's Timeout",
                (runs_for * 6).min(43_200)
            );
            self.report.problems.push(self.loaded.mapping_problem(mapping.id, "EventSourceArn", message, fix));
        }
    }

    async fn destination(&mut self, mapping: &Mapping, field: &str, destination: Option<&DestinationArn>) {
        let Some(destination) = destination.filter(|to| !is_local(to, self.loaded)) else { return };
        let answer = self.services.ask(destination.arn(), home(mapping)).await;
        self.take(mapping, field, answer, &missing(destination), NOT_THERE);
    }

    fn take(&mut self, mapping: &Mapping, field: &str, answer: Answer, missing: &str, fix: &str) -> Option<Duration> {
        let problem = |message, fix| self.loaded.mapping_problem(mapping.id, field, message, fix);
        self.report.take(answer, (missing, fix), problem)
    }
}

/// The Region of what is named without one: that of the function, since the ARNs of DynamoDB Local have none.
fn home(mapping: &Mapping) -> &str {
    mapping.function_arn.region()
}
