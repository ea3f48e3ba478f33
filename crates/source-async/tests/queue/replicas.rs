//! What several processes do with one queue.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pelton_core::{AsyncEvent, EventId, EventQueue as _, FunctionName};
use pelton_source_async::SqsEventQueue;
use pelton_testkit::event_queue_suite::new_function;
use pelton_testkit::fault_proxy::{FaultProxy, Kind, Rule};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{LIMIT, LONG, Queue, SHORT, arrived, config, event_now, on_both};

on_both!(
    every_event_is_executed_once_by_replicas_together,
    what_a_dead_replica_held_goes_to_another_after_its_time,
    what_waits_in_a_replica_that_is_closed_goes_to_another_at_once,
    every_event_is_executed_behind_a_bad_network,
);

/// How often each event was executed.
type Executions = Arc<Mutex<BTreeMap<EventId, u32>>>;

/// Executes what comes, with a failure first.
async fn work(queue: Arc<SqsEventQueue>, executions: Executions) {
    loop {
        let function = queue.arrival().await;
        loop {
            let due = queue.take(&function, Timestamp::now(), 20).await.unwrap();
            let settled = due.events.into_iter().map(async |event| {
                *executions.lock().unwrap().entry(event.id).or_default() += 1;
                while settle(&queue, &event).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            futures_util::future::join_all(settled).await;
            match due.next {
                Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                None => break,
            }
        }
    }
}

async fn settle(queue: &SqsEventQueue, event: &AsyncEvent) -> Result<(), pelton_core::StoreError> {
    if event.attempts > 0 {
        return queue.remove(event.id).await;
    }
    let due_at = Timestamp::now() + SignedDuration::from_millis(200);
    queue.put_back(&AsyncEvent { attempts: 1, due_at, ..event.clone() }).await
}

async fn add(queue: &SqsEventQueue, functions: &[FunctionName], count: usize) -> Vec<EventId> {
    let events: Vec<AsyncEvent> = (0..count).map(|i| event_now(&functions[i % functions.len()])).collect();
    let adds = events.iter().map(async |event| {
        while queue.add(event.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    futures_util::future::join_all(adds).await;
    events.into_iter().map(|event| event.id).collect()
}

async fn every_event_is_executed_once_by_replicas_together(endpoint: &str) {
    let queue = Queue::new(endpoint, LONG).await;
    let functions = [new_function(), new_function(), new_function()];
    let replicas = [Arc::new(queue.replica()), Arc::new(queue.replica())];
    let (executed, mut tasks) = ([Executions::default(), Executions::default()], JoinSet::new());
    for (replica, executed) in replicas.iter().zip(&executed) {
        tasks.spawn(work(replica.clone(), executed.clone()));
    }
    let events = add(&replicas[0], &functions, 300).await;
    queue.has(0).await;
    tasks.shutdown().await;
    let [one, other] = executed.map(|it| it.lock().unwrap().clone());
    assert!(!one.is_empty() && !other.is_empty(), "both had some: {}, {}", one.len(), other.len());
    for event in &events {
        let times = one.get(event).copied().unwrap_or_default() + other.get(event).copied().unwrap_or_default();
        assert_eq!(times, 2, "one failure and one success");
    }
    for replica in replicas {
        assert_eq!(replica.waiting().await, Ok(vec![]));
        replica.close().await;
    }
}

async fn what_a_dead_replica_held_goes_to_another_after_its_time(endpoint: &str) {
    let (queue, function) = (Queue::new(endpoint, SHORT).await, new_function());
    let (dies, lives) = (queue.replica(), new_function());
    let (taken, waits) = (event_now(&function), event_now(&lives));
    for event in [&taken, &waits] {
        dies.add(event.clone()).await.unwrap();
    }
    assert_eq!(arrived(&dies, &function).await, std::slice::from_ref(&taken));
    let both = || async { dies.waiting().await.unwrap().len() == 2 };
    pelton_testkit::eventually("it has both", LIMIT, both).await;
    let other = queue.replica();
    // Two times what it would be hidden for if nobody cared.
    let nothing = tokio::time::timeout(Duration::from_secs(2 * u64::from(SHORT)), other.arrival()).await;
    assert!(nothing.is_err(), "while the replica lives, it keeps what it has");
    other.close().await;
    drop(dies);
    let death = Instant::now();
    let mut received = Vec::new();
    while received.len() < 2 {
        assert!(death.elapsed() < Duration::from_secs(u64::from(SHORT) + 5), "{received:?}");
        received.extend(queue.receive().await);
    }
    // It was not that the replica was the one who got them again.
    for (receives, receipt) in received {
        assert_eq!(receives, "2", "by the replica, and just now");
        queue.show(&receipt).await;
    }
    let other = queue.replica();
    assert_eq!(arrived(&other, &function).await, [taken]);
    assert_eq!(arrived(&other, &lives).await, [waits]);
    other.close().await;
}

async fn what_waits_in_a_replica_that_is_closed_goes_to_another_at_once(endpoint: &str) {
    let dead = Queue::new(endpoint, LONG).await;
    let queue = Queue::with(endpoint, LONG, Some((&dead, 1))).await;
    let (closes, function) = (queue.replica(), new_function());
    let event = event_now(&function);
    closes.add(event.clone()).await.unwrap();
    pelton_testkit::eventually("it waits", LIMIT, || async { closes.event(event.id).await != Ok(None) }).await;
    closes.close().await;
    assert_eq!(closes.event(event.id).await, Ok(None));
    let other = queue.replica();
    assert_eq!(arrived(&other, &function).await, [event], "though one receive is all that the queue allows");
    assert_eq!(dead.count().await.0, 0);
    other.close().await;
}

/// Calls fail, and answers of calls that were made are lost: an event may be executed more often, never less.
async fn every_event_is_executed_behind_a_bad_network(endpoint: &str) {
    let kinds =
        &[Kind::Reset, Kind::InternalError, Kind::Unavailable, Kind::Throttle, Kind::DropResponse, Kind::Garble];
    let rule = Rule { operations: &[], percent: 20, kinds };
    let proxy = FaultProxy::start(endpoint, 11, vec![rule]).await.unwrap();
    let queue = Queue::new(endpoint, SHORT).await;
    let bad = config(&proxy.endpoint).await;
    let replicas = [Arc::new(queue.replica_of(&bad)), Arc::new(queue.replica_of(&bad))];
    let (executed, mut tasks) = (Executions::default(), JoinSet::new());
    for replica in &replicas {
        tasks.spawn(work(replica.clone(), executed.clone()));
    }
    let events = add(&replicas[0], &[new_function(), new_function()], 60).await;
    queue.has(0).await;
    tasks.shutdown().await;
    let executed = executed.lock().unwrap().clone();
    for event in &events {
        let times = executed.get(event).copied().unwrap_or_default();
        assert!(times >= 2, "{event} was executed {times} times");
    }
    let faults: u64 = proxy.calls().values().map(|calls| calls.faults()).sum();
    assert!(faults > 20, "{faults} calls went wrong");
}
