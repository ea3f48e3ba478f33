//! `kill -9` at random moments while records flow through the shards of a stream.
use std::collections::BTreeSet;
use std::time::Duration;

use pelton_tests::{Backend, Feed, Kind, Pelton, StreamCampaign, seed};
use serde_json::json;

/// Records that wait while they flow.
const WAITING: usize = 600;
/// More than always fail.
const FAILING: usize = 10;
/// How long one life may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn killed_at_50_random_moments_in_four_shards_that_are_split_and_merged() {
    let backend = Backend::localstack().await;
    let stream = backend.stream(4).await;
    let campaign = StreamCampaign::new(backend, Feed::Kinesis(stream.clone())).await;
    survives(&campaign, Plan { kills: 50, records: 20_000 }, async |put| {
        let shards = stream.shards().await;
        match put {
            7_000 => stream.split(&shards[1].shard_id).await,
            14_000 => stream.merge(&shards[2].shard_id, &shards[3].shard_id).await,
            _ => {}
        }
    })
    .await;
    let shards: BTreeSet<String> = campaign.witness.invocations().into_iter().map(|it| it.shard).collect();
    assert_eq!(shards.len(), 7, "four, two halves, and a merged one: {shards:?}");
}

#[tokio::test]
async fn killed_at_20_random_moments_in_a_stream_of_dynamodb() {
    let backend = Backend::ministack().await;
    let table = backend.feed(Kind::DynamoDb).await;
    let campaign = StreamCampaign::new(backend, table).await;
    survives(&campaign, Plan { kills: 20, records: 2_000 }, async |_| {}).await;
}

struct Plan {
    kills: usize,
    records: u64,
}

/// Puts records and kills at the same time. `disturb` is told after how many records it acts.
async fn survives(campaign: &StreamCampaign, plan: Plan, disturb: impl AsyncFn(u64)) {
    let mut pelton = Pelton::begin(campaign.configuration(json!({})).await);
    let put = async {
        for put in (0..plan.records).step_by(200) {
            disturb(put).await;
            pelton_testkit::eventually("records are needed", LIMIT, || async { campaign.left() < WAITING }).await;
            campaign.put(200).await;
        }
    };
    let records = usize::try_from(plan.records).unwrap();
    let kill = async {
        let mut random = fastrand::Rng::with_seed(seed());
        for kills in 0..plan.kills {
            if kills > 0 {
                pelton.begin_again();
            }
            let left = records - campaign.witness.done();
            alive(campaign, 2 * left / (plan.kills - kills + 1), &mut random).await;
            assert!(campaign.witness.done() < records - FAILING, "kill {kills} comes in the middle");
            campaign.kill(&mut pelton);
            pelton.replace_configuration(campaign.configuration(json!({})).await);
        }
    };
    tokio::join!(put, kill);
    pelton.start_again().await;
    campaign.is_over(&pelton).await;
    assert!(pelton.is_alive());
    let account = campaign.account().await;
    let again = account.only_what_was_in_flight_comes_again();
    assert!(again > 0, "kills hit batches in flight");
}

/// One life in five ends at its start. The others end a moment after some records were processed, at most so many, and
/// so make progress however slow the machine is.
async fn alive(campaign: &StreamCampaign, most: usize, random: &mut fastrand::Rng) {
    if random.u64(0..5) == 0 {
        tokio::time::sleep(Duration::from_millis(random.u64(0..250))).await;
        return;
    }
    let until = campaign.witness.done() + random.usize(0..most);
    pelton_testkit::eventually("records are processed", LIMIT, || async { campaign.witness.done() > until }).await;
    tokio::time::sleep(Duration::from_millis(random.u64(0..30))).await;
}
