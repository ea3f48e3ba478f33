//! A function on the `lambda_runtime` crate.
fn main() {}
