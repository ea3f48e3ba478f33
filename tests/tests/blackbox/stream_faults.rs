//! Backends that go wrong in a fifth of all calls of the source, of the store and of the destination, and backends that
//! hang.
use std::collections::BTreeMap;
use std::time::Duration;

use pelton_core::SequenceNumber;
use pelton_testkit::fault_proxy::{Calls, FaultProxy, Rule};
use pelton_tests::{Backend, Feed, Kind, Pelton, StreamCampaign, seed, shard_rows};
use serde_json::json;
use tokio::time::Instant;

/// The share of calls that go wrong.
const PERCENT: u64 = 20;
/// Calls of which a run has so few that a fifth of them could be none.
const RARE: &[&str] =
    &["GetShardIterator", "ListShards", "DescribeStreamSummary", "DescribeStream", "SendMessage", "PutObject"];

/// Proxies before all that Pelton calls but the function, which shows what happened.
struct Faults {
    services: FaultProxy,
    dynamodb: FaultProxy,
}

impl Faults {
    async fn before(backend: &Backend, percent: u64, seed: u64) -> Self {
        let rules = vec![Rule { operations: RARE, ..Rule::everything(percent.min(1) * 50) }, Rule::everything(percent)];
        Self {
            services: FaultProxy::start(&backend.endpoint, seed, rules.clone()).await.unwrap(),
            dynamodb: FaultProxy::start(&backend.dynamodb_endpoint, seed, rules).await.unwrap(),
        }
    }

    fn endpoints(&self) -> serde_json::Value {
        let services = &self.services.endpoint;
        json!({ "Kinesis": services, "SQS": services, "S3": services, "DynamoDB": self.dynamodb.endpoint })
    }

    fn hang(&self, hangs: bool) {
        self.services.hang(hangs);
        self.dynamodb.hang(hangs);
    }

    /// Faults have hit these calls.
    fn happened(&self, operations: &[&str]) {
        let mut calls: BTreeMap<String, Calls> = self.services.calls();
        calls.extend(self.dynamodb.calls());
        for operation in operations {
            assert!(calls.get(*operation).is_some_and(|calls| calls.faults() > 0), "{operation}: {calls:#?}");
        }
        eprintln!("{calls:?}");
    }
}

/// In a table that nobody else uses.
fn table() -> serde_json::Value {
    json!({ "DynamoDB": { "Table": Backend::name("state") } })
}

#[tokio::test]
async fn a_fifth_of_all_calls_fails_with_state_in_a_table() {
    let backend =
        Backend { dynamodb_endpoint: Backend::localstack().await.dynamodb_endpoint, ..Backend::ministack().await };
    let stream = Feed::Kinesis(backend.stream(4).await);
    let campaign = StreamCampaign::new(backend, stream).await.with_one_failing_of(250);
    survives(&campaign, 6_000, Some(table()), &["GetRecords", "SendMessage", "UpdateItem", "Query"]).await;
}

#[tokio::test]
async fn a_fifth_of_all_calls_fails_with_state_in_a_file() {
    let backend = Backend::ministack().await;
    let stream = Feed::Kinesis(backend.stream(4).await);
    let campaign = StreamCampaign::new(backend, stream).await.with_one_failing_of(250).with_bucket().await;
    survives(&campaign, 6_000, None, &["GetRecords", "GetShardIterator", "PutObject"]).await;
}

#[tokio::test]
async fn a_fifth_of_all_calls_fails_with_a_stream_of_dynamodb_and_state_in_a_table() {
    let backend = Backend::localstack().await;
    let table_of_items = backend.feed(Kind::DynamoDb).await;
    let campaign = StreamCampaign::new(backend, table_of_items).await.with_one_failing_of(250);
    survives(&campaign, 1_500, Some(table()), &["GetRecords", "SendMessage", "UpdateItem", "Query"]).await;
}

async fn survives(campaign: &StreamCampaign, records: u64, state: Option<serde_json::Value>, hit: &[&str]) {
    let faults = Faults::before(&campaign.backend, PERCENT, seed()).await;
    let mut configuration = campaign.configuration(faults.endpoints()).await;
    if let Some(state) = state {
        configuration["State"] = state;
    }
    campaign.put(records / 2).await;
    let mut pelton = Pelton::run(configuration).await;
    campaign.put(records / 2).await;
    campaign.is_over(&pelton).await;
    let account = campaign.account().await;
    assert_eq!(account.only_what_was_in_flight_comes_again(), 0, "nothing was killed");
    faults.happened(hit);
    assert!(pelton.is_alive());
    assert_eq!(pelton.get("/healthz").0, 200);
}

/// Longer than the time limit of a read.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_source_and_a_store_that_accept_and_never_answer_are_survived() {
    let beside = Backend::localstack().await;
    let backend = Backend {
        dynamodb_endpoint: beside.dynamodb_endpoint,
        dynamodb: beside.dynamodb,
        ..Backend::ministack().await
    };
    let stream = Feed::Kinesis(backend.stream(2).await);
    let campaign = StreamCampaign::new(backend, stream).await;
    let faults = Faults::before(&campaign.backend, 0, 0).await;
    let mut configuration = campaign.configuration(faults.endpoints()).await;
    let (table, start) = (Backend::name("state"), Instant::now());
    configuration["State"] = json!({ "DynamoDB": { "Table": table, "LeaseRenewalSeconds": 1 } });
    campaign.put(200).await;
    let mut pelton = Pelton::run(configuration).await;
    campaign.is_over(&pelton).await;
    // What wasn't kept when the lease runs out would rightly come again.
    pelton_tests::eventually("the table has every checkpoint", || async {
        let rows = shard_rows(&campaign.backend.dynamodb, &table).await;
        let mut last: BTreeMap<String, SequenceNumber> = BTreeMap::new();
        for invocation in campaign.witness.invocations_since(start) {
            let numbers = invocation.records.iter().map(|(_, number)| number.parse().unwrap());
            let before = last.remove(&invocation.shard);
            last.extend(numbers.chain(before).max().map(|number| (invocation.shard, number)));
        }
        !last.is_empty()
            && last.iter().all(|(shard, number)| rows.get(shard).is_some_and(|row| row.after.as_ref() == Some(number)))
    })
    .await;
    faults.hang(true);
    campaign.put(800).await;
    let is_in_trouble = || async { pelton.result(&campaign.source).starts_with("PROBLEM: ") };
    pelton_testkit::eventually("a problem shows", LIMIT, is_in_trouble).await;
    assert!(pelton.is_alive());
    assert_eq!(pelton.get("/healthz").0, 200);
    faults.hang(false);
    campaign.is_over(&pelton).await;
    let account = campaign.account().await;
    assert_eq!(account.only_what_was_in_flight_comes_again(), 0, "nothing was killed");
    let is_fine = || async { pelton.result(&campaign.source) == "OK" };
    pelton_tests::eventually("the mapping is fine", is_fine).await;
}
