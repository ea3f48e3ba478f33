//! A policy as AWS writes it: the same JSON in the store and in answers, with the same order of keys.
use pelton_core::Arn;
use serde::{Deserialize, Serialize};

use super::super::error::ApiError;

/// What a policy's JSON may measure, in bytes.
const LONGEST: usize = 20_480;

/// The resource-based policy of a function, or of an alias of one. Nothing in it denies anything. A field that isn't
/// known is an error: it may narrow what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    version: Version,
    id: String,
    #[serde(rename = "Statement")]
    pub statements: Vec<Statement>,
}

/// The language that a policy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "2012-10-17")]
    Of2012,
}

/// Something that somebody may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    /// Its name among those of the policy.
    pub sid: String,
    pub effect: Effect,
    pub principal: Grantee,
    /// `lambda:InvokeFunction`, `lambda:*` or `*`.
    pub action: String,
    /// The function's ARN, with the qualifier that the policy is of.
    pub resource: Arn,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    Allow,
}

/// Who may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grantee {
    /// A service by its name, such as `sns.amazonaws.com`.
    Service(String),
    /// A user or a role; by the root of an account, all of its.
    #[serde(rename = "AWS")]
    Iam(Arn),
    /// Anybody, `*`.
    #[serde(untagged)]
    Anybody(Star),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Star {
    #[serde(rename = "*")]
    Star,
}

/// On whose behalf the caller must call. Everything that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Condition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_equals: Option<SourceAccount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn_like: Option<SourceArn>,
}

/// The account must be this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceAccount {
    #[serde(rename = "AWS:SourceAccount")]
    pub account: String,
}

/// The ARN must be like this one, in which `*` and `?` stand for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceArn {
    #[serde(rename = "AWS:SourceArn")]
    pub pattern: String,
}

impl Default for Policy {
    /// Allows nothing.
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl Policy {
    pub fn of(statements: Vec<Statement>) -> Self {
        Self { version: Version::Of2012, id: "default".into(), statements }
    }

    /// Its JSON. One that is too long is refused in AWS's words.
    pub fn text(&self) -> Result<String, ApiError> {
        let text = json(self)?;
        match text.len() {
            length if length > LONGEST => Err(ApiError::policy_too_long(format!(
                "The final policy size ({length}) is bigger than the limit ({LONGEST})."
            ))),
            _ => Ok(text),
        }
    }
}

impl Statement {
    /// Its JSON.
    pub fn text(&self) -> Result<String, ApiError> {
        json(self)
    }
}

fn json(value: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|error| ApiError::service(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As recorded from AWS.
    const RECORDED: &str = r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:111111111111:function:f","Condition":{"StringEquals":{"AWS:SourceAccount":"111111111111"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"}}},{"Sid":"all","Effect":"Allow","Principal":"*","Action":"lambda:*","Resource":"arn:aws:lambda:us-east-1:111111111111:function:f"},{"Sid":"iam","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"*","Resource":"arn:aws:lambda:us-east-1:111111111111:function:f"}]}"#;

    #[test]
    fn a_policy_is_written_as_aws_writes_it() {
        let policy: Policy = serde_json::from_str(RECORDED).unwrap();
        assert_eq!(policy.text().unwrap(), RECORDED);
        let [service, anybody, iam] = &policy.statements[..] else { panic!("{policy:?}") };
        assert_eq!(service.principal, Grantee::Service("s3.amazonaws.com".into()));
        assert_eq!(anybody.principal, Grantee::Anybody(Star::Star));
        assert_eq!(iam.principal, Grantee::Iam("arn:aws:iam::111111111111:root".parse().unwrap()));
    }

    #[test]
    fn a_policy_that_says_more_than_is_known_is_not_read() {
        for (known, unknown) in [
            (r#""Effect":"Allow""#, r#""Effect":"Deny""#),
            (r#""Effect":"Allow""#, r#""Effect":"Allow","NotResource":"x""#),
            ("AWS:SourceAccount", "aws:PrincipalOrgID"),
            ("ArnLike", "ArnNotLike"),
            ("2012-10-17", "2008-10-17"),
            (r#""Principal":"*""#, r#""Principal":"?""#),
        ] {
            let text = RECORDED.replacen(known, unknown, 1);
            assert_ne!(text, RECORDED);
            assert!(serde_json::from_str::<Policy>(&text).is_err(), "{text}");
        }
    }
}
