use super::*;
use pelton_core::{Checkpoint, OwnerId, PartitionId};

fn shard(name: &str, position: Position, owner: Option<&str>) -> ShardState {
    ShardState {
        partition: PartitionId(name.into()),
        parents: Vec::new(),
        checkpoint: Checkpoint {
            position,
            arrived_at: Some("2026-01-01T00:00:00.1234Z".parse().unwrap()),
            lanes: Vec::new(),
        },
        owner: owner.map(|owner| OwnerId(owner.into())),
        counter: 1,
        renewals: 0,
    }
}

fn view(shards: Vec<ShardView>, problem: Option<&str>) -> View {
    View {
        uuid: "5f0".into(),
        mapping: Some(MappingView {
            event_source_arn: "arn:orders".into(),
            function_arn: "arn:work".into(),
            enabled: false,
            function: "work".into(),
            starting: "LATEST",
        }),
        problem: problem.map(str::to_owned),
        shards,
    }
}

fn shards() -> Vec<ShardView> {
    let rest = |lag, trimmed| Some(Rest { lag: Some(Duration::from_millis(lag)), trimmed });
    let after = |number: &str| Position::After(number.parse().unwrap());
    vec![
        ShardView::of(shard("shard-0", after("49590338271"), Some("me")), rest(2_100, false)),
        ShardView::of(shard("shard-1", after("1"), None), rest(90_000, true)),
        ShardView::of(shard("shard-2", Position::End, None), None),
    ]
}

#[test]
fn every_shard_has_a_line() {
    assert_eq!(
        text(&view(shards(), None)),
        "\
5f0  arn:orders → work, disabled
SHARD    POSITION     ARRIVED                              LAG  OWNER
shard-0  49590338271  2026-01-01T00:00:00.123Z           2.1 s  me
shard-1  1            2026-01-01T00:00:00.123Z  1 min, trimmed  -
shard-2  SHARD_END    -                                      -  -
"
    );
    assert_eq!(
        text(&view(Vec::new(), Some("no way"))),
        "5f0  arn:orders → work, disabled\nthe stream can't be asked: no way\nno checkpoint yet: it begins at its \
         StartingPosition LATEST\n"
    );
    let unknown = View { mapping: None, ..view(shards(), None) };
    assert!(text(&unknown).starts_with("5f0  a mapping that the file doesn't have\nSHARD"));
}

#[test]
fn json_says_the_same() {
    let json = serde_json::to_value(view(shards(), None)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "UUID": "5f0", "EventSourceArn": "arn:orders", "FunctionArn": "arn:work", "Enabled": false, "Shards": [
                {"ShardId": "shard-0", "Position": "49590338271", "ArrivedAt": "2026-01-01T00:00:00.1234Z",
                 "LagMilliseconds": 2100, "Trimmed": false, "Owner": "me"},
                {"ShardId": "shard-1", "Position": "1", "ArrivedAt": "2026-01-01T00:00:00.1234Z",
                 "LagMilliseconds": 90000, "Trimmed": true},
                {"ShardId": "shard-2", "Position": "SHARD_END", "Trimmed": false},
            ],
        })
    );
}
