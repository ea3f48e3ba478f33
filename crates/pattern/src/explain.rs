//! What decided about an event, in words.
use std::cell::RefCell;
use std::fmt;

use crate::event::{Json, Scalar};
use crate::pattern::Leaf;

/// Values longer than this are cut in an explanation, in characters.
const LONGEST_VALUE: usize = 60;

/// More lines than this for one filter are left off.
const MOST_LINES: usize = 20;

/// Whether an event matches, and which leaf decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether some filter matches.
    pub matched: bool,
    /// One line or more for each filter, up to the first that matches.
    pub lines: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.matched { "match" } else { "no match" })?;
        self.lines.iter().try_for_each(|line| write!(formatter, "\n  {line}"))
    }
}

impl Explanation {
    pub(crate) fn of(filters: Vec<(bool, Vec<Finding>)>) -> Self {
        let matched = filters.is_empty() || filters.iter().any(|(matched, _)| *matched);
        let mut lines = Vec::new();
        if filters.is_empty() {
            lines.push("there is no filter, so everything matches".to_owned());
        }
        let single = filters.len() == 1;
        for (index, (filter_matched, findings)) in filters.into_iter().enumerate() {
            let title = if single { String::new() } else { format!("filter {}: ", index + 1) };
            // Only what agrees with the whole decided: what held beside a field that failed did not.
            let mut decisive: Vec<String> = findings
                .into_iter()
                .filter(|finding| finding.matched == filter_matched)
                .map(|finding| format!("{title}{}", finding.text))
                .collect();
            decisive.dedup();
            if decisive.len() > MOST_LINES {
                decisive.truncate(MOST_LINES);
                decisive.push(format!("{title}and more of the kind"));
            }
            lines.extend(decisive);
            if filter_matched {
                break;
            }
        }
        Self { matched, lines }
    }
}

/// How one leaf went.
#[derive(Debug)]
pub(crate) struct Finding {
    matched: bool,
    text: String,
}

/// Notes how leaves went, if asked to.
pub(crate) struct Trace(Option<RefCell<Vec<Finding>>>);

impl Trace {
    pub fn off() -> Self {
        Self(None)
    }

    pub fn on() -> Self {
        Self(Some(RefCell::default()))
    }

    pub fn into_findings(self) -> Vec<Finding> {
        self.0.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Where the notes stand now, for [`Self::keep_since`].
    pub fn position(&self) -> usize {
        self.0.as_ref().map_or(0, |findings| findings.borrow().len())
    }

    /// Drops what was noted since then, but for what agrees with how it came out. Of misfits, some are enough.
    pub fn keep_since(&self, position: usize, matched: bool) {
        let Some(findings) = &self.0 else { return };
        let mut findings = findings.borrow_mut();
        let at = position.min(findings.len());
        let since = findings.split_off(at);
        let most = if matched { usize::MAX } else { MOST_LINES + 1 };
        findings.extend(since.into_iter().filter(|finding| finding.matched == matched).take(most));
    }

    pub fn leaf(&self, leaf: &Leaf, json: Option<&Json<'_>>, matched: bool) {
        let Some(findings) = &self.0 else { return };
        let found = match json {
            None => "is missing".to_owned(),
            Some(json) => format!("is {}", in_words(json)),
        };
        let verdict = if matched { "which fits" } else { "which does not fit" };
        let text = format!("{} {found}, {verdict} {}", leaf.path.join("."), shortened(&leaf.text));
        findings.borrow_mut().push(Finding { matched, text });
    }

    pub fn no_json(&self, payload: &str) {
        let Some(findings) = &self.0 else { return };
        let text = format!("{payload} is missing or no JSON, and the pattern asks for fields in it");
        findings.borrow_mut().push(Finding { matched: false, text });
    }
}

fn in_words(json: &Json<'_>) -> String {
    match json {
        Json::Scalar(Scalar::Null) => "null".into(),
        Json::Scalar(Scalar::Boolean(boolean)) => boolean.to_string(),
        Json::Scalar(Scalar::Number(number)) => number.to_string(),
        Json::Scalar(Scalar::Text(text)) => shortened(&format!("{text:?}")),
        Json::List(items) if items.is_empty() => "an empty list".into(),
        Json::List(items) => {
            let items: Vec<String> = items.iter().take(10).map(in_words).collect();
            shortened(&format!("the list [{}]", items.join(", ")))
        }
        Json::Object(_) => "an object".into(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
