//! Functions as local processes behind the Lambda Runtime API.
//!
//! ```text
//! invoke ─▶ Queue ─▶ Worker 1 ── Runtime API on a port of its own ◀── process 1
//!                 └▶ Worker n ── Runtime API on a port of its own ◀── process n
//! ```
//! One [`worker`] owns one process: it starts it, hands it invocations, and replaces it when it dies, hangs or when its
//! code changes. Because every worker listens on a port of its own, it is always known who took which invocation.

mod bootstrap;
mod child;
mod client_context;
mod environment;
mod failure;
mod function;
mod locate;
mod log_tail;
mod output;
mod phase;
mod program;
mod queue;
mod runtime_api;
mod settings;
mod status;
mod watch;
mod worker;

pub use failure::MAXIMUM_RESPONSE_BYTES;
pub use function::ProcessFunction;
pub use settings::{Launch, ProcessSettings, Runtime, RuntimeError, StartError};
pub use status::ProcessStatus;
