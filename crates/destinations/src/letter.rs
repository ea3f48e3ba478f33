//! What a dead-letter queue gets of a record.
use pelton_core::{Condition, ExecutionRecord, Subject};
use serde::Deserialize;

use crate::size::sendable;

/// "The first 1 KB of the error message" (developer guide, "Dead-letter queues").
const LONGEST_MESSAGE: usize = 1_024;

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The event, as it was.
    pub event: String,
    /// What is known beside it, in AWS's order.
    pub attributes: Vec<Attribute>,
}

/// A message attribute. Its value is never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: &'static str,
    /// `String` or `Number`.
    pub data_type: &'static str,
    pub value: String,
}

/// Lambda's error object, as far as a letter tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorObject {
    error_message: Option<String>,
}

impl Letter {
    /// `None`: the record is of no event.
    pub fn of(record: &ExecutionRecord) -> Option<Self> {
        let event = match &record.subject {
            Subject::Invocation { request_payload, .. } => request_payload.as_ref()?.get().to_owned(),
            Subject::Batch { event, .. } => String::from_utf8_lossy(event).into_owned(),
        };
        let string = |name, value| Attribute { name, data_type: "String", value };
        let number = |name, value: u16| Attribute { name, data_type: "Number", value: value.to_string() };
        let mut attributes = vec![string("RequestID", record.request_context.request_id.clone())];
        attributes.extend(status(record).map(|status| number("ErrorCode", status)));
        attributes.push(string("ErrorMessage", acceptable(&message(record))));
        Some(Self { event: sendable(event), attributes })
    }
}

/// HTTP status of the last invocation: 200 also where the function failed. Without an answer it is the one with which
/// Lambda refuses such an invocation, or none: what refused an event until it was too old isn't known here.
fn status(record: &ExecutionRecord) -> Option<u16> {
    match (&record.response_context, record.request_context.condition) {
        (Some(context), _) => Some(context.status_code),
        (None, Condition::ZeroReservedConcurrency) => Some(429),
        // RecursiveInvocationException.
        (None, Condition::RecursionDepthExceeded) => Some(400),
        (None, _) => None,
    }
}

/// The error's `errorMessage`; the whole answer where it has none; a sentence where there is no answer.
fn message(record: &ExecutionRecord) -> String {
    if let Subject::Invocation { response_payload: Some(answer), .. } = &record.subject {
        let error = serde_json::from_str::<ErrorObject>(answer.get()).ok();
        let text = error.and_then(|error| error.error_message).filter(|text| !text.is_empty());
        return text.unwrap_or_else(|| answer.get().to_owned());
    }
    match record.request_context.condition {
        Condition::ZeroReservedConcurrency => "Rate Exceeded.",
        Condition::RecursionDepthExceeded => {
            "Functions invoke each other in a recursive loop. Lambda has stopped this invocation."
        }
        Condition::EventAgeExceeded => "The event was older than its maximum age before the function took it.",
        _ => "The event's attempts are used up. The last answer isn't known.",
    }
    .to_owned()
}

/// SQS takes only characters that XML has, and no empty value. A text of nothing but a cut character can't occur: one
/// has at most four bytes.
fn acceptable(text: &str) -> String {
    let replaced = |character: char| match character {
        '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => character,
        _ => '\u{fffd}',
    };
    let text: String = text.chars().take(LONGEST_MESSAGE).map(replaced).collect();
    text[..text.floor_char_boundary(LONGEST_MESSAGE)].to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pelton_core::{ExecutionRecord, ResponseContext};

    use super::*;
    use crate::omission::tests::{batch, record};

    fn values(record: &ExecutionRecord) -> Vec<(&'static str, &'static str, String)> {
        let attributes = Letter::of(record).unwrap().attributes;
        attributes.into_iter().map(|attribute| (attribute.name, attribute.data_type, attribute.value)).collect()
    }

    fn unanswered(condition: Condition) -> ExecutionRecord {
        let mut record = record(condition, "{}", "1");
        record.response_context = None;
        if let Subject::Invocation { response_payload, .. } = &mut record.subject {
            *response_payload = None;
        }
        record
    }

    /// `ErrorMessage` after an answer.
    fn message_of(answer: &str) -> String {
        values(&record(Condition::RetriesExhausted, "{}", answer)).pop().unwrap().2
    }

    #[test]
    fn holds_the_event_and_says_why() {
        let record =
            record(Condition::RetriesExhausted, "{\"a\":  1.50, \"b\":\"\\u00e9\"}", "{\"errorMessage\":\"no stock\"}");
        assert_eq!(Letter::of(&record).unwrap().event, "{\"a\":  1.50, \"b\":\"\\u00e9\"}");
        assert_eq!(
            values(&record),
            [
                ("RequestID", "String", "c9b8fa9f".into()),
                ("ErrorCode", "Number", "200".into()),
                ("ErrorMessage", "String", "no stock".into())
            ]
        );
    }

    #[test]
    fn says_of_each_event_without_an_answer_what_is_known() {
        for (condition, code, words) in [
            (Condition::ZeroReservedConcurrency, Some("429"), "Rate Exceeded."),
            (Condition::RecursionDepthExceeded, Some("400"), "recursive loop"),
            (Condition::EventAgeExceeded, None, "maximum age"),
            (Condition::RetriesExhausted, None, "attempts are used up"),
        ] {
            let values = values(&unanswered(condition));
            let found = values.iter().find(|(name, ..)| *name == "ErrorCode").map(|(_, _, value)| value.as_str());
            assert_eq!(found, code, "{condition:?}");
            assert!(values.last().unwrap().2.contains(words), "{values:?}");
        }
    }

    #[test]
    fn an_answer_of_another_status_gives_it() {
        let mut record = record(Condition::RetriesExhausted, "{}", "{}");
        record.response_context =
            Some(ResponseContext { status_code: 202, executed_version: "1".into(), function_error: None });
        assert_eq!(values(&record)[1].2, "202");
    }

    #[test]
    fn a_message_is_cut_after_1_kb_between_two_characters() {
        let of = |text: &str| message_of(&format!("{{\"errorMessage\":\"{text}\"}}"));
        assert_eq!(of(&"x".repeat(1_025)), "x".repeat(1_024));
        assert_eq!(of(&"é".repeat(600)), "é".repeat(512));
        assert_eq!(of(&format!("x{}", "€".repeat(400))), format!("x{}", "€".repeat(341)));
        assert_eq!(of(&"\\u0000".repeat(2_000)), "\u{fffd}".repeat(341));
    }

    #[test]
    fn a_message_is_never_empty_and_holds_nothing_that_queues_refuse() {
        assert_eq!(
            message_of("{\"errorMessage\":\"a\\u0000b\\u001bc\\ufffe\\td\\n\"}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}\td\n"
        );
        for answer in
            ["{\"errorMessage\":\"\",\"errorType\":\"E\"}", "{\"errorMessage\":7}", "\"boom\"", "null", "[1]", "{}"]
        {
            assert_eq!(message_of(answer), answer);
        }
    }

    #[test]
    fn the_event_of_a_batch_is_a_letter_too_and_no_event_is_none() {
        assert_eq!(
            Letter::of(&batch(Condition::RecordAgeExceeded)).unwrap().event,
            "{\"Records\":[{\"a\":  \"é\"},2]}"
        );
        let mut record = record(Condition::RetriesExhausted, "1", "1");
        record.subject = Subject::Invocation { request_payload: None, response_payload: None };
        assert_eq!(Letter::of(&record), None);
        let event = ExecutionRecord::embed(&Bytes::from("\"\u{fffe}\""));
        record.subject = Subject::Invocation { request_payload: event, response_payload: None };
        assert_eq!(Letter::of(&record).unwrap().event, "\"\\ufffe\"");
    }
}
