//! Attribute values as DynamoDB writes them in JSON: `{"S":"text"}`.
use std::collections::HashMap;

use aws_sdk_dynamodbstreams::primitives::Blob;
use aws_sdk_dynamodbstreams::types::AttributeValue;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

/// The attributes of an item, or of a map in it. Sorted by name: the SDK has lost the service's order, and the same
/// record must always give the same text.
pub struct Attributes<'a>(pub &'a HashMap<String, AttributeValue>);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<(&String, &AttributeValue)> = self.0.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        serializer.collect_map(sorted.into_iter().map(|(name, value)| (name, Attribute(value))))
    }
}

struct Attribute<'a>(&'a AttributeValue);

impl Serialize for Attribute<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            AttributeValue::B(bytes) => map.serialize_entry("B", &Base64(bytes))?,
            AttributeValue::Bool(value) => map.serialize_entry("BOOL", value)?,
            AttributeValue::Bs(set) => map.serialize_entry("BS", &Binaries(set))?,
            AttributeValue::L(list) => map.serialize_entry("L", &List(list))?,
            AttributeValue::M(attributes) => map.serialize_entry("M", &Attributes(attributes))?,
            AttributeValue::N(number) => map.serialize_entry("N", number)?,
            AttributeValue::Ns(set) => map.serialize_entry("NS", set)?,
            AttributeValue::Null(value) => map.serialize_entry("NULL", value)?,
            AttributeValue::S(text) => map.serialize_entry("S", text)?,
            AttributeValue::Ss(set) => map.serialize_entry("SS", set)?,
            // Left out, the function would see an item that there never was.
            other => return Err(S::Error::custom(format!("an attribute is of a type that isn't known: {other:?}"))),
        }
        map.end()
    }
}

struct List<'a>(&'a [AttributeValue]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Attribute))
    }
}

struct Binaries<'a>(&'a [Blob]);

impl Serialize for Binaries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Base64))
    }
}

struct Base64<'a>(&'a Blob);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0.as_ref(), &STANDARD))
    }
}
