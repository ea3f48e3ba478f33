//! Amazon Resource Names.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `arn:partition:service:region:account:resource`. Region and account may be empty (`arn:aws:s3:::bucket`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn {
    partition: String,
    service: String,
    region: String,
    account: String,
    resource: String,
}

/// Why a text is no ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// The text doesn't start with `arn:`.
    #[error("an ARN starts with 'arn:'")]
    Prefix,
    /// Fewer than six parts.
    #[error("an ARN has six parts: arn:partition:service:region:account:resource")]
    Parts,
    /// A part that must be present is empty.
    #[error("the {0} of the ARN is empty")]
    Empty(&'static str),
    /// The account id isn't twelve digits.
    #[error("the account id '{0}' isn't twelve digits")]
    Account(String),
    /// White space or a control character inside the ARN.
    #[error("an ARN holds no white space or control characters")]
    Character,
}

impl Arn {
    /// Puts an ARN together from parts that are known to be good.
    pub fn new(partition: &str, service: &str, region: &str, account: &str, resource: &str) -> Result<Self, ArnError> {
        format!("arn:{partition}:{service}:{region}:{account}:{resource}").parse()
    }

    /// `aws`, `aws-cn`, …
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// `sqs`, `lambda`, …
    pub fn service(&self) -> &str {
        &self.service
    }

    /// `us-east-1`; empty for global resources.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Twelve digits; empty for S3 buckets.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Everything after the account, colons included.
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let rest = text.strip_prefix("arn:").ok_or(ArnError::Prefix)?;
        if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
            return Err(ArnError::Character);
        }
        let mut parts = rest.splitn(5, ':');
        let mut part = || parts.next().map(str::to_owned).ok_or(ArnError::Parts);
        let arn = Self { partition: part()?, service: part()?, region: part()?, account: part()?, resource: part()? };
        for (name, value) in [("partition", &arn.partition), ("service", &arn.service), ("resource", &arn.resource)] {
            if value.is_empty() {
                return Err(ArnError::Empty(name));
            }
        }
        let account_is_valid = arn.account.is_empty()
            || (arn.account.len() == 12 && arn.account.bytes().all(|byte| byte.is_ascii_digit()));
        if !account_is_valid {
            return Err(ArnError::Account(arn.account));
        }
        Ok(arn)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(formatter, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl TryFrom<String> for Arn {
    type Error = ArnError;

    fn try_from(text: String) -> Result<Self, ArnError> {
        text.parse()
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_parts() {
        let arn: Arn = "arn:aws:sqs:us-east-1:000000000000:orders.fifo".parse().unwrap();
        assert_eq!((arn.service(), arn.region(), arn.resource()), ("sqs", "us-east-1", "orders.fifo"));
        let arn: Arn = "arn:aws:lambda:eu-west-1:123456789012:function:work:live".parse().unwrap();
        assert_eq!(arn.resource(), "function:work:live");
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("", ArnError::Prefix),
            ("orders", ArnError::Prefix),
            ("arn:aws:sqs", ArnError::Parts),
            ("arn:aws:sqs:us-east-1:000000000000:", ArnError::Empty("resource")),
            ("arn::sqs:us-east-1:000000000000:q", ArnError::Empty("partition")),
            ("arn:aws:sqs:us-east-1:12:q", ArnError::Account("12".into())),
            ("arn:aws:sqs:us-east-1:000000000000:a b", ArnError::Character),
        ] {
            assert_eq!(text.parse::<Arn>(), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_prints_what_it_read(text in "(arn:)?[a-z0-9:*/ .-]{0,40}|\\PC{0,30}") {
            if let Ok(arn) = text.parse::<Arn>() {
                prop_assert_eq!(arn.to_string(), text);
            }
        }
    }
}
