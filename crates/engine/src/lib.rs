//! Polls, batches, invokes, reports and settles. One [`Supervisor`] runs every mapping; it knows sources, functions and
//! destinations only by the traits of `pelton-core`, and no AWS SDK.
//!
//! ```text
//!  Source ──poll──▶ Batcher ──▶ drive: invoke ──▶ interpret ──▶ attempt::next ──▶ report ──▶ settle
//!    ▲              (lane.rs)   (drive.rs)        (response.rs)  (attempt.rs)    (report.rs)    │
//!    └───────────────────────── delete, release, checkpoint ◀───────────────────────────────────┘
//! ```

mod attempt;
mod backoff;
mod batcher;
mod concurrency;
mod drive;
mod hold;
mod lane;
mod metrics;
mod report;
mod response;
mod status;
mod supervisor;
mod watermark;

pub use backoff::Backoff;
pub use batcher::MAXIMUM_PAYLOAD_BYTES;
// For the fuzz targets, which stand outside the workspace; no part of the interface.
#[doc(hidden)]
pub use response::{Outcome, interpret};
pub use status::{LastError, MappingStatus, StatusHandle};
pub use supervisor::{Plan, Shutdown, Supervisor};
