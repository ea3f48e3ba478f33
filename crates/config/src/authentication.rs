//! Who may call Lambda's API.
use std::fmt;

use pelton_core::Arn;
use schemars::JsonSchema;
use serde::Deserialize;

/// The callers that Lambda's API knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// `AccessKeys`: at least one. Ids are unique.
    pub access_keys: Vec<AccessKey>,
}

/// A key that requests are signed with, and what its holder may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// `AccessKeyId`: 16..=128 letters, digits and `_`.
    pub id: String,
    /// `SecretAccessKey`.
    pub secret: SecretAccessKey,
    /// `Principal`; default the root of the account 000000000000.
    pub principal: Principal,
    /// `Actions`: IAM's patterns of actions, such as `lambda:*` and `lambda:Invoke*`; default `lambda:*`. At least one.
    pub actions: Vec<String>,
}

/// Whose key it is, as resource-based policies name callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// `arn:aws:iam::ACCOUNT:root`, a user or a role.
    Iam(Arn),
    /// A service, such as `sns.amazonaws.com`.
    Service(String),
}

/// The secret half of an access key. `Debug` doesn't show it.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretAccessKey(String);

impl SecretAccessKey {
    /// The secret itself: never to be shown, logged or kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretAccessKey {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for SecretAccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}
