//! The filters of one mapping on the records of its source.
use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::{Json, Mentioned, Scalar};
use crate::explain::{Explanation, Trace};
use crate::mend::mend;
use crate::pattern::{Pattern, PatternError};
use crate::subject::{Payload, Subject};

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

    /// Whether some filter lets the event through. What can't be read as JSON doesn't match. In a string, half a
    /// surrogate pair, or bytes that are no UTF-8, count as U+FFFD.
    pub fn matches(&self, event: &[u8]) -> bool {
        if self.is_empty() {
            return true;
        }
        self.with_subject(event, |subject| {
            self.0.patterns.iter().any(|pattern| subject.matches(pattern, &Trace::off()))
        })
        .unwrap_or(false)
    }

    /// As [`Self::matches`], with what decided.
    pub fn explain(&self, event: &[u8]) -> Result<Explanation, EventError> {
        self.with_subject(event, |subject| {
            let decide = |pattern: &Pattern| {
                let trace = Trace::on();
                let matched = subject.matches(pattern, &trace);
                (matched, trace.into_findings())
            };
            Explanation::of(self.0.patterns.iter().map(decide).collect())
        })
    }

    fn with_subject<T>(&self, event: &[u8], decide: impl FnOnce(&Subject<'_, '_>) -> T) -> Result<T, EventError> {
        let compiled = &*self.0;
        let mended;
        let json = match compiled.mentioned.read(event) {
            Ok(json) => json,
            Err(error) => {
                mended = mend(event).ok_or(EventError::Json(error))?;
                compiled.mentioned.read(&mended).map_err(EventError::Json)?
            }
        };
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
        let mended;
        let json = match (&bytes, compiled.in_payload.fields.is_empty()) {
            (Some(bytes), false) => match compiled.in_payload.read(bytes) {
                Ok(json) => Some(json),
                Err(_) => {
                    mended = mend(bytes);
                    mended.as_deref().and_then(|bytes| compiled.in_payload.read(bytes).ok())
                }
            },
            _ => None,
        };
        let text = text.map(|text| Json::Scalar(Scalar::Text(Cow::Borrowed(text))));
        Ok(decide(&Subject { record, payload: Some(Payload { name, text: text.as_ref(), json: json.as_ref() }) }))
    }
}
