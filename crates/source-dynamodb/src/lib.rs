//! DynamoDB Streams as an event source.

mod attribute;
mod client;
mod event;
mod page;
mod shard_iterator;
mod shards;
mod source;

pub use client::Client;
pub use event::{event, order_key};
pub use source::DynamoDbSource;
