//! The engine over the queue.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{EventId, FunctionName, InvokeError, SystemClock, TraceHeader};
use pelton_engine::{EventPlan, EventPlans, Events, NewEvent, Shutdown, Supervisor};
use pelton_source_async::SqsEventQueue;
use pelton_testkit::event_queue_suite::new_function;
use pelton_testkit::{FakeInvoker, Reply};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{LIMIT, LONG, Queue, on_both};

on_both!(a_replica_that_stops_in_the_middle_leaves_the_rest_to_another);

const EVENTS: u64 = 120;
/// A minute between attempts as 0.6 s.
const SCALE: f64 = 0.01;

/// One plan for every function.
struct SamePlan(Arc<FakeInvoker>);

#[async_trait]
impl EventPlans for SamePlan {
    async fn plan(&self, function: &FunctionName) -> Result<EventPlan, InvokeError> {
        Ok(EventPlan {
            function_arn: function.as_str().parse().unwrap(),
            invoker: self.0.clone(),
            maximum_retry_attempts: 2,
            maximum_event_age: Duration::from_secs(21_600),
            on_success: None,
            on_failure: None,
            dead_letter_queue: None,
            reserved_concurrency: None,
        })
    }
}

struct Replica {
    queue: Arc<SqsEventQueue>,
    invoker: Arc<FakeInvoker>,
    events: Events,
    _supervisor: Supervisor,
}

type Attempts = Arc<Mutex<BTreeMap<u64, u32>>>;

impl Replica {
    /// With a function that raises at the first attempt of each event, wherever that is.
    fn start(queue: &Queue, attempts: Attempts) -> Self {
        let queue = Arc::new(queue.replica());
        let decide = move |event: &Value| {
            let mut attempts = attempts.lock().unwrap();
            let count = attempts.entry(event["number"].as_u64().unwrap()).or_default();
            *count += 1;
            if *count == 1 { Reply::Raises } else { Reply::Returns(Value::Null) }
        };
        let invoker = FakeInvoker::deciding_on_event(decide).taking(Duration::from_millis(30)).with_slots(4);
        let (invoker, supervisor) = (Arc::new(invoker), Supervisor::new(Arc::new(SystemClock)));
        let plans = Arc::new(SamePlan(invoker.clone()));
        let events = Events::start(queue.clone(), plans, Arc::new(SystemClock), SCALE, &supervisor.status());
        Self { queue, invoker, events, _supervisor: supervisor }
    }

    fn invocations(&self) -> usize {
        self.invoker.seen().len()
    }

    async fn stop(self) {
        assert_eq!(self.events.shutdown(LIMIT).await, Shutdown::Clean);
        self.queue.close().await;
    }
}

async fn a_replica_that_stops_in_the_middle_leaves_the_rest_to_another(endpoint: &str) {
    let (queue, attempts, function) = (Queue::new(endpoint, LONG).await, Attempts::default(), new_function());
    let [stops, goes_on] = [(), ()].map(|()| Replica::start(&queue, attempts.clone()));
    let door = stops.events.door();
    for number in 0..EVENTS {
        let (id, payload) = (EventId(Uuid::new_v4()), Bytes::from(format!(r#"{{"number":{number}}}"#)));
        let trace = TraceHeader::received(None);
        door.accept(NewEvent { id, function: function.clone(), payload, client_context: None, trace }).await.unwrap();
    }
    pelton_testkit::eventually("both work", LIMIT, || async {
        stops.invocations() >= 20 && goes_on.invocations() >= 20
    })
    .await;
    stops.stop().await;
    queue.has(0).await;
    let attempts = attempts.lock().unwrap().clone();
    assert_eq!(attempts.len() as u64, EVENTS);
    assert!(attempts.values().all(|count| *count == 2), "one failure and one success each: {attempts:?}");
    goes_on.stop().await;
}
