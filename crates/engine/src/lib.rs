//! Polls, batches, invokes, reports and settles. One [`Supervisor`] runs every mapping; it knows sources, functions and
//! destinations only by the traits of `pelton-core`, and no AWS SDK.

mod attempt;
mod backoff;
mod batcher;
mod response;

pub use backoff::Backoff;
pub use batcher::MAXIMUM_PAYLOAD_BYTES;
