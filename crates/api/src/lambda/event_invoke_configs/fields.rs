//! The fields of a put or update, and what of them breaks AWS's model. Pure.
use std::time::Duration;

use pelton_core::EventInvokeConfig;
use serde_json::{Map, Value};

use super::super::error::ApiError;
use super::super::resource::is_arn;

const RETRIES: (i64, i64) = (0, 2);
const AGE: (i64, i64) =
    (EventInvokeConfig::SHORTEST_EVENT_AGE.as_secs() as i64, EventInvokeConfig::LONGEST_EVENT_AGE.as_secs() as i64);
const LONGEST_DESTINATION: usize = 350;
/// The pattern of AWS's model (spec 12.2); [`is_destination`] is the same by hand.
const PATTERN: &str = r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";

/// What a request sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub maximum_retry_attempts: Option<u32>,
    pub maximum_event_age: Option<Duration>,
    pub destinations: Option<Sides>,
}

/// `DestinationConfig`. `None`: the side isn't there; `Some(None)`: it is there, without a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sides {
    pub on_success: Option<Option<String>>,
    pub on_failure: Option<Option<String>>,
}

impl Fields {
    /// Reads the fields of a body. What breaks a constraint of AWS's model is added to `constraints`.
    pub fn read(fields: &Map<String, Value>, is_update: bool, constraints: &mut Vec<String>) -> Result<Self, ApiError> {
        let operation = if is_update { "UpdateFunctionEventInvokeConfig" } else { "PutFunctionEventInvokeConfig" };
        let known = ["DestinationConfig", "MaximumEventAgeInSeconds", "MaximumRetryAttempts"];
        refuse_unknown(fields, operation, &known)?;
        let age = number(fields, "MaximumEventAgeInSeconds", "maximumEventAgeInSeconds", AGE, constraints)?;
        let retries = number(fields, "MaximumRetryAttempts", "maximumRetryAttempts", RETRIES, constraints)?;
        let destinations = match fields.get("DestinationConfig") {
            None => None,
            Some(Value::Object(config)) => Some(Sides::read(config, constraints)?),
            Some(_) => return Err(ApiError::serialization("DestinationConfig: expected a map of fields.")),
        };
        Ok(Self {
            maximum_retry_attempts: retries.and_then(|retries| u32::try_from(retries).ok()),
            maximum_event_age: age.and_then(|age| u64::try_from(age).ok()).map(Duration::from_secs),
            destinations,
        })
    }

    /// Whether nothing is set. A side without a destination is a setting (spec 11.2).
    pub fn say_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Sides {
    fn read(config: &Map<String, Value>, constraints: &mut Vec<String>) -> Result<Self, ApiError> {
        refuse_unknown(config, "DestinationConfig", &["OnFailure", "OnSuccess"])?;
        Ok(Self {
            on_success: side(config, "OnSuccess", "onSuccess", constraints)?,
            on_failure: side(config, "OnFailure", "onFailure", constraints)?,
        })
    }
}

fn side(
    config: &Map<String, Value>,
    name: &str,
    member: &str,
    constraints: &mut Vec<String>,
) -> Result<Option<Option<String>>, ApiError> {
    let side = match config.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(side)) => side,
        Some(_) => {
            return Err(ApiError::serialization(format!("DestinationConfig.{name}: expected a map of fields.")));
        }
    };
    refuse_unknown(side, &format!("DestinationConfig.{name}"), &["Destination"])?;
    let destination = match side.get("Destination") {
        None | Some(Value::Null) => return Ok(Some(None)),
        Some(Value::String(destination)) => destination,
        Some(_) => {
            let message = format!("DestinationConfig.{name}.Destination: expected a text.");
            return Err(ApiError::serialization(message));
        }
    };
    let constraint = if destination.chars().count() > LONGEST_DESTINATION {
        Some(format!("Member must have length less than or equal to {LONGEST_DESTINATION}"))
    } else if is_destination(destination) {
        None
    } else {
        Some(format!("Member must satisfy regular expression pattern: {PATTERN}"))
    };
    if let Some(constraint) = constraint {
        let shown: String = destination.chars().take(LONGEST_DESTINATION).collect();
        constraints.push(format!(
            "Value '{shown}' at 'destinationConfig.{member}.destination' failed to satisfy constraint: {constraint}"
        ));
    }
    Ok(Some(Some(destination.clone()).filter(|destination| !destination.is_empty())))
}

fn number(
    fields: &Map<String, Value>,
    name: &str,
    member: &str,
    (least, most): (i64, i64),
    constraints: &mut Vec<String>,
) -> Result<Option<i64>, ApiError> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let is_whole = value.is_i64() || value.is_u64();
    if !is_whole {
        return Err(ApiError::serialization(format!("{name}: expected a whole number.")));
    }
    let number = value.as_i64().unwrap_or(i64::MAX);
    let constraint = match number {
        _ if number < least => format!("greater than or equal to {least}"),
        _ if number > most => format!("less than or equal to {most}"),
        _ => return Ok(Some(number)),
    };
    constraints.push(format!(
        "Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {constraint}"
    ));
    Ok(None)
}

fn refuse_unknown(fields: &Map<String, Value>, of: &str, known: &[&str]) -> Result<(), ApiError> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let name: String = name.chars().take(100).collect();
            Err(ApiError::invalid_parameter(format!("{name} is no field of {of}.")))
        }
    }
}

fn is_destination(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    if let Some(topic) = text.strip_prefix("kafka://") {
        let mut characters = topic.chars();
        let is_rest = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        return characters.next().is_some_and(|first| first != '.')
            && characters.clone().count() <= 248
            && characters.all(is_rest);
    }
    is_arn(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn destinations_are_read_as_awss_pattern_has_them() {
        for text in [
            "",
            "kafka://topic",
            "arn:aws:sqs:us-east-1:111111111111:q",
            "arn:aws-cn:s3:::bucket",
            "arn:aws:iam::111111111111:role/r",
            "arn:aws:lambda:us-gov-west-1:111111111111:function:f:live",
            "arn:aws:sqs:us-east-1:111111111111:",
        ] {
            assert!(is_destination(text), "{text}");
        }
        for text in [
            "q",
            "kafka://.topic",
            "kafka://",
            "arn:aws:sqs:us-east-1:1111:q",
            "arn:aws:sqs:nowhere:111111111111:q",
            "arn:aws::us-east-1:111111111111:q",
            "arn:other:sqs:us-east-1:111111111111:q",
            "arn:aws:sqs:us-east-1:111111111111",
        ] {
            assert!(!is_destination(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_fields_are_read_or_refused(
            retries in -3i64..6, age in -1i64..30_000, destination in "\\PC{0,20}|arn:aws:[a-z]{0,4}:[a-z0-9-]{0,10}:[0-9]{0,12}:[a-z]?",
        ) {
            let body = serde_json::json!({
                "MaximumRetryAttempts": retries, "MaximumEventAgeInSeconds": age,
                "DestinationConfig": { "OnSuccess": {}, "OnFailure": { "Destination": destination } },
            });
            let mut constraints = Vec::new();
            let fields = Fields::read(body.as_object().unwrap(), false, &mut constraints).unwrap();
            let wrong = usize::from(!(0..=2).contains(&retries)) + usize::from(!(60..=21_600).contains(&age));
            prop_assert_eq!(constraints.len(), wrong + usize::from(!is_destination(&destination)));
            prop_assert!(!fields.say_nothing());
        }
    }
}
