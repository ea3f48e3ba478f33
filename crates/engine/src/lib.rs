//! Polls, batches, invokes, reports and settles. One [`Supervisor`] runs every mapping, and [`Events`] every asynchronous
//! event; they know sources, functions, destinations and stores only by the traits of `pelton-core`, and no AWS SDK.
//!
//! ```text
//!  queue.rs    Source ──poll──▶ Batcher ──▶ drive: invoke ──▶ interpret ──▶ attempt::next ──▶ report ──▶ settle
//!                ▲             (lane.rs)    (drive.rs)       (response.rs)   (attempt.rs)   (report.rs)    │
//!                └──────────────────── delete, release ◀──────────────────────────────────────────────────┘
//!
//!  stream.rs   Source ──poll──▶ lanes by key ──▶ step: invoke ──▶ interpret ──▶ attempt::next ──▶ report ──▶ Watermark
//!              (shard.rs)      (lane.rs)        (step.rs)                      (attempt.rs)                   │
//!                                                                    Store ◀── checkpoint ◀───────────────────┘
//!
//!  events.rs   EventQueue ──take──▶ work: invoke ──▶ attempt::after_answer ──▶ report ──▶ remove, put back
//!              (line.rs)           (work.rs)        (attempt.rs)              (report.rs)
//! ```

mod backoff;
mod batcher;
mod events;
mod idle;
mod metrics;
mod queue;
mod report;
mod response;
mod status;
mod stream;
mod supervisor;

pub use backoff::Backoff;
pub use batcher::MAXIMUM_PAYLOAD_BYTES;
pub use events::{EventDoor, EventPlan, EventPlans, Events, NewEvent};
// For the fuzz targets, which stand outside the workspace; no part of the interface.
#[doc(hidden)]
pub use response::{Outcome, interpret};
pub use status::{FunctionStatus, LastError, MappingStatus, ShardStatus, StatusHandle};
pub use stream::lane_of;
#[doc(hidden)]
pub use stream::state_of;
pub use supervisor::{Plan, Shutdown, Supervisor};
