//! The shape of `Authentication`.
use schemars::JsonSchema;
use serde::Deserialize;

use crate::authentication::SecretAccessKey;

/// Whose requests Lambda's API takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Authentication {
    /// The keys that requests are signed with.
    #[schemars(required, length(min = 1))]
    pub access_keys: Option<Vec<AccessKey>>,
}

/// A key that requests are signed with, and what its holder may do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AccessKey {
    /// 16 to 128 letters, digits and `_`.
    #[schemars(required, length(min = 16, max = 128))]
    pub access_key_id: Option<String>,
    /// The secret: `${VARIABLE}`, so that it doesn't stand in the file.
    #[schemars(required)]
    pub secret_access_key: Option<SecretAccessKey>,
    /// Whose key it is, as resource-based policies name callers: the ARN of an IAM user or role or of an account's root, or
    /// a service such as `sns.amazonaws.com`.
    #[schemars(extend("default" = "arn:aws:iam::000000000000:root"))]
    pub principal: Option<String>,
    /// What its holder may do, in IAM's names and patterns, such as `lambda:InvokeFunction`.
    #[schemars(length(min = 1), extend("default" = ["lambda:*"]))]
    pub actions: Option<Vec<String>>,
}
