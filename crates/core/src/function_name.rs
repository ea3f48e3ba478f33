//! The forms in which AWS lets a function be named.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Arn, ArnError};

/// A function as the user wrote it: `fn`, `fn:qualifier`, `account:function:fn[:qualifier]`, or a full ARN.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName {
    text: String,
    partition: Option<String>,
    region: Option<String>,
    account: Option<String>,
    name: String,
    qualifier: Option<String>,
}

/// Why a text names no function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionNameError {
    /// An ARN that can't be read.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// An ARN of something else.
    #[error("'{0}' is not the ARN of a Lambda function")]
    NotAFunction(String),
    /// A character or length that AWS refuses.
    #[error("'{0}' is no function name: 1 to 64 letters, digits, '-' and '_'")]
    Name(String),
    /// A version or alias that AWS refuses.
    #[error("'{0}' is no qualifier: $LATEST, a version number, or an alias of letters, digits, '-' and '_'")]
    Qualifier(String),
}

impl FunctionName {
    /// The bare name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `$LATEST`, a version or an alias, if one was written.
    pub fn qualifier(&self) -> Option<&str> {
        self.qualifier.as_deref()
    }

    /// What the user wrote.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The function's ARN, qualified exactly as far as the user wrote it (spec 2.3). What a bare name leaves out
    /// comes from the event source, which AWS requires to be in the same region.
    pub fn arn(&self, source: &Arn) -> Result<Arn, ArnError> {
        let resource = match &self.qualifier {
            Some(qualifier) => format!("function:{}:{qualifier}", self.name),
            None => format!("function:{}", self.name),
        };
        Arn::new(
            self.partition.as_deref().unwrap_or(source.partition()),
            "lambda",
            self.region.as_deref().unwrap_or(source.region()),
            self.account.as_deref().unwrap_or(source.account()),
            &resource,
        )
    }
}

impl FromStr for FunctionName {
    type Err = FunctionNameError;

    fn from_str(text: &str) -> Result<Self, FunctionNameError> {
        let mut named = Self {
            text: text.to_owned(),
            partition: None,
            region: None,
            account: None,
            name: String::new(),
            qualifier: None,
        };
        let path = if text.starts_with("arn:") {
            let arn: Arn = text.parse()?;
            let function = arn.resource().strip_prefix("function:");
            let (Some(path), "lambda", false) = (function, arn.service(), arn.account().is_empty()) else {
                return Err(FunctionNameError::NotAFunction(text.into()));
            };
            named.partition = Some(arn.partition().into());
            named.region = Some(arn.region().into());
            named.account = Some(arn.account().into());
            path.to_owned()
        } else if let Some((account, path)) = text.split_once(":function:") {
            if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(ArnError::Account(account.into()).into());
            }
            named.account = Some(account.into());
            path.to_owned()
        } else {
            text.to_owned()
        };
        let (name, qualifier) = match path.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (path.as_str(), None),
        };
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_name_character) {
            return Err(FunctionNameError::Name(name.into()));
        }
        if let Some(qualifier) = qualifier {
            let valid = qualifier == "$LATEST"
                || (!qualifier.is_empty() && qualifier.len() <= 128 && qualifier.chars().all(is_name_character));
            if !valid {
                return Err(FunctionNameError::Qualifier(qualifier.into()));
            }
        }
        named.name = name.into();
        named.qualifier = qualifier.map(str::to_owned);
        Ok(named)
    }
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-' || character == '_'
}

impl fmt::Display for FunctionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl TryFrom<String> for FunctionName {
    type Error = FunctionNameError;

    fn try_from(text: String) -> Result<Self, FunctionNameError> {
        text.parse()
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_gives_the_arn_that_aws_stores() {
        let queue: Arn = "arn:aws:sqs:us-east-1:111111111111:q".parse().unwrap();
        let stem = "arn:aws:lambda:us-east-1:111111111111:function:";
        for (written, stored) in [
            ("fn", "fn"),
            ("fn:$LATEST", "fn:$LATEST"),
            ("fn:1", "fn:1"),
            ("fn:myalias", "fn:myalias"),
            ("111111111111:function:fn", "fn"),
            ("111111111111:function:fn:2", "fn:2"),
            ("arn:aws:lambda:us-east-1:111111111111:function:fn", "fn"),
            ("arn:aws:lambda:us-east-1:111111111111:function:fn:1", "fn:1"),
            ("arn:aws:lambda:us-east-1:111111111111:function:fn:myalias", "fn:myalias"),
        ] {
            let name: FunctionName = written.parse().unwrap();
            assert_eq!(name.arn(&queue).unwrap().to_string(), format!("{stem}{stored}"), "{written}");
            assert_eq!(name.name(), "fn");
        }
    }

    #[test]
    fn refuses_what_names_no_function() {
        for text in [
            "",
            "a b",
            "fn:",
            "fn:$latest",
            "fn:1:2",
            "arn:aws:sqs:us-east-1:111111111111:fn",
            "arn:aws:lambda:us-east-1::function:fn",
            "12:function:fn",
        ] {
            assert!(text.parse::<FunctionName>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}|(arn:aws:lambda:us-east-1:[0-9]{11,12}:function:)?[a-z$:]{0,20}") {
            if let Ok(name) = text.parse::<FunctionName>() {
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
