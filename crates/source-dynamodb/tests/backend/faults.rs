//! A backend that goes wrong in one call of five.
use aws_sdk_dynamodb::types::StreamViewType;
use pelton_core::{Cursor, Position, Source};
use pelton_testkit::fault_proxy::{FaultProxy, Rule};
use tokio::time::{Duration, Instant};

use crate::support::{Backend, event, on_both, shard, text};

on_both!(whatever_goes_wrong_every_record_comes_once_and_in_order);

async fn whatever_goes_wrong_every_record_comes_once_and_in_order(backend: &Backend) {
    let table = backend.table(StreamViewType::KeysOnly).await;
    let shard = shard(&backend.source(&table.stream)).await;
    let expected: Vec<String> = (0..40).map(|i| format!("item-{i}")).collect();
    for seed in [1, 2, 3] {
        let proxy = FaultProxy::start(backend.endpoint(), seed, vec![Rule::everything(20)]).await.unwrap();
        let source = backend.source_through(&proxy.endpoint, &table.stream);
        if seed == 1 {
            for id in &expected {
                table.put(id, "name", text("value")).await;
            }
        }
        let mut cursor = Cursor::at(Position::TrimHorizon);
        let mut seen = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while seen.len() < expected.len() {
            assert!(Instant::now() < deadline, "{} came, {cursor:?}", seen.len());
            if let Ok(polled) = source.poll(&shard, &mut cursor, 2, Duration::ZERO).await {
                assert!(!polled.ended && !polled.trimmed);
                seen.extend(
                    polled
                        .records
                        .iter()
                        .map(|it| event(it)["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned()),
                );
            }
        }
        assert_eq!(seen, expected, "seed {seed}");
        assert!(proxy.calls()["GetRecords"].faults() > 0);
    }
}
