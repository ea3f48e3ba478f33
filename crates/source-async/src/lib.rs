//! Asynchronous events in an SQS queue that replicas share (`AsyncQueue`). The embedded stores, for a single process, are
//! in `pelton-store`.
//!
//! ```text
//!  add ──SendMessage──▶ SQS ──receive.rs──▶ buffer.rs ──take──▶ the engine ──remove──▶ DeleteMessage
//!                        ▲                                          │
//!                        └── SendMessage (delayed), DeleteMessage ──┴── put_back
//! ```
//!
//! The queue holds everything; a process holds what it has received, and keeps that hidden from the others while it
//! waits here or is worked on. An event that waits for its next attempt is a new message, so that what SQS counts as
//! receives stays small. A crash at any line leaves at least one message of each event.
mod buffer;
mod client;
mod message;
mod queue;
mod receive;

pub use queue::SqsEventQueue;
