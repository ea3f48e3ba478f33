//! A stream record as the function sees it: one element of `Records`, in AWS's key order (spec 3.3).
use aws_sdk_dynamodbstreams::types::{Identity, Record, StreamRecord};
use bytes::Bytes;
use pelton_core::Arn;
use serde::Serialize;

use crate::attribute::Attributes;

#[cfg(test)]
mod tests;

/// The record's element of `Records`, as JSON. Fails for an attribute of a type that DynamoDB has got since.
pub fn event(record: &Record, stream: &Arn) -> Result<Bytes, serde_json::Error> {
    let element = Element {
        event_id: record.event_id(),
        event_name: record.event_name().map(|name| name.as_str()),
        event_version: record.event_version().unwrap_or("1.1"),
        event_source: record.event_source().unwrap_or("aws:dynamodb"),
        aws_region: record.aws_region().unwrap_or(stream.region()),
        dynamodb: record.dynamodb().map(Body::from),
        user_identity: record.user_identity().map(UserIdentity::from),
        event_source_arn: stream,
    };
    serde_json::to_vec(&element).map(Bytes::from)
}

/// The item's key in a text that is the same for all records of the item, and of no other item.
pub fn order_key(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(&record.dynamodb().and_then(StreamRecord::keys).map(Attributes))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Element<'a> {
    #[serde(rename = "eventID", skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<&'a str>,
    event_version: &'a str,
    event_source: &'a str,
    aws_region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamodb: Option<Body<'a>>,
    /// Only where DynamoDB itself has deleted the item, at the end of its time to live.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_identity: Option<UserIdentity<'a>>,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a Arn,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    /// Always with a fraction, be it `.0`: functions in typed languages read a float.
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_creation_date_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Attributes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_image: Option<Attributes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_image: Option<Attributes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_view_type: Option<&'a str>,
}

impl<'a> From<&'a StreamRecord> for Body<'a> {
    fn from(body: &'a StreamRecord) -> Self {
        Self {
            approximate_creation_date_time: body.approximate_creation_date_time().map(|time| time.as_secs_f64()),
            keys: body.keys().map(Attributes),
            new_image: body.new_image().map(Attributes),
            old_image: body.old_image().map(Attributes),
            sequence_number: body.sequence_number(),
            size_bytes: body.size_bytes(),
            stream_view_type: body.stream_view_type().map(|view| view.as_str()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
}

impl<'a> From<&'a Identity> for UserIdentity<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self { principal_id: identity.principal_id(), r#type: identity.r#type() }
    }
}
