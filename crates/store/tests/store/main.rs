//! The stores: what all of them promise, and what is each one's own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test is over when a step of it fails")]

mod documents;
mod dynamodb;
mod killed;
mod model;
mod sqlite_file;
mod suite;
mod support;
