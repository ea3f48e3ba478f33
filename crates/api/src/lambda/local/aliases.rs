//! `ListAliases` and `GetAlias`. All aliases of a local function mean `$LATEST`.
use serde_json::{Value, json};

use super::super::answer::Front;
use super::super::error::ApiError;
use super::super::functions::LocalFunction;
use super::super::list::max_items;
use super::super::named::LATEST;
use super::view::alias;
use super::{MOST_ITEMS, arn, no_alias, of_query};

/// How many are on a page that doesn't say it.
const DEFAULT_ITEMS: usize = 50;
const LONGEST_ALIAS: usize = 128;
const LONGEST_VERSION: usize = 1_024;
/// The patterns of AWS's model; [`is_alias`] and [`is_version`] are the same by hand.
const ALIAS_PATTERN: &str = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)";
const VERSION_PATTERN: &str = r"(\$LATEST(\.PUBLISHED)?|[0-9]+)";

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    items: usize,
    after: Option<String>,
    /// Of aliases that mean it.
    version: Option<String>,
}

impl Page {
    pub fn read(query: &str) -> Result<Self, ApiError> {
        let items = of_query(query, "MaxItems").map_or(Ok(DEFAULT_ITEMS), |text| max_items(&text, MOST_ITEMS))?;
        let version = of_query(query, "FunctionVersion");
        match version.as_deref().filter(|version| !is_version(version)) {
            None => Ok(Self { items, after: of_query(query, "Marker"), version }),
            Some(version) => Err(broken(version, "functionVersion", LONGEST_VERSION, VERSION_PATTERN)),
        }
    }

    /// The aliases of the page, by name, and whether more follow.
    fn of(&self, mut aliases: Vec<String>) -> (Vec<String>, bool) {
        aliases.retain(|alias| self.after.as_ref().is_none_or(|after| alias > after));
        if self.version.as_deref().is_some_and(|version| version != LATEST) {
            aliases.clear();
        }
        aliases.sort();
        let has_more = aliases.len() > self.items;
        aliases.truncate(self.items);
        (aliases, has_more)
    }
}

/// `ListAliases`.
pub async fn list(front: &Front, local: &LocalFunction, query: &str) -> Result<Value, ApiError> {
    let (chosen, has_more) = Page::read(query)?.of(local.aliases.clone());
    let mut shown = Vec::new();
    for name in &chosen {
        shown.push(show(front, local, name).await?);
    }
    match chosen.last().filter(|_| has_more) {
        None => Ok(json!({ "Aliases": shown })),
        Some(last) => Ok(json!({ "NextMarker": last, "Aliases": shown })),
    }
}

/// `GetAlias`.
pub async fn get(front: &Front, local: &LocalFunction, name: &str) -> Result<Value, ApiError> {
    if !is_alias(name) {
        return Err(broken(name, "name", LONGEST_ALIAS, ALIAS_PATTERN));
    }
    match local.aliases.iter().any(|alias| alias == name) {
        true => show(front, local, name).await,
        false => Err(no_alias(&arn(&front.invocations.functions.place(), &local.name, Some(name))?)),
    }
}

async fn show(front: &Front, local: &LocalFunction, name: &str) -> Result<Value, ApiError> {
    let arn = arn(&front.invocations.functions.place(), &local.name, Some(name))?;
    let revision = front.policies.revision(&arn).await?;
    Ok(alias(&arn, revision))
}

/// Whether a text can be the name of an alias.
pub fn is_alias(text: &str) -> bool {
    (1..=LONGEST_ALIAS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && !text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_version(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text == LATEST || text == "$LATEST.PUBLISHED" || (text.len() <= LONGEST_VERSION && is_number)
}

fn broken(text: &str, member: &str, longest: usize, pattern: &str) -> ApiError {
    let shown: String = text.chars().take(longest).collect();
    let constraint = match text.chars().count() {
        length if length > longest => format!("Member must have length less than or equal to {longest}"),
        _ => format!("Member must satisfy regular expression pattern: {pattern}"),
    };
    ApiError::validation(&[format!("Value '{shown}' at '{member}' failed to satisfy constraint: {constraint}")])
}
