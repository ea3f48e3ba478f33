//! The rules of a mapping that a schema can't say.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{Arn, ArnError, FunctionName, Mapping, MappingId};
use pelton_pattern::{Decoding, Filters, Pattern};

use crate::event_source::{EventSource, Kind};
use crate::section::Section;
use crate::wire::{EventSourceMapping, FilterCriteria, Tags};
use crate::{destination, event_source, stream};

const DEFAULT_BATCH_SIZE_OF_QUEUES: u32 = 10;
const DEFAULT_BATCH_SIZE_OF_STREAMS: u32 = 100;
/// Without a batching window, and for FIFO queues always (developer guide, "Using Lambda with Amazon SQS").
const MOST_RECORDS_WITHOUT_WINDOW: u32 = 10;
/// AWS's text for any pattern it can't use; what follows it here is Pelton's own (spec 7.1).
const INVALID_PATTERN: &str = "Invalid filter pattern definition.";
const MOST_TAGS: usize = 50;
const LONGEST_TAG_KEY: usize = 128;
const LONGEST_TAG_VALUE: usize = 256;

/// What the rules of a mapping depend on outside of it.
pub(crate) struct Surroundings<'a> {
    /// The Region of functions that are named without an ARN and whose source doesn't say one.
    pub region: &'a str,
    pub now: Timestamp,
}

/// Checks a mapping. `None` if something of it is wrong, now or before.
pub(crate) fn check(
    wire: EventSourceMapping,
    surroundings: &Surroundings<'_>,
    section: &mut Section<'_>,
) -> Option<Mapping> {
    let source = wire.event_source_arn.as_deref().and_then(|text| event_source::check(text, section));
    let function = wire.function_name.as_deref().and_then(|text| function(text, section));
    let function_arn = match (&source, &function) {
        (Some(source), Some(function)) => function_arn(source, function, surroundings.region, section),
        _ => None,
    };
    let stream = source.as_ref().and_then(|source| stream::check(&wire, source, surroundings.now, section));
    let kind = source.as_ref().map(|source| source.kind);
    let batch_size = wire.batch_size.unwrap_or(match kind {
        Some(kind) if kind.is_stream() => DEFAULT_BATCH_SIZE_OF_STREAMS,
        _ => DEFAULT_BATCH_SIZE_OF_QUEUES,
    });
    let window = wire.maximum_batching_window_in_seconds.unwrap_or(0);
    // With a value that has been refused, the others can't be judged against it.
    let sizes_are_known = ["BatchSize", "MaximumBatchingWindowInSeconds"]
        .iter()
        .all(|field| !section.findings.touch(&format!("{}.{field}", section.path)));
    if sizes_are_known {
        check_batch(batch_size, window, kind, section);
    }
    let filters = filters(wire.filter_criteria, kind.map(Kind::decoding).unwrap_or_default(), section);
    let maximum_retry_attempts = retry_attempts(wire.maximum_retry_attempts, kind, section);
    let source_arn = source.as_ref().map(|source| &source.arn);
    let destinations = destination::check(wire.destination_config, source_arn, function_arn.as_ref(), section);
    let tags = tags(wire.tags, section);

    let (event_source, function, function_arn) = (source?.arn, function?, function_arn?);
    section.is_good().then(|| Mapping {
        id: MappingId::of(&event_source.to_string(), &function_arn.to_string()),
        event_source,
        function,
        function_arn,
        enabled: wire.enabled.unwrap_or(true),
        batch_size: batch_size as usize,
        batching_window: Duration::from_secs(window.into()),
        filters,
        report_batch_item_failures: wire.function_response_types.is_some_and(|types| !types.is_empty()),
        maximum_concurrency: wire
            .scaling_config
            .and_then(|config| config.maximum_concurrency)
            .map(|limit| limit as usize),
        on_success: destinations.on_success,
        on_failure: destinations.on_failure,
        overflow_bucket: destinations.overflow_bucket,
        maximum_retry_attempts,
        visibility_heartbeat: wire.visibility_heartbeat.unwrap_or(true),
        tags,
        stream,
    })
}

fn function(text: &str, section: &mut Section<'_>) -> Option<FunctionName> {
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let error: pelton_core::FunctionNameError = error;
            let fix = "write name, name:version-or-alias, account:function:name, or the function's ARN";
            section.problem("FunctionName", error.to_string(), fix);
            None
        }
    }
}

fn function_arn(source: &EventSource, function: &FunctionName, region: &str, section: &mut Section<'_>) -> Option<Arn> {
    let named = match source.is_in_dynamodb_local() {
        // Its own "region" is none that a function could be in.
        true => in_region(&source.arn, region).and_then(|beside| function.arn(&beside)),
        false => function.arn(&source.arn),
    };
    match named {
        Ok(arn) if arn.region() == source.arn.region() || source.is_in_dynamodb_local() => Some(arn),
        Ok(arn) => {
            let message = format!("the function is in {}, its event source in {}", arn.region(), source.arn.region());
            section.problem(
                "FunctionName",
                message,
                "name a function in the Region of the event source, as AWS requires it",
            );
            None
        }
        Err(error) => {
            section.problem("FunctionName", error.to_string(), "write the function's name or ARN");
            None
        }
    }
}

fn in_region(arn: &Arn, region: &str) -> Result<Arn, ArnError> {
    Arn::new(arn.partition(), arn.service(), region, arn.account(), arn.resource())
}

fn filters(criteria: Option<FilterCriteria>, decoding: Decoding, section: &mut Section<'_>) -> Filters {
    let example = match decoding {
        Decoding::DynamoDb => r#"{"eventName": ["INSERT"]}"#,
        Decoding::Kinesis => r#"{"data": {"kind": ["order"]}}"#,
        Decoding::Sqs | Decoding::AsGiven => r#"{"body": {"kind": ["order"]}}"#,
    };
    let fix = format!("write an object whose values are lists or objects, such as {example}");
    let filters = criteria.and_then(|criteria| criteria.filters).unwrap_or_default();
    // One without a pattern has been reported.
    let patterns: Vec<String> = filters.into_iter().map(|filter| filter.pattern.unwrap_or_default()).collect();
    for (index, pattern) in patterns.iter().enumerate() {
        let field = format!("FilterCriteria.Filters[{index}].Pattern");
        if section.node.at(&field).is_none() || section.findings.touch(&format!("{}.{field}", section.path)) {
            continue;
        }
        if let Err(error) = Pattern::compile(pattern) {
            section.problem(&field, format!("{INVALID_PATTERN} {error}"), fix.clone());
        }
    }
    // With a pattern that doesn't compile, the mapping as a whole isn't taken.
    Filters::compile(&patterns, decoding).unwrap_or_default()
}

/// `None` is no limit: -1, or nothing.
fn retry_attempts(attempts: Option<i32>, kind: Option<Kind>, section: &mut Section<'_>) -> Option<u32> {
    const FIELD: &str = "MaximumRetryAttempts";
    let attempts = attempts?;
    if kind.is_none_or(Kind::is_stream) {
        return u32::try_from(attempts).ok();
    }
    if attempts < 0 {
        let message = format!(
            "1 validation error detected: Value '{attempts}' at 'maximumRetryAttempts' failed to satisfy constraint: \
             Member must have value greater than or equal to 0"
        );
        let fix = "write a whole number from 0 to 10000, or remove it and let the queue's redrive policy decide";
        section.problem(FIELD, message, fix);
    } else if section.node.at("DestinationConfig.OnFailure.Destination").is_none() {
        let message = "MaximumRetryAttempts without an OnFailure destination would delete messages without a trace";
        let fix = "add DestinationConfig.OnFailure, or remove it and let the queue's redrive policy decide";
        section.problem(FIELD, message, fix);
    }
    u32::try_from(attempts).ok()
}

fn check_batch(batch_size: u32, window: u32, kind: Option<Kind>, section: &mut Section<'_>) {
    match kind {
        Some(Kind::FifoQueue) => {
            if batch_size > MOST_RECORDS_WITHOUT_WINDOW {
                let message = format!("a FIFO queue allows batches of at most {MOST_RECORDS_WITHOUT_WINDOW}");
                let fix = format!("write a whole number from 1 to {MOST_RECORDS_WITHOUT_WINDOW}");
                section.problem("BatchSize", message, fix);
            }
            if window > 0 {
                let message = "a FIFO queue allows no batching window";
                section.problem("MaximumBatchingWindowInSeconds", message, "remove it");
            }
        }
        Some(Kind::Queue) if batch_size > MOST_RECORDS_WITHOUT_WINDOW && window == 0 => {
            let message =
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
            let fix = "add MaximumBatchingWindowInSeconds: 1 or more, or lower BatchSize to 10";
            section.problem("BatchSize", message, fix);
        }
        _ => {}
    }
}

fn tags(tags: Option<Tags>, section: &mut Section<'_>) -> BTreeMap<String, String> {
    let tags: Vec<(String, String)> = match tags {
        None => return BTreeMap::new(),
        Some(Tags::Map(tags)) => tags.into_iter().collect(),
        Some(Tags::List(tags)) => tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect(),
    };
    let count = tags.len();
    if count > MOST_TAGS {
        let message = "Number of tags exceeds resource tag limit.";
        section.problem("Tags", message, format!("keep at most {MOST_TAGS} of the {count} tags"));
    }
    let mut taken = BTreeMap::new();
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > LONGEST_TAG_KEY || value.chars().count() > LONGEST_TAG_VALUE {
            let message = format!("the tag '{}' is empty or too long", crate::problem::shortened(&key));
            let fix = format!("a key has 1 to {LONGEST_TAG_KEY} characters, a value up to {LONGEST_TAG_VALUE}");
            section.problem("Tags", message, fix);
        } else if taken.insert(key.clone(), value).is_some() {
            section.problem("Tags", format!("the tag '{key}' is given twice"), "remove one of them");
        }
    }
    taken
}
