//! The filters of one mapping on the records of its source.
use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::{Json, Mentioned, Scalar};
use crate::explain::{Explanation, Trace};
use crate::pattern::{Fields, Leaf, Pattern, PatternError, Rule};
use crate::test::Test;

/// What of a record is decoded before it is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decoding {
    /// Nothing.
    #[default]
    AsGiven,
    /// An SQS message as the function sees it. `body` is a string; where a pattern has an object there, it is read as
    /// JSON, and a body that is no JSON doesn't match.
    Sqs,
    /// A Kinesis record as the function sees it. Patterns are about its `kinesis` object, whose `data` is decoded from
    /// base64 and then treated as `body` is in SQS.
    Kinesis,
    /// A DynamoDB record as the function sees it: nothing is decoded.
    DynamoDb,
}

impl Decoding {
    fn payload(self) -> Option<&'static str> {
        match self {
            Self::AsGiven | Self::DynamoDb => None,
            Self::Sqs => Some("body"),
            Self::Kinesis => Some("data"),
        }
    }
}

/// Filters of which any one lets a record through. None at all let every record through.
#[derive(Debug, Clone, Default)]
pub struct Filters(Arc<Compiled>);

#[derive(Debug, Default)]
struct Compiled {
    texts: Vec<String>,
    patterns: Vec<Pattern>,
    decoding: Decoding,
    mentioned: Mentioned,
    /// What is mentioned inside the payload.
    in_payload: Mentioned,
}

impl PartialEq for Filters {
    fn eq(&self, other: &Self) -> bool {
        self.0.texts == other.0.texts && self.0.decoding == other.0.decoding
    }
}

/// Why an event can't be matched.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or nested too deep where a filter looks: line and column are in the text.
    #[error("the event is no JSON, or nests more than 128 levels deep where a filter looks: {0}")]
    Json(serde_json::Error),
    /// A Kinesis record without `kinesis`.
    #[error("the event is no Kinesis record: it has no 'kinesis' object")]
    NoKinesis,
}

impl Filters {
    /// Compiles patterns. An error says which one, from 0.
    pub fn compile(patterns: &[impl AsRef<str>], decoding: Decoding) -> Result<Self, (usize, PatternError)> {
        let texts: Vec<String> = patterns.iter().map(|text| text.as_ref().to_owned()).collect();
        let compiled = texts.iter().enumerate().map(|(i, text)| Pattern::compile(text).map_err(|error| (i, error)));
        let patterns = compiled.collect::<Result<Vec<Pattern>, _>>()?;
        let mut record = Mentioned::default();
        patterns.iter().for_each(|pattern| record.add(&pattern.rule));
        let in_payload = decoding.payload().and_then(|name| record.get(name)).cloned().unwrap_or_default();
        let mut mentioned = Mentioned::default();
        match decoding {
            Decoding::Kinesis => *mentioned.field("kinesis") = record,
            _ => mentioned = record,
        }
        Ok(Self(Arc::new(Compiled { texts, patterns, decoding, mentioned, in_payload })))
    }

    /// Whether there is no filter, so that every record passes.
    pub fn is_empty(&self) -> bool {
        self.0.patterns.is_empty()
    }

    /// The patterns as they were written.
    pub fn texts(&self) -> &[String] {
        &self.0.texts
    }

    /// Whether some filter lets the event through. What can't be read as JSON doesn't match.
    pub fn matches(&self, event: &[u8]) -> bool {
        if self.is_empty() {
            return true;
        }
        self.with_subject(event, |subject| {
            self.0
                .patterns
                .iter()
                .any(|pattern| subject.fields(&pattern.rule, Some(subject.record), true, &Trace::off()))
        })
        .unwrap_or(false)
    }

    /// As [`Self::matches`], with what decided.
    pub fn explain(&self, event: &[u8]) -> Result<Explanation, EventError> {
        self.with_subject(event, |subject| {
            let decide = |pattern: &Pattern| {
                let trace = Trace::on();
                let matched = subject.fields(&pattern.rule, Some(subject.record), true, &trace);
                (matched, trace.into_findings())
            };
            Explanation::of(self.0.patterns.iter().map(decide).collect())
        })
    }

    fn with_subject<T>(&self, event: &[u8], decide: impl FnOnce(&Subject<'_, '_>) -> T) -> Result<T, EventError> {
        let compiled = &*self.0;
        let json = compiled.mentioned.read(event).map_err(EventError::Json)?;
        let record = match compiled.decoding {
            Decoding::Kinesis => json.get("kinesis").ok_or(EventError::NoKinesis)?,
            _ => &json,
        };
        let Some(name) = compiled.decoding.payload() else {
            return Ok(decide(&Subject { record, payload: None }));
        };
        let bytes: Option<Cow<'_, [u8]>> = match (record.get(name), compiled.decoding) {
            (Some(Json::Scalar(Scalar::Text(text))), Decoding::Kinesis) => {
                STANDARD.decode(&**text).ok().map(Cow::Owned)
            }
            (Some(Json::Scalar(Scalar::Text(text))), _) => Some(Cow::Borrowed(text.as_bytes())),
            _ => None,
        };
        let text = bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let json = match (&bytes, compiled.in_payload.fields.is_empty()) {
            (Some(bytes), false) => compiled.in_payload.read(bytes).ok(),
            _ => None,
        };
        let text = text.map(|text| Json::Scalar(Scalar::Text(Cow::Borrowed(text))));
        Ok(decide(&Subject { record, payload: Some(Payload { name, text: text.as_ref(), json: json.as_ref() }) }))
    }
}

/// What patterns are matched against.
struct Subject<'s, 'e> {
    record: &'s Json<'e>,
    payload: Option<Payload<'s, 'e>>,
}

struct Payload<'s, 'e> {
    name: &'static str,
    text: Option<&'s Json<'e>>,
    /// `None` also where nothing looks inside.
    json: Option<&'s Json<'e>>,
}

impl<'s, 'e> Subject<'s, 'e> {
    /// Whether an object satisfies what is asked of its fields. Of a list, one element must satisfy all of it.
    fn fields(&self, rule: &Fields, json: Option<&Json<'e>>, is_root: bool, trace: &Trace) -> bool {
        if let Some(Json::List(items)) = json
            && !items.is_empty()
        {
            return items.iter().any(|item| self.fields(rule, Some(item), is_root, trace));
        }
        let field = |(name, rule): &(String, Rule)| {
            let payload = self.payload.as_ref().filter(|payload| is_root && payload.name == name);
            match (rule, payload) {
                (Rule::Leaf(leaf), Some(payload)) => self.leaf(leaf, payload.text, trace),
                (Rule::Leaf(leaf), None) => self.leaf(leaf, json.and_then(|json| json.get(name)), trace),
                (Rule::Object(inner), Some(payload)) => match payload.json {
                    Some(json) => self.fields(inner, Some(json), false, trace),
                    None => {
                        trace.no_json(name);
                        false
                    }
                },
                (Rule::Object(inner), None) => self.fields(inner, json.and_then(|json| json.get(name)), false, trace),
            }
        };
        let choice = |choices: &Vec<Fields>| choices.iter().any(|rule| self.fields(rule, json, is_root, trace));
        rule.fields.iter().all(field) && rule.choices.iter().all(choice)
    }

    fn leaf(&self, leaf: &Leaf, json: Option<&Json<'e>>, trace: &Trace) -> bool {
        let matched = leaf.tests.iter().any(|test| match (test, json) {
            (Test::Absent, _) => !self.has_value_at(&leaf.path),
            (_, None) => false,
            (test, Some(json)) => json.any_scalar(&mut |scalar| test.matches(scalar)),
        });
        trace.leaf(leaf, json, matched);
        matched
    }

    fn has_value_at(&self, path: &[String]) -> bool {
        match (&self.payload, path) {
            (Some(payload), [name, inside @ ..]) if payload.name == name && !inside.is_empty() => {
                payload.json.is_some_and(|json| json.has_value_at(inside))
            }
            _ => self.record.has_value_at(path),
        }
    }
}
