//! A function that Pelton itself runs: the record is an event that goes through its own front door.
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{Arn, Destination, DestinationError, ExecutionRecord, Origin, TraceHeader};

use crate::error::Rejection;
use crate::lambda::LIMIT;
use crate::size::{Channel, Fitting};

/// Takes asynchronous events for functions.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Accepts an event for a function, version or alias. `Ok`: the event is kept, as durably as a record has to be that
    /// is about to leave its source. The trace counts this hop already.
    async fn accept(&self, function: &Arn, payload: Bytes, trace: TraceHeader) -> Result<(), DestinationError>;
}

/// A function as destination whose events `accept` takes. A record above Lambda's limit of 1 MiB is sent without its
/// payloads and says so in `payloadsOmitted`, as by [`crate::connect`]. An event's trace goes one hop further, a
/// mapping's record begins one.
pub fn connect_local(function: Arn, accept: Arc<dyn Accept>) -> Arc<dyn Destination> {
    Arc::new(Fitting::new(Local { function, accept }, None))
}

struct Local {
    function: Arn,
    accept: Arc<dyn Accept>,
}

#[async_trait]
impl Channel for Local {
    fn arn(&self) -> &Arn {
        &self.function
    }

    async fn limit(&self, _: &ExecutionRecord, _: usize) -> Result<usize, DestinationError> {
        Ok(LIMIT)
    }

    async fn send(&self, record: &ExecutionRecord, json: &str) -> Result<(), Rejection> {
        let trace = match &record.origin {
            Origin::Event { trace } => trace.next_hop(),
            Origin::Mapping { .. } => TraceHeader::received(None),
        };
        let payload = Bytes::copy_from_slice(json.as_bytes());
        self.accept.accept(&self.function, payload, trace).await.map_err(Rejection::Other)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use pelton_core::{Condition, ErrorKind};
    use serde_json::Value;

    use super::*;
    use crate::error::failed;
    use crate::omission::tests::record;

    /// Accepts, or refuses with a word.
    struct Door {
        refusal: Option<&'static str>,
        accepted: Mutex<Vec<(Arn, Bytes, TraceHeader)>>,
    }

    #[async_trait]
    impl Accept for Door {
        async fn accept(&self, function: &Arn, payload: Bytes, trace: TraceHeader) -> Result<(), DestinationError> {
            if let Some(refusal) = self.refusal {
                return Err(failed(function, ErrorKind::Transient, refusal.into()));
            }
            self.accepted.lock().unwrap().push((function.clone(), payload, trace));
            Ok(())
        }
    }

    fn connected(refusal: Option<&'static str>) -> (Arc<Door>, Arc<dyn Destination>) {
        let door = Arc::new(Door { refusal, accepted: Mutex::default() });
        let function = "arn:aws:lambda:us-east-1:000000000000:function:audit:live".parse().unwrap();
        (door.clone(), connect_local(function, door))
    }

    fn of_an_event(event: &str) -> ExecutionRecord {
        let trace = TraceHeader::received(Some("Root=1-5f-9c;Lineage=1:pelton:3"));
        ExecutionRecord { origin: Origin::Event { trace }, ..record(Condition::Success, event, "1") }
    }

    #[tokio::test]
    async fn the_record_is_the_event_one_hop_further() {
        let (door, destination) = connected(None);
        let record = of_an_event("{\"a\":  1}");
        destination.deliver(&record).await.unwrap();
        let [(function, payload, trace)] = door.accepted.lock().unwrap().clone().try_into().unwrap();
        assert_eq!(function.resource(), "function:audit:live");
        assert_eq!(payload, record.to_json().unwrap());
        assert_eq!(trace.as_str(), "Root=1-5f-9c;Lineage=1:pelton:4");
    }

    #[tokio::test]
    async fn the_record_of_a_mapping_begins_a_trace() {
        let (door, destination) = connected(None);
        destination.deliver(&record(Condition::Success, "{}", "1")).await.unwrap();
        assert_eq!(door.accepted.lock().unwrap()[0].2.hops(), 0);
    }

    #[tokio::test]
    async fn a_record_above_1_mib_comes_without_its_payloads() {
        let (door, destination) = connected(None);
        destination.deliver(&of_an_event(&format!("\"{}\"", "x".repeat(1_048_576)))).await.unwrap();
        let payload: Value = serde_json::from_slice(&door.accepted.lock().unwrap()[0].1).unwrap();
        assert_eq!(
            (payload["payloadsOmitted"]["limit"].as_u64(), payload.get("requestPayload")),
            (Some(1_048_576), None)
        );
    }

    #[tokio::test]
    async fn what_the_door_refuses_is_not_delivered() {
        let error = connected(Some("the disk is full")).1.deliver(&of_an_event("{}")).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Transient, "the disk is full"));
    }
}
