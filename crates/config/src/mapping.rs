//! The rules of a mapping that a schema can't say.
use std::collections::BTreeMap;
use std::time::Duration;

use pelton_core::{Arn, ArnError, FunctionName, Mapping, MappingId};
use pelton_pattern::{Decoding, Filters, Pattern};

use crate::destination;
use crate::region;
use crate::section::Section;
use crate::wire::{EventSourceMapping, FilterCriteria, Tags};

const DEFAULT_BATCH_SIZE: u32 = 10;
/// Without a batching window, and for FIFO queues always (developer guide, "Using Lambda with Amazon SQS").
const MOST_RECORDS_WITHOUT_WINDOW: u32 = 10;
/// AWS's text for any pattern it can't use; what follows it here is Pelton's own (spec 7.1).
const INVALID_PATTERN: &str = "Invalid filter pattern definition.";
const PATTERN_EXAMPLE: &str =
    r#"write an object whose values are lists or objects, such as {"body": {"kind": ["order"]}}"#;
const MOST_TAGS: usize = 50;
const LONGEST_TAG_KEY: usize = 128;
const LONGEST_TAG_VALUE: usize = 256;

/// The pattern of AWS's model for `EventSourceArn`; also the last part of that for destinations (spec 12.2).
pub(crate) const ARN_PATTERN: &str =
    r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";

/// Checks a mapping. `None` if something of it is wrong, now or before.
pub(crate) fn check(wire: EventSourceMapping, section: &mut Section<'_>) -> Option<Mapping> {
    let event_source = wire.event_source_arn.as_deref().and_then(|text| event_source(text, section));
    let function = wire.function_name.as_deref().and_then(|text| function(text, section));
    let function_arn = match (&event_source, &function) {
        (Some(source), Some(function)) => function_arn(source, function, section),
        _ => None,
    };
    let batch_size = wire.batch_size.unwrap_or(DEFAULT_BATCH_SIZE);
    let window = wire.maximum_batching_window_in_seconds.unwrap_or(0);
    // With a value that has been refused, the others can't be judged against it.
    let sizes_are_known = ["BatchSize", "MaximumBatchingWindowInSeconds"]
        .iter()
        .all(|field| !section.findings.touch(&format!("{}.{field}", section.path)));
    if sizes_are_known {
        check_batch(batch_size, window, event_source.as_ref(), section);
    }
    let filters = filters(wire.filter_criteria, section);
    let maximum_retry_attempts = wire.maximum_retry_attempts;
    let destinations =
        destination::check(wire.destination_config, event_source.as_ref(), function_arn.as_ref(), section);
    if maximum_retry_attempts.is_some() && section.node.at("DestinationConfig.OnFailure.Destination").is_none() {
        let message = "MaximumRetryAttempts without an OnFailure destination would delete messages without a trace";
        let fix = "add DestinationConfig.OnFailure, or remove it and let the queue's redrive policy decide";
        section.problem("MaximumRetryAttempts", message, fix);
    }
    let tags = tags(wire.tags, section);

    let (event_source, function, function_arn) = (event_source?, function?, function_arn?);
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
    })
}

fn event_source(text: &str, section: &mut Section<'_>) -> Option<Arn> {
    const FIELD: &str = "EventSourceArn";
    const EXAMPLE: &str = "write the queue's ARN, such as arn:aws:sqs:us-east-1:000000000000:orders";
    let arn: Arn = match text.parse() {
        Ok(arn) => arn,
        Err(error) => {
            let message = not_an_arn(text, &error, "eventSourceArn", ARN_PATTERN);
            section.problem(FIELD, message, EXAMPLE);
            return None;
        }
    };
    let unsupported = match arn.service() {
        "sqs" => None,
        "kinesis" => Some("Kinesis streams"),
        "dynamodb" => Some("DynamoDB streams"),
        "kafka" => Some("Kafka topics"),
        "mq" => Some("Amazon MQ brokers"),
        "rds" => Some("DocumentDB clusters"),
        _ => {
            section.problem(FIELD, "Unrecognized event source.", EXAMPLE);
            return None;
        }
    };
    if let Some(sources) = unsupported {
        let message = format!("{sources} are not supported as event sources by this version of Pelton yet");
        section.problem(FIELD, message, "name an SQS queue, or let the mapping run where it runs today");
        return None;
    }
    let name = arn.resource().strip_suffix(".fifo").unwrap_or(arn.resource());
    let is_name = arn.resource().len() <= 80
        && !name.is_empty()
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character));
    if !is_name {
        let message = format!(
            "'{}' is no queue name: 1 to 80 letters, digits, '-' and '_', or the same with '.fifo'",
            arn.resource()
        );
        section.problem(FIELD, message, EXAMPLE);
        return None;
    }
    if arn.region().is_empty() || arn.account().is_empty() {
        section.problem(FIELD, "the ARN of a queue has a Region and an account", EXAMPLE);
        return None;
    }
    if !region::is_region(arn.region()) {
        section.problem(FIELD, outside_pattern(text, "eventSourceArn", ARN_PATTERN), EXAMPLE);
        return None;
    }
    Some(arn)
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

fn function_arn(source: &Arn, function: &FunctionName, section: &mut Section<'_>) -> Option<Arn> {
    match function.arn(source) {
        Ok(arn) if arn.region() == source.region() => Some(arn),
        Ok(arn) => {
            let message = format!("the function is in {}, its event source in {}", arn.region(), source.region());
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

fn filters(criteria: Option<FilterCriteria>, section: &mut Section<'_>) -> Filters {
    let filters = criteria.and_then(|criteria| criteria.filters).unwrap_or_default();
    // One without a pattern has been reported.
    let patterns: Vec<String> = filters.into_iter().map(|filter| filter.pattern.unwrap_or_default()).collect();
    for (index, pattern) in patterns.iter().enumerate() {
        let field = format!("FilterCriteria.Filters[{index}].Pattern");
        if section.node.at(&field).is_none() || section.findings.touch(&format!("{}.{field}", section.path)) {
            continue;
        }
        if let Err(error) = Pattern::compile(pattern) {
            section.problem(&field, format!("{INVALID_PATTERN} {error}"), PATTERN_EXAMPLE);
        }
    }
    // With a pattern that doesn't compile, the mapping as a whole isn't taken.
    Filters::compile(&patterns, Decoding::Sqs).unwrap_or_default()
}

fn check_batch(batch_size: u32, window: u32, source: Option<&Arn>, section: &mut Section<'_>) {
    let is_fifo = source.is_some_and(|source| source.resource().ends_with(".fifo"));
    if is_fifo && batch_size > MOST_RECORDS_WITHOUT_WINDOW {
        let message = format!("a FIFO queue allows batches of at most {MOST_RECORDS_WITHOUT_WINDOW}");
        section.problem("BatchSize", message, format!("write a whole number from 1 to {MOST_RECORDS_WITHOUT_WINDOW}"));
    }
    if is_fifo && window > 0 {
        section.problem("MaximumBatchingWindowInSeconds", "a FIFO queue allows no batching window", "remove it");
    }
    if !is_fifo && batch_size > MOST_RECORDS_WITHOUT_WINDOW && window == 0 {
        let message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
        section.problem(
            "BatchSize",
            message,
            "add MaximumBatchingWindowInSeconds: 1 or more, or lower BatchSize to 10",
        );
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

/// Why a text is no ARN: AWS's sentence where its pattern is what refuses it.
pub(crate) fn not_an_arn(text: &str, error: &ArnError, member: &str, pattern: &str) -> String {
    match error {
        ArnError::Character | ArnError::Empty("resource") => error.to_string(),
        _ => outside_pattern(text, member, pattern),
    }
}

fn outside_pattern(text: &str, member: &str, pattern: &str) -> String {
    let text = crate::problem::shortened(text);
    format!(
        "1 validation error detected: Value '{text}' at '{member}' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: {pattern}"
    )
}
