//! How many asynchronous events a second SQLite accepts with durability on, how long one waits for that at half the load
//! that is asked for, and both again while a million events wait.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program for people that measures real time"
)]
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pelton_core::{AsyncEvent, EventId, EventQueue as _, FunctionName, TraceHeader};
use pelton_store::SqliteStore;
use tokio::task::JoinSet;
use uuid::Uuid;

const TIME: Duration = Duration::from_secs(8);
const CALLERS: [usize; 4] = [1, 16, 128, 1_000];
const RATE: u32 = 1_500;
const PAYLOAD: usize = 1_024;

#[tokio::main]
async fn main() {
    let waiting: usize = std::env::args().nth(1).map_or(1_000_000, |it| it.parse().unwrap());
    // In the working folder: the system's folder for temporary files may be in memory.
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("pelton.db");
    measure(&path, "nothing waits").await;
    fill(&path, waiting).await;
    measure(&path, &format!("{waiting} events wait")).await;
    let start = Instant::now();
    let store = SqliteStore::open(&path).await.unwrap();
    println!("opened in {:.2?}", start.elapsed());
    let start = Instant::now();
    let waits: u64 = store.waiting().await.unwrap().iter().map(|it| it.events).sum();
    println!("{waits} counted in {:.2?}", start.elapsed());
    let start = Instant::now();
    let listed = store.events(Some(&function("nobody")), None, 100).await.unwrap().len();
    println!("{listed} of a function found among them in {:.2?}", start.elapsed());
    store.close().await;
}

fn function(name: &str) -> FunctionName {
    format!("arn:aws:lambda:eu-west-1:000000000000:function:{name}:$LATEST").parse().unwrap()
}

fn event(function: &FunctionName, due_at: Timestamp) -> AsyncEvent {
    AsyncEvent {
        id: EventId(Uuid::new_v4()),
        function: function.clone(),
        payload: Bytes::from(vec![b'7'; PAYLOAD]),
        client_context: None,
        trace: TraceHeader::received(None),
        accepted_at: Timestamp::now(),
        attempts: 0,
        refusals: 0,
        due_at,
    }
}

/// So many events that are due in an hour.
async fn fill(path: &Path, count: usize) {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let (start, left, mut tasks) = (Instant::now(), Arc::new(AtomicU64::new(count as u64)), JoinSet::new());
    for task in 0..1_000 {
        let (store, left, function) = (store.clone(), left.clone(), function(&format!("slow-{}", task % 3)));
        tasks.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                store.add(event(&function, Timestamp::now() + SignedDuration::from_hours(1))).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    println!("{count} added in {:.2?}", start.elapsed());
    store.close().await;
}

async fn measure(path: &Path, what: &str) {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    println!("{what}:");
    for callers in CALLERS {
        println!("  {callers:5} callers: {:8.0} accepted/s", accepted(&store, callers).await);
        drain(&store).await;
    }
    for with_work in [false, true] {
        let times = times(&store, with_work).await;
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let (median, p99, last) = (at(0.5), at(0.99), at(1.0));
        let beside = if with_work { "taken and removed meanwhile" } else { "nothing else done" };
        println!("  {RATE}/s, {beside}: median {median:.1?}, p99 {p99:.1?}, longest {last:.1?}");
        drain(&store).await;
    }
    store.close().await;
}

async fn accepted(store: &Arc<SqliteStore>, callers: usize) -> f64 {
    let (start, mut tasks) = (Instant::now(), JoinSet::new());
    for _ in 0..callers {
        let (store, function) = (store.clone(), function("fast"));
        tasks.spawn(async move {
            let mut count = 0_u64;
            while start.elapsed() < TIME {
                store.add(event(&function, Timestamp::now())).await.unwrap();
                count += 1;
            }
            count
        });
    }
    let count: u64 = tasks.join_all().await.iter().sum();
    count as f64 / start.elapsed().as_secs_f64()
}

/// How long each addition took, in order, at a fixed rate that waits for none of them.
async fn times(store: &Arc<SqliteStore>, with_work: bool) -> Vec<Duration> {
    let (start, mut tasks, mut worker) = (Instant::now(), JoinSet::new(), JoinSet::new());
    if with_work {
        let store = store.clone();
        worker.spawn(async move { while take(&store).await.is_some() {} });
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    while start.elapsed() < TIME {
        tick.tick().await;
        let (store, function) = (store.clone(), function("fast"));
        tasks.spawn(async move {
            let start = Instant::now();
            store.add(event(&function, Timestamp::now())).await.unwrap();
            start.elapsed()
        });
    }
    let mut times = tasks.join_all().await;
    worker.shutdown().await;
    times.sort();
    times
}

/// Takes some events and removes them, each by itself as the engine does.
async fn take(store: &Arc<SqliteStore>) -> Option<usize> {
    let due = store.take(&function("fast"), Timestamp::now(), 256).await.unwrap();
    let taken = due.events.len();
    let mut tasks = JoinSet::new();
    for event in due.events {
        let store = store.clone();
        tasks.spawn(async move { store.remove(event.id).await.unwrap() });
    }
    tasks.join_all().await;
    if taken == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Some(taken)
}

async fn drain(store: &Arc<SqliteStore>) {
    while take(store).await != Some(0) {}
}
