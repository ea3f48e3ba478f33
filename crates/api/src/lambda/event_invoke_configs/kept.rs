//! What is kept of a config, under which key, and how it is shown. Pure.
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::{Arn, DestinationArn, Document, EventInvokeConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::super::named::LATEST;
use super::super::view::seconds;

/// The documents' kind.
pub const KIND: &str = "event-invoke-config";
/// [`LATEST`] in a key, which has no `$`.
const LATEST_IN_KEYS: &str = ".LATEST";

/// What is kept of a config, in its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_retry_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_event_age_in_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    pub last_modified: Timestamp,
}

impl Kept {
    /// A config of the file.
    pub fn of(config: &EventInvokeConfig, last_modified: Timestamp) -> Self {
        let text = |destination: &Option<DestinationArn>| destination.as_ref().map(ToString::to_string);
        Self {
            maximum_retry_attempts: config.maximum_retry_attempts,
            maximum_event_age_in_seconds: config.maximum_event_age.map(|age| age.as_secs()),
            on_success: text(&config.on_success),
            on_failure: text(&config.on_failure),
            last_modified,
        }
    }

    pub fn read(document: &Document) -> Result<Self, ApiError> {
        serde_json::from_str(&document.text).map_err(|error| {
            tracing::error!(key = document.key, %error, "an event invoke config can't be read");
            ApiError::service(format!("The event invoke config {} can't be read: {error}", document.key))
        })
    }

    /// What it means. A destination that can't be used is an error: what it is for would be lost.
    pub fn config(&self) -> Result<EventInvokeConfig, String> {
        let destination = |text: &Option<String>| {
            text.as_ref().map(|text| text.parse::<DestinationArn>().map_err(|error| error.to_string())).transpose()
        };
        Ok(EventInvokeConfig {
            maximum_retry_attempts: self.maximum_retry_attempts,
            maximum_event_age: self.maximum_event_age_in_seconds.map(Duration::from_secs),
            on_success: destination(&self.on_success)?,
            on_failure: destination(&self.on_failure)?,
        })
    }
}

/// A config, and what it is of.
#[derive(Debug, Clone)]
pub struct Shown {
    arn: Arn,
    kept: Kept,
}

impl Shown {
    /// `arn` with the qualifier.
    pub fn of(arn: &Arn, kept: Kept) -> Self {
        Self { arn: arn.clone(), kept }
    }

    pub fn qualifier(&self) -> &str {
        id(&self.arn).1
    }

    /// As Lambda shows it (spec 11.1).
    pub fn view(&self) -> Value {
        let side = |to: &Option<String>| match to {
            Some(to) => json!({ "Destination": to }),
            None => json!({}),
        };
        let kept = &self.kept;
        let mut shown = Map::new();
        shown.insert("FunctionArn".into(), json!(self.arn.to_string()));
        shown.insert("LastModified".into(), seconds(kept.last_modified));
        let destinations = json!({ "OnSuccess": side(&kept.on_success), "OnFailure": side(&kept.on_failure) });
        shown.insert("DestinationConfig".into(), destinations);
        if let Some(attempts) = kept.maximum_retry_attempts {
            shown.insert("MaximumRetryAttempts".into(), json!(attempts));
        }
        if let Some(age) = kept.maximum_event_age_in_seconds {
            shown.insert("MaximumEventAgeInSeconds".into(), json!(age));
        }
        Value::Object(shown)
    }
}

/// The bare name and the qualifier of a function's ARN.
pub fn id(arn: &Arn) -> (&str, &str) {
    let path = arn.resource().strip_prefix("function:").unwrap_or(arn.resource());
    path.split_once(':').unwrap_or((path, LATEST))
}

/// The same function with another qualifier.
pub fn with_qualifier(arn: &Arn, qualifier: &str) -> Option<Arn> {
    let resource = format!("function:{}:{qualifier}", id(arn).0);
    Arn::new(arn.partition(), arn.service(), arn.region(), arn.account(), &resource).ok()
}

/// The key of a function's document.
pub fn kept_id(arn: &Arn) -> String {
    let (_, qualifier) = id(arn);
    let qualifier = if qualifier == LATEST { LATEST_IN_KEYS } else { qualifier };
    format!("{}{qualifier}", stem(arn))
}

/// The ARN that a key means, if it is one of this function, whatever its qualifier.
pub fn qualifier_of(arn: &Arn, key: &str) -> Option<Arn> {
    let qualifier = key.strip_prefix(&stem(arn))?;
    with_qualifier(arn, if qualifier == LATEST_IN_KEYS { LATEST } else { qualifier })
}

fn stem(arn: &Arn) -> String {
    format!("{}:{}:{}:", arn.account(), arn.region(), id(arn).0)
}
