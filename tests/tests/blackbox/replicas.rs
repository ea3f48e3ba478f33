//! Several processes that share the shards of one stream through a table.
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use pelton_tests::{Backend, Feed, Pelton, ShardRow, StreamCampaign, eventually, holders, shard_rows};
use serde_json::json;
use tokio::time::Instant;

/// `LeaseRenewalSeconds`.
const RENEWAL: Duration = Duration::from_secs(2);
/// A lease lasts two renewals, and so long a handover may take when nobody gives the lease back.
const LEASE: Duration = RENEWAL.saturating_mul(2);
/// What else a takeover takes: two looks at the table, an eighth of a lease apart, and the first read of the shard.
const MARGIN: Duration = Duration::from_secs(2);
/// Calls of the table that are made for it one after the other. On a busy machine each of them takes long.
const CALLS: u32 = 8;

/// The table is not to be kept busy by the test.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

#[tokio::test]
async fn replicas_share_the_shards_while_some_are_killed_stopped_and_added() {
    let beside = Backend::localstack().await;
    let backend = Backend {
        dynamodb_endpoint: beside.dynamodb_endpoint,
        dynamodb: beside.dynamodb,
        ..Backend::ministack().await
    };
    let stream = Feed::Kinesis(backend.stream(4).await);
    let replicas = Replicas { table: Backend::name("state"), campaign: StreamCampaign::new(backend, stream).await };
    let is_over = Cell::new(false);
    let put = async {
        while !is_over.get() {
            replicas.campaign.put(40).await;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    let live = async {
        let living = replicas.live().await;
        is_over.set(true);
        living
    };
    let ((), living) = tokio::join!(put, live);
    for pelton in &living {
        replicas.campaign.is_over(pelton).await;
    }
    let account = replicas.campaign.account().await;
    account.shards_are_worked_on_by_one_at_a_time(LEASE);
    eprintln!("{} records, {} invocations", account.order.len(), account.invocations.len());
}

/// The processes of one mapping. Each has the number of its door.
struct Replicas {
    table: String,
    campaign: StreamCampaign,
}

impl Replicas {
    /// All that happens. Gives those that still live.
    async fn live(&self) -> [Pelton; 2] {
        let mut killed = self.start().await;
        let stopped = self.start().await;
        let mut leaving = self.start().await;
        self.are_balanced(3).await;

        let shards = self.worked_on_by(0);
        killed.kill();
        self.are_taken_over(0, &shards, LEASE).await;
        self.are_balanced(2).await;

        let added = self.start().await;
        self.are_balanced(3).await;

        let shards = self.worked_on_by(1);
        self.is_working(1).await;
        stopped.pause();
        self.are_taken_over(1, &shards, LEASE).await;
        self.are_balanced(2).await;
        let rows = self.rows().await;
        stopped.go_on();
        self.no_checkpoint_moves_back_from(rows, LEASE).await;
        assert!(stopped.log().contains("the lease of a shard is lost"), "it has noticed");
        self.are_balanced(3).await;

        let shards = self.worked_on_by(2);
        leaving.stop().await;
        self.are_taken_over(2, &shards, Duration::ZERO).await;
        self.are_balanced(2).await;
        [stopped, added]
    }

    async fn start(&self) -> Pelton {
        let mut configuration = self.campaign.configuration(json!({})).await;
        configuration["State"] = json!({
            "DynamoDB": { "Table": self.table, "LeaseRenewalSeconds": RENEWAL.as_secs() }
        });
        Pelton::run(configuration).await
    }

    async fn rows(&self) -> BTreeMap<String, ShardRow> {
        shard_rows(&self.campaign.backend.dynamodb, &self.table).await
    }

    /// Waits until each of so many processes holds its share, and no other one holds any.
    async fn are_balanced(&self, processes: usize) {
        eventually(&format!("{processes} processes have even shares"), || async {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let rows = self.rows().await;
            let shares: Vec<usize> = holders(&rows).unwrap_or_default().into_values().collect();
            shares.len() == processes && shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1
        })
        .await;
    }

    /// The shards that a process has worked on last.
    fn worked_on_by(&self, door: usize) -> Vec<String> {
        let mut doors = BTreeMap::new();
        for invocation in self.campaign.witness.invocations_since(Instant::now() - LEASE) {
            doors.insert(invocation.shard, invocation.door);
        }
        let shards: Vec<String> = doors.into_iter().filter(|(_, it)| *it == door).map(|(shard, _)| shard).collect();
        assert!(!shards.is_empty(), "it works on some");
        shards
    }

    /// Waits until others work on the shards of a process that has just gone, which `patience` is allowed for.
    async fn are_taken_over(&self, gone: usize, shards: &[String], patience: Duration) {
        let since = Instant::now();
        let slowest_call = Cell::new(Duration::ZERO);
        let first = || {
            let mut first: BTreeMap<String, Instant> = BTreeMap::new();
            for invocation in self.campaign.witness.invocations_since(since).into_iter().filter(|it| it.door != gone) {
                first.entry(invocation.shard).or_insert(invocation.start);
            }
            first
        };
        eventually("others work on its shards", || async {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let call = Instant::now();
            self.rows().await;
            slowest_call.set(slowest_call.get().max(call.elapsed()));
            shards.iter().all(|shard| first().contains_key(shard))
        })
        .await;
        let longest = shards.iter().map(|shard| first()[shard] - since).max().unwrap();
        let limit = patience + MARGIN + CALLS * slowest_call.get();
        eprintln!("{} shards were taken over within {longest:?}, {limit:?} were allowed", shards.len());
        assert!(longest <= limit, "taken over only after {longest:?}, {limit:?} were allowed");
    }

    /// Waits for a moment when the function works for a process: it has something to write when it gets the answer.
    async fn is_working(&self, door: usize) {
        eventually("the function works for it", || async {
            let recent = self.campaign.witness.invocations_since(Instant::now() - LEASE);
            recent.iter().any(|invocation| invocation.door == door && invocation.end.is_none())
        })
        .await;
    }

    /// Watches the table, first as it was.
    async fn no_checkpoint_moves_back_from(&self, mut before: BTreeMap<String, ShardRow>, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            let rows = self.rows().await;
            for (shard, row) in &rows {
                assert!(row.after >= before[shard].after, "{shard} was at {:?} and is at {row:?}", before[shard]);
            }
            before = rows;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
