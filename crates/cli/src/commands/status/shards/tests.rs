use super::*;

fn stream(name: &str, shards: Vec<ShardStatus>) -> MappingStatus {
    let mapping = serde_json::json!({
        "UUID": name, "EventSourceArn": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}"),
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:work", "State": "Enabled",
        "LastProcessingResult": "OK", "InFlight": 0, "Pollers": 0, "Polled": 0, "Invoked": 0, "Failed": 0, "Dropped": 0,
        "Deleted": 0, "ReportedSuccesses": 0, "ReportedFailures": 0, "DestinationDeliveryFailures": 0,
        "ExpiredReceipts": 0,
    });
    MappingStatus { shards, ..serde_json::from_value(mapping).unwrap() }
}

fn shard(id: &str, position: &str) -> ShardStatus {
    ShardStatus { shard_id: id.into(), position: position.into(), ..ShardStatus::default() }
}

#[test]
fn every_shard_has_a_line() {
    let busy = ShardStatus {
        owner: Some("0b5e1a52-5b0f-4a7e-b6a0-7d6a3c1c9f10".into()),
        millis_behind_latest: Some(2_100),
        iterator_age_milliseconds: Some(61_000),
        unsettled: 120,
        in_flight: 2,
        attempts: 3,
        open_windows: 1,
        ..shard("shardId-000000000000", "49590338271490256608559692538361571095921575989136588898")
    };
    let text = shards(&[
        stream("orders", vec![busy, shard("shardId-000000000001", "SHARD_END")]),
        stream("events", vec![shard("shardId-\x1b[31m7", "AT_TIMESTAMP 2026-01-01T00:00:00Z")]),
    ]);
    assert_eq!(
        text,
        "\
SOURCE         SHARD                 OWNER     POSITION                           BEHIND    AGE  UNSETTLED  IN FLIGHT  ATTEMPTS  WINDOWS
stream/orders  shardId-000000000000  0b5e1a52  …1575989136588898                   2.1 s  1 min        120          2         3        1
stream/orders  shardId-000000000001  -         SHARD_END                               -      -          0          0         0        0
stream/events  shardId- [31m7        -         AT_TIMESTAMP 2026-01-01T00:00:00Z       -      -          0          0         0        0
"
    );
    assert_eq!(shards(&[stream("orders", vec![])]), "no shards\n");
}

#[test]
fn short_positions_are_whole() {
    for text in ["TRIM_HORIZON", "1234567890123456", "12345678901234567"] {
        assert_eq!(position(text), text);
    }
    assert_eq!(position("123456789012345678"), "…3456789012345678");
}
