//! What mappings on Kinesis and on DynamoDB Streams have in common, seen from outside. One file a theme.
mod batching;
mod bisect;
mod checkpoints;
mod destinations;
mod filters;
mod order;
mod partial;
mod position;
mod record_age;
mod retries;
mod state;
mod status;
mod trouble;
mod windows;

use serde_json::{Value, json};

/// Texts that a function only takes note of.
fn numbered(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    numbers.map(|number| number.to_string())
}

/// The same as a list.
fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbered(numbers).collect()
}

fn on_failure(destination: &str) -> Value {
    json!({ "OnFailure": { "Destination": destination } })
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
