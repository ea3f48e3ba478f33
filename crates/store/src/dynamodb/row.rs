//! The attributes of a row.
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use pelton_core::StoreError;
use serde::de::DeserializeOwned;

use super::key::{Key, ROW, SCOPE};
use crate::refusal::unreadable;

/// A row, or some attributes of one.
#[derive(Debug, Clone, Default)]
pub struct Row(pub HashMap<String, AttributeValue>);

impl Row {
    fn whose(&self) -> &str {
        self.text(ROW).unwrap_or("a row")
    }

    fn shown(&self, name: &str) -> String {
        self.0.get(name).map(|value| format!("{value:?}")).unwrap_or_default()
    }

    pub fn key(&self) -> Result<Key, StoreError> {
        match (self.text(SCOPE), self.text(ROW)) {
            (Some(scope), Some(row)) => Ok(Key { scope: scope.into(), row: row.into() }),
            _ => Err(unreadable("a row", "key", &self.shown(ROW))),
        }
    }

    /// What follows the prefix in the row's key.
    pub fn name(&self, prefix: &str) -> Result<&str, StoreError> {
        let name = self.text(ROW).and_then(|row| row.strip_prefix(prefix));
        name.ok_or_else(|| unreadable("a row", "key", &self.shown(ROW)))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    /// Zero where there is none, as DynamoDB's ADD has it.
    pub fn number(&self, name: &str) -> Result<u64, StoreError> {
        let Some(value) = self.0.get(name) else { return Ok(0) };
        let number = value.as_n().ok().and_then(|digits| digits.parse().ok());
        number.ok_or_else(|| unreadable(self.whose(), name, &self.shown(name)))
    }

    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        let parsed = self.text(name).and_then(|text| serde_json::from_str(text).ok());
        parsed.ok_or_else(|| unreadable(self.whose(), name, &self.shown(name)))
    }
}

pub fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
