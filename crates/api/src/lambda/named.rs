//! The function that a request names: in its path, in any of AWS's forms, and with `Qualifier`. Pure.
use pelton_core::Arn;

use super::error::ApiError;
use super::functions::{Functions, Place};
use super::resource::is_region;

/// The patterns of AWS's model; [`parse`] and [`is_qualifier`] are the same by hand.
const NAME_PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
const QUALIFIER_PATTERN: &str = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+";
const LONGEST_NAME: usize = 256;
const LONGEST_QUALIFIER: usize = 128;
/// The qualifier of whoever gives none.
pub const LATEST: &str = "$LATEST";

/// A function, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    partition: Option<String>,
    region: Option<String>,
    account: Option<String>,
    /// The bare name.
    pub name: String,
    of_name: Option<String>,
    of_query: Option<String>,
}

impl Named {
    /// Reads the name of a path and the parameters of its query. What breaks a constraint of AWS's model is added to
    /// `constraints`.
    pub fn read(text: &str, query: &str, constraints: &mut Vec<String>) -> Option<Self> {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let qualifier = pairs.find(|(name, _)| name == "Qualifier").map(|(_, value)| value.into_owned());
        let qualifier = qualifier.filter(|qualifier| !qualifier.is_empty());
        let named = parse(text);
        if named.is_none() {
            constraints.push(broken(text, "functionName", LONGEST_NAME, NAME_PATTERN));
        }
        match &qualifier {
            Some(qualifier) if !is_qualifier(qualifier) => {
                constraints.push(broken(qualifier, "qualifier", LONGEST_QUALIFIER, QUALIFIER_PATTERN));
                None
            }
            _ => Some(Self { of_query: qualifier, ..named? }),
        }
    }

    /// Refuses what AWS refuses next: another Region, and two qualifiers.
    pub fn check(&self, place: &Place) -> Result<(), ApiError> {
        if let Some(other) = self.region.as_ref().filter(|region| **region != place.region) {
            return Err(ApiError::not_found(format!(
                "Functions from '{other}' are not reachable in this region ('{}')",
                place.region
            )));
        }
        match (&self.of_name, &self.of_query) {
            (Some(of_name), Some(of_query)) if of_name != of_query => Err(ApiError::invalid_parameter(
                "The derived qualifier from the function name does not match the specified qualifier.",
            )),
            _ => Ok(()),
        }
    }

    /// Its qualifier, if it was given one.
    pub fn given_qualifier(&self) -> Option<&str> {
        self.of_name.as_deref().or(self.of_query.as_deref())
    }

    /// Its qualifier.
    pub fn qualifier(&self) -> &str {
        self.given_qualifier().unwrap_or(LATEST)
    }

    /// Its ARN with the qualifier.
    pub fn arn(&self, functions: &dyn Functions) -> Result<Arn, ApiError> {
        self.with(functions, Some(self.qualifier()))
    }

    /// Its ARN with the qualifier it was given, if any.
    pub fn given_arn(&self, functions: &dyn Functions) -> Result<Arn, ApiError> {
        self.with(functions, self.given_qualifier())
    }

    /// Its ARN without a qualifier.
    pub fn bare_arn(&self, functions: &dyn Functions) -> Result<Arn, ApiError> {
        self.with(functions, None)
    }

    fn with(&self, functions: &dyn Functions, qualifier: Option<&str>) -> Result<Arn, ApiError> {
        let place = functions.place();
        let partition = self.partition.as_deref().unwrap_or(&place.partition);
        let account = self.account.as_deref().unwrap_or(&place.account);
        let resource = match qualifier {
            Some(qualifier) => format!("function:{}:{qualifier}", self.name),
            None => format!("function:{}", self.name),
        };
        Arn::new(partition, "lambda", &place.region, account, &resource)
            .map(|arn| at_home(arn, functions))
            .map_err(|error| ApiError::invalid_parameter(error.to_string()))
    }
}

/// A local function is of this account, whichever it was asked for by.
pub fn at_home(arn: Arn, functions: &dyn Functions) -> Arn {
    let name = arn.resource().split(':').nth(1).unwrap_or_default();
    if !functions.is_local(name) {
        return arn;
    }
    let Place { partition, region, account } = functions.place();
    Arn::new(&partition, "lambda", &region, &account, arn.resource()).unwrap_or(arn)
}

fn broken(value: &str, field: &str, longest: usize, pattern: &str) -> String {
    let shown: String = value.chars().take(longest).collect();
    let constraint = match value.chars().count() {
        0 => "Member must have length greater than or equal to 1".to_owned(),
        length if length > longest => format!("Member must have length less than or equal to {longest}"),
        _ => format!("Member must satisfy regular expression pattern: {pattern}"),
    };
    format!("Value '{shown}' at '{field}' failed to satisfy constraint: {constraint}")
}

/// Reads what [`NAME_PATTERN`] matches, its optional parts from left to right.
fn parse(text: &str) -> Option<Named> {
    if text.len() > LONGEST_NAME {
        return None;
    }
    let mut parts: &[&str] = &text.split(':').collect::<Vec<_>>();
    let mut partition = None;
    if let ["arn", of_arn, "lambda", rest @ ..] = parts {
        let is_partition = |text: &str| {
            let rest = text.strip_prefix("aws");
            rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'))
        };
        if !of_arn.is_empty() && !is_partition(of_arn) {
            return None;
        }
        partition = Some((*of_arn).to_owned()).filter(|partition| !partition.is_empty());
        parts = rest;
    }
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let region = optional(&mut parts, is_region);
    let account = optional(&mut parts, is_account);
    optional(&mut parts, |text| text == "function");
    let (name, of_name) = match parts {
        [name] => (*name, None),
        [name, qualifier] => (*name, Some((*qualifier).to_owned())),
        _ => return None,
    };
    let is_good = is_word(name, b"-_.")
        && of_name.as_deref().is_none_or(|it| it == LATEST || it == "$LATEST.PUBLISHED" || is_word(it, b"-_"));
    is_good.then(|| Named { partition, region, account, name: name.to_owned(), of_name, of_query: None })
}

/// Takes the first part if it is one that may stand there, and another one follows.
fn optional(parts: &mut &[&str], is_it: impl Fn(&str) -> bool) -> Option<String> {
    match *parts {
        [first, rest @ ..] if !rest.is_empty() && is_it(first) => {
            *parts = rest;
            Some((*first).to_owned())
        }
        _ => None,
    }
}

fn is_word(text: &str, more: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

fn is_qualifier(text: &str) -> bool {
    text.len() <= LONGEST_QUALIFIER && (text == "$LATEST.PUBLISHED" || is_word(text, b"-_$"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Region, account, name and qualifier, as far as they are there.
    fn parts(text: &str) -> Option<String> {
        let Named { region, account, name, of_name, .. } = parse(text)?;
        let parts = [region, account, Some(name), of_name].map(|part| part.unwrap_or_else(|| "-".to_owned()));
        Some(parts.join(" "))
    }

    #[test]
    fn every_form_of_a_name_is_read() {
        for (text, expected) in [
            ("f", "- - f -"),
            ("f:1", "- - f 1"),
            ("f:$LATEST", "- - f $LATEST"),
            ("function:f:live", "- - f live"),
            ("function", "- - function -"),
            ("111111111111", "- - 111111111111 -"),
            ("111111111111:function:f", "- 111111111111 f -"),
            ("111111111111:f:live", "- 111111111111 f live"),
            ("arn:aws:lambda:us-east-1:111111111111:function:f", "us-east-1 111111111111 f -"),
            ("arn:aws:lambda:us-east-1:111111111111:function:f:live", "us-east-1 111111111111 f live"),
        ] {
            assert_eq!(parts(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "f:",
            ":f",
            "a b",
            "a/b",
            "../f",
            "f:$latest",
            "f:1:2",
            "é",
            "arn:aws:sqs:us-east-1:111111111111:f",
            "arn:other:lambda:us-east-1:111111111111:function:f",
            "arn:aws:lambda:us-east-1:1111:function:f",
            &"f".repeat(257),
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in "\\PC{0,40}|(arn:(aws)?:lambda:)?(us-east-1:)?([0-9]{12}:)?(function:)?[a-z$:.]{0,20}",
            query in "\\PC{0,20}|Qualifier=[a-zA-Z$%0-9]{0,20}",
        ) {
            let mut constraints = Vec::new();
            let named = Named::read(&text, &query, &mut constraints);
            prop_assert_eq!(named.is_none(), !constraints.is_empty());
        }
    }
}
