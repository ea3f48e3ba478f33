//! Verifies AWS Signature Version 4 of requests that come in.
//!
//! There is no kept crate that verifies: what is here reads what a request claims, has `aws-sigv4`, with which AWS's own
//! SDK signs, sign the same request with the same key, and compares. So canonical forms are AWS's code and not ours.
mod claim;
mod error;
mod read;

pub use claim::{Claim, SKEW};
pub use error::SignatureError;
