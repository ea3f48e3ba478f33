//! The SQS event source: standard and FIFO queues.

mod client;
mod event;
mod queue;
mod source;

pub use client::Client;
pub use event::{AbsentMd5, event};
pub use source::SqsSource;
