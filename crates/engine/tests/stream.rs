//! A source that never hands a record out twice: the engine retries in place, in order, and the checkpoint follows.
mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{Run, mapping, until};
use pelton_core::{Disposition, Mapping};
use pelton_testkit::{FakeDestination, FakeInvoker, FakeShard, Reply};
use proptest::prelude::*;
use serde_json::json;

fn reply() -> impl Strategy<Value = Reply> {
    let failures = proptest::collection::vec(0usize..20, 1..3).prop_map(|ids| {
        let items: Vec<_> = ids.iter().map(|id| json!({"itemIdentifier": id.to_string()})).collect();
        Reply::Returns(json!({"batchItemFailures": items}))
    });
    prop_oneof![Just(Reply::Returns(json!(null))), Just(Reply::Raises), failures]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever the function answers, the checkpoint passes every record once, in order, and every record ends
    /// delivered, or discarded with its record accepted.
    #[test]
    fn a_shard_is_settled_in_order_and_to_the_end(
        length in 1usize..20,
        script in proptest::collection::vec(reply(), 0..40),
        retries in proptest::option::of(0u32..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let shard = Arc::new(FakeShard::new(length));
            let invoker = Arc::new(FakeInvoker::scripted(script));
            let destination = Arc::new(FakeDestination::default());
            let mapping = Mapping { batch_size: 4, maximum_retry_attempts: retries, ..mapping() };
            let run = Run::start_with(mapping, &shard, &invoker, None, Some(&destination));
            until("the shard is at its end", async || shard.checkpoint() == length).await;
            let reported: BTreeSet<String> = destination.accepted().iter().map(|record| {
                let event: serde_json::Value = serde_json::from_str(record.request_payload.as_ref().unwrap().get()).unwrap();
                event["Records"][0]["messageId"].as_str().unwrap().to_owned()
            }).collect();
            let discarded: BTreeSet<String> = shard.settled().iter()
                .filter(|(_, disposition)| *disposition == Disposition::Discarded)
                .map(|(number, _)| number.to_string()).collect();
            assert_eq!(reported, discarded);
            assert!(retries.is_some() || discarded.is_empty());
            run.stop().await;
        });
    }
}
