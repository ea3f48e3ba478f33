//! Who may call Lambda's API.
use std::fmt;

use pelton_core::Arn;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::section::Section;
use crate::wire;

/// Whose key it is that doesn't say it: AWS's own emulators have this account.
const DEFAULT_PRINCIPAL: &str = "arn:aws:iam::000000000000:root";
const ANY_ACTION: &str = "lambda:*";

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

/// Checks `Authentication`, which stands in the section under that name. `None` if something of it is wrong, now or
/// before. Nothing that is said of it shows an access key: the whole of it may be a secret in the wrong field.
pub(crate) fn check(wire: wire::Authentication, section: &mut Section<'_>) -> Option<Authentication> {
    let mut access_keys: Vec<AccessKey> = Vec::new();
    // Also those of keys that have a problem.
    let mut ids: Vec<(String, String)> = Vec::new();
    for (index, key) in wire.access_keys.into_iter().flatten().enumerate() {
        let path = format!("AccessKeys[{index}]");
        let Some(node) = section.node.at(&path) else { continue };
        let path = format!("{}.{path}", section.path);
        let mut section = Section { path: path.clone(), node, findings: section.findings };
        if let Some(id) = &key.access_key_id {
            match ids.iter().find(|(other, _)| other == id) {
                Some((_, first)) => {
                    let message = format!("{first} has the same AccessKeyId");
                    section.problem("AccessKeyId", message, "give each key an id of its own");
                }
                None => ids.push((id.clone(), path)),
            }
        }
        access_keys.extend(access_key(key, &mut section));
    }
    section.is_good().then_some(Authentication { access_keys })
}

fn access_key(wire: wire::AccessKey, section: &mut Section<'_>) -> Option<AccessKey> {
    if let Some(id) = &wire.access_key_id
        && !id.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
    {
        let message = "an access key's id has letters, digits and '_' alone";
        section.problem("AccessKeyId", message, "correct it; the secret belongs in SecretAccessKey");
    }
    if wire.secret_access_key.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
        section.problem("SecretAccessKey", "the secret is empty", "give the variable that it comes from a value");
    }
    let principal = principal(wire.principal.as_deref().unwrap_or(DEFAULT_PRINCIPAL), section);
    let actions = wire.actions.unwrap_or_else(|| vec![ANY_ACTION.to_owned()]);
    for (index, action) in actions.iter().enumerate() {
        if !is_action(action) {
            let message = format!("'{}' is no action of Lambda's", crate::problem::shortened(action));
            let fix = "write one such as lambda:InvokeFunction, or a pattern of several such as lambda:Get*";
            section.problem(&format!("Actions[{index}]"), message, fix);
        }
    }
    let (id, secret, principal) = (wire.access_key_id?, wire.secret_access_key?, principal?);
    section.is_good().then_some(AccessKey { id, secret, principal, actions })
}

fn principal(text: &str, section: &mut Section<'_>) -> Option<Principal> {
    if is_service(text) {
        return Some(Principal::Service(text.to_owned()));
    }
    match text.parse::<Arn>() {
        Ok(arn) if is_iam(&arn) => Some(Principal::Iam(arn)),
        _ => {
            let message = format!("'{}' is no principal", crate::problem::shortened(text));
            let fix = "write the ARN of an IAM user or role or of an account's root, such as \
                       arn:aws:iam::000000000000:user/me, or a service such as sns.amazonaws.com";
            section.problem("Principal", message, fix);
            None
        }
    }
}

fn is_iam(arn: &Arn) -> bool {
    let resource = arn.resource();
    let named = |kind: &str| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    arn.service() == "iam"
        && arn.region().is_empty()
        && !arn.account().is_empty()
        && (resource == "root" || named("user/") || named("role/"))
}

/// `sns.amazonaws.com`, `s3.us-east-1.amazonaws.com`, `events.amazonaws.com.cn`.
fn is_service(text: &str) -> bool {
    let name = text.strip_suffix(".cn").unwrap_or(text).strip_suffix(".amazonaws.com");
    let is_label = |label: &str| {
        let is_good =
            |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
        !label.is_empty() && label.chars().all(is_good)
    };
    name.is_some_and(|name| name.split('.').all(is_label))
}

/// `lambda:InvokeFunction`, `lambda:*`, `lambda:Get?unction*`.
fn is_action(text: &str) -> bool {
    text.strip_prefix("lambda:").is_some_and(|action| {
        !action.is_empty()
            && action.chars().all(|character| character.is_ascii_alphabetic() || "*?".contains(character))
    })
}
