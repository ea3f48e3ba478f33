//! The table that replicas share, as anybody can read it.
use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use pelton_core::{Checkpoint, Position, SequenceNumber};

/// One shard's row.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardRow {
    /// The process that holds its lease.
    pub owner: Option<String>,
    /// Rises with every take.
    pub counter: u64,
    /// The last record of the checkpoint; `None` before the first.
    pub after: Option<SequenceNumber>,
}

/// The rows of a table's shards, by the shards' names. None while there is no table.
pub async fn shard_rows(client: &aws_sdk_dynamodb::Client, table: &str) -> BTreeMap<String, ShardRow> {
    let scan = client.scan().table_name(table).consistent_read(true).send().await;
    let Ok(answer) = scan else { return BTreeMap::new() };
    let text = |value: Option<&AttributeValue>| value.and_then(|value| value.as_s().ok().cloned());
    let row = |item: &std::collections::HashMap<String, AttributeValue>| {
        let shard = text(item.get("Row"))?.strip_prefix("shard/")?.to_owned();
        let checkpoint: Checkpoint = serde_json::from_str(&text(item.get("Checkpoint"))?).unwrap();
        let after = match checkpoint.position {
            Position::After(number) => Some(number),
            _ => None,
        };
        let counter = item.get("Counter").map_or(0, |counter| counter.as_n().unwrap().parse().unwrap());
        Some((shard, ShardRow { owner: text(item.get("Owner")), counter, after }))
    };
    answer.items().iter().filter_map(row).collect()
}

/// How many shards each holder has; `None` while somebody has to take one.
pub fn holders(rows: &BTreeMap<String, ShardRow>) -> Option<BTreeMap<&str, usize>> {
    let mut holders = BTreeMap::new();
    for row in rows.values() {
        *holders.entry(row.owner.as_deref()?).or_default() += 1;
    }
    Some(holders)
}
