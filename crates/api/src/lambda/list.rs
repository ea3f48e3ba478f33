//! `ListEventSourceMappings`: which mappings, and how many at a time. Pure.
use pelton_core::{FunctionName, Mapping, MappingId};
use uuid::Uuid;

use super::error::ApiError;

const MOST_ITEMS: usize = 10_000;
const DEFAULT_ITEMS: usize = 100;

/// What a list asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    event_source: Option<String>,
    function: Option<FunctionName>,
    /// The last mapping of the page before.
    after: Option<MappingId>,
    items: usize,
}

impl Query {
    pub fn read(query: &str) -> Result<Self, ApiError> {
        let get = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).filter(|it| !it.is_empty())
        };
        let items = match get("MaxItems") {
            None => DEFAULT_ITEMS,
            Some(text) => max_items(&text, MOST_ITEMS)?,
        };
        let function = match get("FunctionName") {
            None => None,
            Some(text) => Some(text.parse().map_err(|error: pelton_core::FunctionNameError| {
                ApiError::invalid_parameter(format!("FunctionName: {error}"))
            })?),
        };
        let after = match get("Marker") {
            None => None,
            Some(text) => match text.parse::<Uuid>() {
                Ok(id) => Some(MappingId(id)),
                Err(_) => return Err(ApiError::invalid_parameter("Invalid value for Marker.")),
            },
        };
        Ok(Self { event_source: get("EventSourceArn"), function, after, items })
    }

    /// The mappings of this page, in the order of their ids, and the marker of the next one, if there is one.
    pub fn page<'a>(&self, mappings: impl Iterator<Item = &'a Mapping>) -> (Vec<&'a Mapping>, Option<String>) {
        let mut chosen: Vec<&Mapping> = mappings.filter(|mapping| self.chooses(mapping)).collect();
        chosen.sort_by_key(|mapping| mapping.id);
        let has_more = chosen.len() > self.items;
        chosen.truncate(self.items);
        let marker = chosen.last().filter(|_| has_more).map(|mapping| mapping.id.to_string());
        (chosen, marker)
    }

    fn chooses(&self, mapping: &Mapping) -> bool {
        self.after.is_none_or(|after| mapping.id > after)
            && self.event_source.as_ref().is_none_or(|arn| *arn == mapping.event_source.to_string())
            && self.function.as_ref().is_none_or(|wanted| is_of(wanted, mapping))
    }
}

/// A function without a qualifier is meant with any.
fn is_of(wanted: &FunctionName, mapping: &Mapping) -> bool {
    let arn = mapping.function_arn.to_string();
    match wanted.arn(&mapping.function_arn) {
        Ok(wanted_arn) if wanted.qualifier().is_some() => arn == wanted_arn.to_string(),
        Ok(wanted_arn) => arn == wanted_arn.to_string() || arn.starts_with(&format!("{wanted_arn}:")),
        Err(_) => false,
    }
}

/// Reads `MaxItems`: 1..=`most`.
pub fn max_items(text: &str, most: usize) -> Result<usize, ApiError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::serialization("MaxItems: expected a whole number"));
    }
    let number: i64 = text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX });
    let constraint = match number {
        ..1 => "greater than or equal to 1".to_owned(),
        _ => match usize::try_from(number) {
            Ok(items) if items <= most => return Ok(items),
            _ => format!("less than or equal to {most}"),
        },
    };
    Err(ApiError::validation(&[format!(
        "Value '{text}' at 'maxItems' failed to satisfy constraint: Member must have value {constraint}"
    )]))
}
