//! A mapping as Lambda shows it (spec 2.1): the same in every answer, with just the keys that AWS has for its kind of
//! source. Pure.
use jiff::Timestamp;
use pelton_core::{DestinationArn, Mapping, MappingId, StartingPosition};
use serde_json::{Map, Value, json};

use super::functions::Place;

/// What changes while a mapping lives.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub state: String,
    pub last_modified: Timestamp,
    /// For streams only.
    pub last_processing_result: String,
}

pub fn view(mapping: &Mapping, condition: &Condition) -> Value {
    let mut shown = Map::new();
    let mut show = |key: &str, value: Value| {
        shown.insert(key.to_owned(), value);
    };
    show("BatchSize", json!(mapping.batch_size));
    if let Some(stream) = &mapping.stream {
        show("BisectBatchOnFunctionError", json!(stream.bisect_batch_on_function_error));
    }
    if mapping.stream.is_some() || mapping.on_failure.is_some() || mapping.on_success.is_some() {
        show("DestinationConfig", destinations(mapping));
    }
    show("EventSourceArn", json!(mapping.event_source.to_string()));
    show("EventSourceMappingArn", json!(arn(mapping)));
    if !mapping.filters.is_empty() {
        let filters: Vec<Value> = mapping.filters.texts().iter().map(|text| json!({ "Pattern": text })).collect();
        show("FilterCriteria", json!({ "Filters": filters }));
    }
    show("FunctionArn", json!(mapping.function_arn.to_string()));
    let response_types =
        if mapping.report_batch_item_failures { json!(["ReportBatchItemFailures"]) } else { json!([]) };
    show("FunctionResponseTypes", response_types);
    show("LastModified", seconds(condition.last_modified));
    if mapping.stream.is_some() {
        show("LastProcessingResult", json!(condition.last_processing_result));
    }
    show("MaximumBatchingWindowInSeconds", json!(mapping.batching_window.as_secs()));
    if let Some(stream) = &mapping.stream {
        let age = stream.maximum_record_age.map_or(json!(-1), |age| json!(age.as_secs()));
        show("MaximumRecordAgeInSeconds", age);
        show("MaximumRetryAttempts", mapping.maximum_retry_attempts.map_or(json!(-1), |attempts| json!(attempts)));
        show("ParallelizationFactor", json!(stream.parallelization_factor));
    }
    if let Some(most) = mapping.maximum_concurrency {
        show("ScalingConfig", json!({ "MaximumConcurrency": most }));
    }
    if let Some(stream) = &mapping.stream {
        match stream.starting_position {
            StartingPosition::TrimHorizon => show("StartingPosition", json!("TRIM_HORIZON")),
            StartingPosition::Latest => show("StartingPosition", json!("LATEST")),
            StartingPosition::AtTimestamp(at) => {
                show("StartingPosition", json!("AT_TIMESTAMP"));
                show("StartingPositionTimestamp", seconds(at));
            }
        }
    }
    show("State", json!(condition.state));
    show("StateTransitionReason", json!(if mapping.stream.is_some() { "User action" } else { "USER_INITIATED" }));
    if let Some(stream) = &mapping.stream {
        show("TumblingWindowInSeconds", json!(stream.tumbling_window.as_secs()));
    }
    show("UUID", json!(mapping.id.to_string()));
    Value::Object(shown)
}

/// `EventSourceMappingArn`.
pub fn arn(mapping: &Mapping) -> String {
    let function = &mapping.function_arn;
    let (partition, region, account) = (function.partition(), function.region(), function.account());
    format!("arn:{partition}:lambda:{region}:{account}:event-source-mapping:{}", mapping.id)
}

/// The same of a mapping that may not exist.
pub fn arn_of(id: MappingId, place: &Place) -> String {
    let Place { partition, region, account } = place;
    format!("arn:{partition}:lambda:{region}:{account}:event-source-mapping:{id}")
}

fn destinations(mapping: &Mapping) -> Value {
    let side = |to: &Option<DestinationArn>| match to {
        Some(to) => json!({ "Destination": to.arn().to_string() }),
        None => json!({}),
    };
    let mut config = Map::new();
    // Only a file can have one.
    if mapping.on_success.is_some() {
        config.insert("OnSuccess".into(), side(&mapping.on_success));
    }
    config.insert("OnFailure".into(), side(&mapping.on_failure));
    Value::Object(config)
}

/// Seconds since 1970, to the millisecond, as rest-json has times in bodies.
pub fn seconds(at: Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1_000.0)
}
