//! The source on real streams.

mod fan_out;
mod forwarder;
mod reading;
mod support;
