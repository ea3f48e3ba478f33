//! Local functions as destinations: what they are told goes through Pelton's own front door.
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{Arn, DestinationError, ErrorKind, EventId, TraceHeader};
use pelton_destinations::Accept;
use pelton_engine::{EventDoor, NewEvent};
use uuid::Uuid;

/// The door for events, once it is open.
#[derive(Default)]
pub struct FrontDoor(OnceLock<Result<EventDoor, String>>);

impl FrontDoor {
    /// Opens it, or says why no event can be kept. Only the first word counts.
    pub fn open(&self, door: Result<EventDoor, String>) {
        let _ = self.0.set(door);
    }

    async fn enter(&self, function: &Arn, payload: Bytes, trace: TraceHeader) -> Result<(), String> {
        let door = self.0.get().ok_or("Pelton is starting")?.as_ref();
        let door = door.map_err(|reason| format!("Pelton can't keep asynchronous invocations: {reason}"))?;
        let function = function.to_string().parse().map_err(|error| format!("{error}"))?;
        let event = NewEvent { id: EventId(Uuid::new_v4()), function, payload, client_context: None, trace };
        door.accept(event).await.map_err(|error| format!("the event could not be kept: {error}"))
    }
}

#[async_trait]
impl Accept for FrontDoor {
    async fn accept(&self, function: &Arn, payload: Bytes, trace: TraceHeader) -> Result<(), DestinationError> {
        let refused = |message| DestinationError {
            destination: function.to_string(),
            message,
            // Whatever it is, the record must stay where it is until that is over.
            kind: ErrorKind::Transient,
        };
        self.enter(function, payload, trace).await.map_err(refused)
    }
}

/// The front door for one function: its ARN as its other events have it, with a qualifier.
pub fn destination(
    door: &Arc<FrontDoor>,
    function: &Arn,
    (region, account): (&str, &str),
) -> Option<Arc<dyn pelton_core::Destination>> {
    let resource = function.resource();
    let resource = match resource.split(':').count() {
        2 => format!("{resource}:$LATEST"),
        _ => resource.to_owned(),
    };
    let function = Arn::new("aws", "lambda", region, account, &resource).ok()?;
    Some(pelton_destinations::connect_local(function, door.clone()))
}
