//! Real processes behind the Lambda Runtime API.
#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

mod awslambdaric;
mod calls;
mod clients;
mod log_tail;
mod logs;
mod node;
mod orphans;
mod python;
mod supervision;
mod support;
mod watch;
