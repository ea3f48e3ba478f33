//! An EventBridge bus: the record is the event's detail (spec 10.2).
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use pelton_core::{Arn, Condition, DestinationError, ErrorKind, ExecutionRecord};
use tokio::time::Instant;

use crate::error::{Rejection, failed, rejection};
use crate::size::Channel;

/// Largest entry, with source, detail type and resources: 256 KiB.
const LIMIT: usize = 262_144;
const SOURCE: &str = "lambda";
/// How long a bus that was seen is believed to exist.
const LIFETIME: Duration = Duration::from_secs(10);

/// An event bus.
#[derive(Debug)]
pub struct Bus {
    client: Client,
    arn: Arn,
    seen_at: Mutex<Option<Instant>>,
}

impl Bus {
    pub fn new(client: Client, arn: Arn) -> Self {
        Self { client, arn, seen_at: Mutex::default() }
    }

    /// PutEvents accepts, and loses, events for a bus that doesn't exist. So ask first.
    async fn must_exist(&self) -> Result<(), Rejection> {
        let seen_at = *self.seen_at.lock().unwrap_or_else(PoisonError::into_inner);
        if seen_at.is_some_and(|seen_at| seen_at.elapsed() < LIFETIME) {
            return Ok(());
        }
        let described = self.client.describe_event_bus().name(self.arn.to_string()).send().await;
        if let Err(error) = described {
            let missing = error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception());
            let rejected = rejection(&self.arn, "DescribeEventBus", &error);
            let kind = match &rejected {
                Rejection::TooLarge { error, .. } | Rejection::Missing(error) | Rejection::Other(error) => error.kind,
            };
            // Without permission to look there is nothing to learn, and PutEvents may well be allowed.
            if (missing && !self.is_known_by_name().await) || (!missing && kind != ErrorKind::Refused) {
                return Err(rejected);
            }
        }
        *self.seen_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }

    /// MiniStack finds buses by name only, though PutEvents takes their ARN. A bus of the same name in another account
    /// is not this one.
    async fn is_known_by_name(&self) -> bool {
        let name = self.arn.resource().trim_start_matches("event-bus/");
        let described = self.client.describe_event_bus().name(name).send().await;
        described.is_ok_and(|bus| bus.arn() == Some(self.arn.to_string().as_str()))
    }

    fn resources(&self, record: &ExecutionRecord) -> [String; 2] {
        [self.arn.to_string(), qualified(&record.request_context.function_arn)]
    }

    fn refused(&self, entry: &PutEventsResultEntry) -> Option<Rejection> {
        let code = entry.error_code()?;
        let kind = match code {
            code if code.contains("Throttling") => ErrorKind::Throttled { retry_after: None },
            "InternalFailure" | "InternalException" | "ServiceUnavailable" => ErrorKind::Transient,
            "MalformedDetail" => ErrorKind::Payload,
            _ => ErrorKind::Refused,
        };
        let text = entry.error_message().unwrap_or("no further explanation");
        Some(Rejection::Other(failed(&self.arn, kind, format!("PutEvents refused the entry: {code}: {text}"))))
    }
}

#[async_trait]
impl Channel for Bus {
    fn arn(&self) -> &Arn {
        &self.arn
    }

    async fn limit(&self, record: &ExecutionRecord, _: usize) -> Result<usize, DestinationError> {
        let resources: usize = self.resources(record).iter().map(String::len).sum();
        Ok(LIMIT - SOURCE.len() - detail_type(record.request_context.condition).len() - resources)
    }

    async fn send(&self, record: &ExecutionRecord, json: &str) -> Result<(), Rejection> {
        self.must_exist().await?;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(self.arn.to_string())
            .source(SOURCE)
            .detail_type(detail_type(record.request_context.condition))
            .set_resources(Some(self.resources(record).into()))
            .detail(json)
            .build();
        let put = self.client.put_events().entries(entry).send().await;
        let put = put.map_err(|error| rejection(&self.arn, "PutEvents", &error))?;
        // The call succeeds also when the entry doesn't.
        if let Some(refused) = put.entries().iter().find_map(|entry| self.refused(entry)) {
            return Err(refused);
        }
        if put.failed_entry_count() > 0 {
            let message = "PutEvents refused the entry without saying why".into();
            return Err(Rejection::Other(failed(&self.arn, ErrorKind::Transient, message)));
        }
        Ok(())
    }
}

fn detail_type(condition: Condition) -> &'static str {
    match condition {
        Condition::Success => "Lambda Function Invocation Result - Success",
        _ => "Lambda Function Invocation Result - Failure",
    }
}

/// In `resources` the function is always qualified (spec 10.2).
fn qualified(function: &Arn) -> String {
    match function.resource().strip_prefix("function:") {
        Some(name) if !name.contains(':') => format!("{function}:$LATEST"),
        _ => function.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_always_qualified() {
        for (function, expected) in
            [("function:work", "function:work:$LATEST"), ("function:work:live", "function:work:live")]
        {
            let arn = Arn::new("aws", "lambda", "us-east-1", "000000000000", function).unwrap();
            assert_eq!(qualified(&arn), format!("arn:aws:lambda:us-east-1:000000000000:{expected}"));
        }
    }
}
