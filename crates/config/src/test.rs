//! The rules of an entry under `Tests`.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pelton_core::{Arn, Mapping};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::configuration::{FilterTest, TestEvent};
use crate::section::Section;
use crate::wire::Test;

/// Checks a test against the mappings of its file. `None` if something of it is wrong, now or before.
pub(crate) fn check(
    wire: Test,
    mappings: &[Mapping],
    mappings_are_complete: bool,
    directory: &Path,
    section: &mut Section<'_>,
) -> Option<FilterTest> {
    let event_source = wire.event_source_arn.as_deref().and_then(|text| event_source(text, section));
    let event = event(&wire, event_source.as_ref().map_or("sqs", Arn::service), directory, section);
    let of_source: Vec<&Mapping> =
        mappings.iter().filter(|mapping| Some(&mapping.event_source) == event_source.as_ref()).collect();
    // What is missing because it is wrong has been reported where it stands.
    if of_source.is_empty() && mappings_are_complete && event_source.is_some() {
        let message = "no mapping under EventSourceMappings has this event source";
        section.problem("EventSourceArn", message, "write the EventSourceArn of one of them");
    }
    let mut matched_by = BTreeSet::new();
    for (index, name) in wire.matched_by.iter().flatten().enumerate() {
        match of_source.iter().find(|mapping| mapping.function.as_str() == name) {
            Some(mapping) => {
                matched_by.insert(mapping.id);
            }
            None if of_source.is_empty() || !mappings_are_complete => {}
            None => {
                let names: Vec<&str> = of_source.iter().map(|mapping| mapping.function.as_str()).collect();
                let message = "no mapping of this event source has this FunctionName";
                section.problem(&format!("MatchedBy[{index}]"), message, format!("write {}", names.join(" or ")));
            }
        }
    }
    let (name, event, event_source) = (wire.name?, event?, event_source?);
    section.is_good().then_some(FilterTest { name, event_source, event, matched_by })
}

/// `service` is that of the event source.
fn event(wire: &Test, service: &str, directory: &Path, section: &mut Section<'_>) -> Option<TestEvent> {
    match (&wire.body, &wire.event, &wire.event_file) {
        (Some(body), None, None) => around(body, service, section).map(TestEvent::Record),
        (None, Some(event), None) => is_record(event, service, section).then(|| TestEvent::Record(event.clone())),
        (None, None, Some(file)) => Some(TestEvent::File(directory.join(file))),
        _ => {
            // A value with a problem of its own is missing here.
            let broken = ["Body", "Event", "EventFile"]
                .iter()
                .any(|field| section.findings.touch(&format!("{}.{field}", section.path)));
            if !broken {
                section.problem("", "a test has exactly one of Body, Event and EventFile", "keep or add one of them");
            }
            None
        }
    }
}

/// The record that holds a body.
fn around(body: &str, service: &str, section: &mut Section<'_>) -> Option<String> {
    match service {
        "kinesis" => Some(json!({ "kinesis": { "data": STANDARD.encode(body) } }).to_string()),
        "dynamodb" => {
            let fix = r#"write the record as Event, such as {"eventName": "INSERT", "dynamodb": {"Keys": {"id": {"S": "a"}}}}"#;
            section.problem("Body", "a record of a DynamoDB stream has no body", fix);
            None
        }
        _ => Some(json!({ "body": body }).to_string()),
    }
}

#[derive(serde::Deserialize)]
struct KinesisRecord {
    #[serde(rename = "kinesis")]
    _kinesis: BTreeMap<String, IgnoredAny>,
}

fn is_record(text: &str, service: &str, section: &mut Section<'_>) -> bool {
    let example = match service {
        "kinesis" => r#"{"kinesis": {"data": "aGVsbG8="}}, or use Body for the data alone, not in base64"#,
        "dynamodb" => r#"{"eventName": "INSERT", "dynamodb": {"Keys": {"id": {"S": "a"}}}}"#,
        _ => r#"{"body": "text"}, or use Body for the body alone"#,
    };
    let fix = format!("write the record as JSON, such as {example}");
    match serde_json::from_str::<IgnoredAny>(text) {
        // Without it no filter would ever match, whatever it says.
        Ok(_) if service == "kinesis" && serde_json::from_str::<KinesisRecord>(text).is_err() => {
            section.problem("Event", "the event is no Kinesis record: it has no 'kinesis' object", fix);
            false
        }
        Ok(_) => true,
        Err(error) => {
            section.problem("Event", format!("the event is no JSON: {error}"), fix);
            false
        }
    }
}

fn event_source(text: &str, section: &mut Section<'_>) -> Option<Arn> {
    match text.parse() {
        Ok(arn) => Some(arn),
        Err(error) => {
            let error: pelton_core::ArnError = error;
            section.problem("EventSourceArn", error.to_string(), "write the EventSourceArn of a mapping");
            None
        }
    }
}
