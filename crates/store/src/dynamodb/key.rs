//! The names of rows.
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use pelton_core::{MappingId, OwnerId, PartitionId, StreamId};

/// The table's partition key.
pub const SCOPE: &str = "Scope";
/// The table's sort key.
pub const ROW: &str = "Row";

pub const STREAMS: &str = "streams";
pub const SHARD: &str = "shard/";
pub const MEMBER: &str = "member/";

/// Names one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub scope: String,
    pub row: String,
}

impl Key {
    pub fn attributes(self) -> HashMap<String, AttributeValue> {
        HashMap::from([(SCOPE.into(), AttributeValue::S(self.scope)), (ROW.into(), AttributeValue::S(self.row))])
    }
}

pub fn version() -> Key {
    Key { scope: "store".into(), row: "version".into() }
}

/// A UUID has no slash, so no two streams share a scope.
pub fn scope(stream: &StreamId) -> String {
    format!("{}/{}", stream.mapping, stream.incarnation)
}

pub fn stream(stream: &StreamId) -> Key {
    Key { scope: STREAMS.into(), row: scope(stream) }
}

pub fn shard(stream: &StreamId, partition: &PartitionId) -> Key {
    Key { scope: scope(stream), row: format!("{SHARD}{partition}") }
}

/// What the lanes of one shard, and of no other, begin with. The length keeps apart `a` and `a/b`.
pub fn lanes(partition: &PartitionId) -> String {
    format!("lanes/{}/{partition}/", partition.0.len())
}

pub fn members(mapping: MappingId) -> String {
    format!("members/{mapping}")
}

pub fn member(mapping: MappingId, owner: &OwnerId) -> Key {
    Key { scope: members(mapping), row: format!("{MEMBER}{owner}") }
}
