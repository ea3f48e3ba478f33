//! What tests share: fakes of the seams on tokio's clock, the suite that fakes and real sources both pass, and real
//! backends. A development dependency only.

pub mod backend;
pub mod conformance;
pub mod documents_suite;
pub mod event_queue_suite;
mod fake_clock;
mod fake_destination;
mod fake_events;
mod fake_invoker;
mod fake_queue;
mod fake_stream;
pub mod fault_proxy;
pub mod store_suite;
pub mod stream_suite;

pub use fake_clock::FakeClock;
pub use fake_destination::FakeDestination;
pub use fake_events::{EventFault, FakeEvents};
pub use fake_invoker::{FakeInvoker, Invocation, Reply};
pub use fake_queue::{FakeQueue, Fault};
pub use fake_stream::{FakeStream, sequence_number, shard};

use std::future::Future;
use std::time::Duration;

/// Waits until `condition` holds, asking again every few milliseconds. Panics with `what` after `limit`.
pub async fn eventually<F: Future<Output = bool>>(what: &str, limit: Duration, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + limit;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
