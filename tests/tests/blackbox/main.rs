//! Black-box tests: the built binary on real backends, seen from outside. One file a theme.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod api;
mod batching;
mod cli;
mod conformance;
mod destinations;
mod event;
mod faults;
mod fifo;
mod filters;
mod killed;
mod lambda_api;
mod partial;
mod process;
mod redrive;
mod reload;
mod shutdown;
mod tls;
mod trouble;
mod visibility;
