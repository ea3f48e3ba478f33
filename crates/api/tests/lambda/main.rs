//! Lambda's API over a real socket, on mappings that an engine runs on fake queues.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod access;
mod changes;
mod config_refusals;
mod configs;
mod events;
mod functions;
mod invoke;
mod kept;
mod lists;
mod lists_of_functions;
mod passing;
mod policies;
mod refusals;
mod shapes;
mod signed;
mod slow;
mod support;
mod tags;
mod upstream;
