//! The SQS event source: standard and FIFO queues.

mod client;
mod event;
mod queue;
mod source;

pub use source::SqsSource;
