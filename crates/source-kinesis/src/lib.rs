//! Kinesis data streams as an event source: read by polling, or pushed to a stream consumer (enhanced fan-out).

mod client;
mod event;
mod fan_out;
mod refusal;
mod shards;
mod source;
mod stream_arn;
mod subscription;

pub use client::Client;
pub use event::EventWriter;
pub use source::KinesisSource;
pub use stream_arn::{StreamArn, StreamArnError};
