//! The source on real streams.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fan_out;
mod forwarder;
mod reading;
mod support;
