//! Black-box tests: the built binary on real backends, seen from outside. One file a theme.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and one that has shows its figures"
)]

mod api;
mod asynchronous;
mod batching;
mod cli;
mod conformance;
mod destinations;
mod dynamodb_event;
mod event;
mod faults;
mod fifo;
mod filters;
mod killed;
mod kinesis_event;
mod kinesis_fan_out;
mod kinesis_shards;
mod lambda_api;
mod malformed;
mod partial;
mod process;
mod redrive;
mod reload;
mod replay;
mod replicas;
mod shutdown;
mod spec;
mod stream_faults;
mod stream_killed;
mod streams;
mod tls;
mod tools;
mod trouble;
mod visibility;
