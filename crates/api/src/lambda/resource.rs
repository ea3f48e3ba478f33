//! The ARNs that have tags, and the tags.
use std::collections::BTreeMap;

use pelton_core::MappingId;
use serde_json::Value;
use uuid::Uuid;

use super::error::ApiError;

/// The pattern of AWS's model (spec 12.3); [`read`] is the same by hand.
const PATTERN: &str = r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)";
const MOST_TAGS: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// What an ARN names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    Mapping(MappingId),
    Function {
        region: String,
        name: String,
        is_qualified: bool,
    },
    /// A layer and so on: the upstream's.
    Other,
}

/// Reads an ARN; one outside of AWS's pattern is refused in AWS's words.
pub fn read(arn: &str) -> Result<Resource, ApiError> {
    parse(arn).ok_or_else(|| {
        ApiError::validation(&[format!(
            "Value '{arn}' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             {PATTERN}"
        )])
    })
}

fn parse(arn: &str) -> Option<Resource> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "lambda", region, account, kind, name, more @ ..] = &parts[..] else { return None };
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_partition = partition
        .strip_prefix("aws")
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'));
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if !is_partition || !is_account || !is_region(region) {
        return None;
    }
    let function = |is_qualified| {
        Some(Resource::Function { region: (*region).to_owned(), name: (*name).to_owned(), is_qualified })
    };
    match (*kind, more) {
        ("function", []) if is_name(name) => function(false),
        ("function", [qualifier]) if is_name(name) && (*qualifier == "$LATEST" || is_name(qualifier)) => function(true),
        ("layer" | "capacity-provider", []) if is_name(name) => Some(Resource::Other),
        ("code-signing-config", []) => {
            let id = name.strip_prefix("csc-")?;
            let is_id = id.len() == 17 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            is_id.then_some(Resource::Other)
        }
        ("event-source-mapping", []) if name.len() == 36 => {
            name.parse::<Uuid>().ok().map(|id| Resource::Mapping(MappingId(id)))
        }
        _ => None,
    }
}

/// Whether a text has the form of an ARN of any service, as AWS's pattern has it.
pub fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts[..] else { return false };
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    partition.strip_prefix("aws").is_some_and(is_word)
        && !service.is_empty()
        && is_word(service)
        && (region.is_empty() || is_region(region))
        && (account.is_empty() || (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())))
        && !resource.contains(['\n', '\r'])
}

/// Whether a text has the form of a Region.
pub fn is_region(region: &str) -> bool {
    let mut parts: Vec<&str> = region.strip_prefix("eusc-").unwrap_or(region).split('-').collect();
    if let [_, special, _, _] = &parts[..] {
        let is_special = *special == "gov"
            || special
                .strip_prefix("iso")
                .is_some_and(|rest| rest.len() <= 1 && rest.bytes().all(|byte| byte.is_ascii_lowercase()));
        if !is_special {
            return false;
        }
        parts.remove(1);
    }
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    match &parts[..] {
        [country, place, number] => {
            country.len() == 2
                && is_word(country)
                && is_word(place)
                && number.len() == 1
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// `Tags` of a request: texts by text.
pub fn tags(tags: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let wrong = || ApiError::serialization("Tags: expected a map of texts.");
    let one = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    tags.as_object().ok_or_else(wrong)?.iter().map(one).collect::<Option<_>>().ok_or_else(wrong)
}

/// Refuses tags that a mapping can't have.
pub fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > MOST_TAGS {
        return Err(ApiError::invalid_parameter("Number of tags exceeds resource tag limit."));
    }
    let is_too_long = |(key, value): (&String, &String)| {
        key.is_empty() || key.chars().count() > LONGEST_KEY || value.chars().count() > LONGEST_VALUE
    };
    match tags.iter().any(is_too_long) {
        true => Err(ApiError::invalid_parameter(format!(
            "A tag's key has 1 to {LONGEST_KEY} characters, its value up to {LONGEST_VALUE}."
        ))),
        false => Ok(()),
    }
}

/// `tagKeys` of a query.
pub fn tag_keys(query: &str) -> Result<Vec<String>, ApiError> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let keys: Vec<String> = pairs.filter(|(name, _)| name == "tagKeys").map(|(_, key)| key.into_owned()).collect();
    match keys.is_empty() {
        true => Err(ApiError::validation(&[
            "Value null at 'tagKeys' failed to satisfy constraint: Member must not be null".to_owned(),
        ])),
        false => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arns_are_read_as_awss_pattern_has_them() {
        let uuid = "14e0db71-5d35-4eb5-b481-8945cf9d10c2";
        let mapping = Some(Resource::Mapping(MappingId(uuid.parse().unwrap())));
        for region in ["us-east-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"] {
            let arn = format!("arn:aws:lambda:{region}:111111111111:event-source-mapping:{uuid}");
            assert_eq!(parse(&arn), mapping, "{arn}");
        }
        let at = |resource: &str| parse(&format!("arn:aws-us-gov:lambda:us-gov-west-1:111111111111:{resource}"));
        assert_eq!(at(&format!("event-source-mapping:{}", uuid.to_uppercase())), mapping);
        for (text, name, is_qualified) in
            [("function:f", "f", false), ("function:f_-9:1", "f_-9", true), ("function:f:$LATEST", "f", true)]
        {
            let (region, name) = ("us-gov-west-1".to_owned(), name.to_owned());
            assert_eq!(at(text), Some(Resource::Function { region, name, is_qualified }), "{text}");
        }
        for other in ["layer:l", "code-signing-config:csc-0123456789abcdefg", "capacity-provider:c"] {
            assert_eq!(at(other), Some(Resource::Other), "{other}");
        }
        for bad in [
            &format!("event-source-mapping:{uuid}:alias"),
            "event-source-mapping:x",
            "function:",
            "function:f:$latest",
            "function:f:1:2",
            "layer:l:1",
            "code-signing-config:csc-1",
            "foobar:f",
            "",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
        for bad in [
            "arn:aws:sqs:us-east-1:111111111111:function:f",
            "arn:aws:lambda:us-east-1:1111:function:f",
            "arn:aws:lambda:us-east-10:111111111111:function:f",
            "arn:aws:lambda:us-west-east-1:111111111111:function:f",
            "arn:other:lambda:us-east-1:111111111111:function:f",
            "f",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(arn in "\\PC{0,40}|arn:aws:lambda:[a-z0-9-]{0,12}:[0-9]{11,12}:[a-z:$-]{0,20}") {
            let _ = read(&arn);
        }
    }
}
