//! Several real processes share the shards of a stream through a table: one is killed, one sleeps past its lease, one
//! joins, one stops in order.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pelton_tests::{Backend, Feed, Invocation, Pelton, StreamCampaign};
use serde_json::{Value, json};
use tokio::time::Instant;

const SHARDS: usize = 6;
const RENEWAL: Duration = Duration::from_secs(2);
const LEASE: Duration = Duration::from_secs(4);
/// What a look, a take and a first batch may need on a busy machine.
const MARGIN: Duration = Duration::from_secs(6);
/// How long the records keep coming that the processes are watched by.
const WAITING: usize = 200;

#[tokio::test]
async fn replicas_share_shards_through_a_kill_a_pause_a_join_and_a_stop() {
    let backend = Backend::ministack().await;
    let stream = backend.stream(i32::try_from(SHARDS).unwrap()).await;
    let campaign = StreamCampaign::new(backend, Feed::Kinesis(stream.clone())).await;
    let state = json!({ "DynamoDB": { "Table": Backend::name("state"), "LeaseRenewalSeconds": RENEWAL.as_secs() } });
    let over = AtomicBool::new(false);
    let put = async {
        while !over.load(Ordering::Relaxed) {
            if campaign.left() < WAITING {
                campaign.put(100).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let disturb = async {
        let first = replica(&campaign, &state).await;
        let mut second = replica(&campaign, &state).await;
        let third = replica(&campaign, &state).await;
        are_shared(&first, &campaign, &[2, 2, 2], Duration::from_secs(30)).await;

        // Killed: nobody gives its shards back, so its leases have to run out.
        second.kill();
        let killed = Instant::now();
        are_shared(&first, &campaign, &[3, 3], LEASE + MARGIN).await;
        eprintln!("a killed replica was replaced after {:?}", killed.elapsed());

        // Asleep past its lease: it can't know, and finds out when it wakes.
        third.pause();
        are_shared(&first, &campaign, &[6], LEASE + MARGIN).await;
        let asleep = Instant::now();
        tokio::time::sleep(LEASE).await;
        third.go_on();
        are_shared(&first, &campaign, &[3, 3], Duration::from_secs(30)).await;
        assert!(third.log().contains("the lease of a shard is lost"), "it has noticed");

        // One more gets its share.
        let mut fourth = replica(&campaign, &state).await;
        are_shared(&first, &campaign, &[2, 2, 2], Duration::from_secs(30)).await;

        // In order: its shards are free at once.
        let stopped = Instant::now();
        fourth.stop().await;
        are_shared(&first, &campaign, &[3, 3], LEASE / 2 + MARGIN).await;
        eprintln!("a stopped replica was replaced after {:?}", stopped.elapsed());
        over.store(true, Ordering::Relaxed);
        campaign.is_over(&first).await;
        (first, third, asleep)
    };
    let ((), (mut first, mut third, asleep)) = tokio::join!(put, disturb);
    assert!(first.is_alive() && third.is_alive());

    let account = campaign.account().await;
    assert!(account.processed.len() > 1_000, "records flowed all the time: {}", account.processed.len());
    let doors: BTreeSet<usize> = account.invocations.iter().map(|it| it.door).collect();
    assert_eq!(doors.len(), 4, "every process has worked");
    let woken = asleep + LEASE;
    let of_sleeper = |it: &&Invocation| it.door == 2 && (asleep..woken).contains(&it.start);
    assert_eq!(account.invocations.iter().filter(of_sleeper).count(), 0, "who sleeps does nothing");
    for (shard, overlap) in overlaps(&account.invocations) {
        assert!(overlap <= LEASE, "{shard} was worked on by two for {overlap:?}");
    }
}

/// One more process, with a door of the function for itself.
async fn replica(campaign: &StreamCampaign, state: &Value) -> Pelton {
    let mut configuration = campaign.configuration(json!({})).await;
    configuration["State"] = state.clone();
    Pelton::run(configuration).await
}

/// Waits until the shards are held by as many owners, each with as many as given, as one of them sees it.
async fn are_shared(pelton: &Pelton, campaign: &StreamCampaign, shares: &[usize], limit: Duration) {
    let wanted = shares.to_vec();
    pelton_testkit::eventually(&format!("shards are shared {wanted:?}"), limit, || async {
        let status = pelton.status(&campaign.source);
        let mut held: BTreeMap<&str, usize> = BTreeMap::new();
        for shard in status["Shards"].as_array().into_iter().flatten() {
            if let Some(owner) = shard["Owner"].as_str() {
                *held.entry(owner).or_default() += 1;
            }
        }
        let mut counts: Vec<usize> = held.into_values().collect();
        counts.sort_unstable();
        counts == wanted
    })
    .await;
}

/// For each shard the longest time over which invocations of two processes alternated on it: from the first one of the
/// other to the last one of the one before.
fn overlaps(invocations: &[Invocation]) -> BTreeMap<String, Duration> {
    let mut overlaps = BTreeMap::new();
    let shards: BTreeSet<&str> = invocations.iter().map(|it| it.shard.as_str()).collect();
    for shard in shards {
        let of_shard: Vec<_> = invocations.iter().filter(|it| it.shard == shard).collect();
        let mut longest = Duration::ZERO;
        for (index, later) in of_shard.iter().enumerate() {
            // The last invocation of another door before, which still ran when this one began.
            let before = of_shard[..index].iter().filter(|it| it.door != later.door);
            let running = before.filter_map(|it| it.end.filter(|end| *end > later.start));
            if let Some(end) = running.max() {
                longest = longest.max(end - later.start);
            }
        }
        overlaps.insert(shard.to_owned(), longest);
    }
    overlaps
}
