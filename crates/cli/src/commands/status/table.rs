//! The mappings as a table of text.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::Arn;
use pelton_engine::{MappingStatus, ShardStatus};

use super::shards;
use crate::columns::columns;
use crate::lasting::lasting;

/// The longest error that is shown, in characters. The log has it whole.
const LONGEST_ERROR: usize = 100;
const HEADINGS: [&str; 9] =
    ["SOURCE", "FUNCTION", "STATE", "BACKLOG", "IN FLIGHT", "MSG/S", "PROCESSED", "FAILED", "LAST ERROR"];
/// Columns of numbers are aligned to the right.
const NUMBERS: std::ops::RangeInclusive<usize> = 3..=7;

/// How fast each mapping works, from two looks at it.
#[derive(Debug, Default)]
pub struct Rates {
    seen: HashMap<String, (u64, Timestamp)>,
    per_second: HashMap<String, f64>,
}

impl Rates {
    /// Takes another look.
    pub fn observe(&mut self, mappings: &[MappingStatus], now: Timestamp) {
        self.per_second.clear();
        for mapping in mappings {
            let before = self.seen.insert(mapping.uuid.clone(), (mapping.invoked, now));
            let Some((invoked, at)) = before else { continue };
            let seconds = now.duration_since(at).as_secs_f64();
            // Counts that went down: Pelton was started anew.
            if let Some(more) = mapping.invoked.checked_sub(invoked)
                && seconds > 0.0
            {
                self.per_second.insert(mapping.uuid.clone(), more as f64 / seconds);
            }
        }
    }

    fn of(&self, mapping: &MappingStatus) -> Option<f64> {
        self.per_second.get(&mapping.uuid).copied()
    }
}

/// One line a mapping. Without `rates` there is no column for them.
pub fn table(mappings: &[MappingStatus], rates: Option<&Rates>, now: Timestamp) -> String {
    if mappings.is_empty() {
        return "no mappings\n".into();
    }
    let mut lines = vec![HEADINGS.map(String::from)];
    lines.extend(mappings.iter().map(|mapping| line(mapping, rates, now)));
    let shown: Vec<usize> = (0..HEADINGS.len()).filter(|i| rates.is_some() || HEADINGS[*i] != "MSG/S").collect();
    let numbers: Vec<usize> = (0..shown.len()).filter(|i| NUMBERS.contains(&shown[*i])).collect();
    let cells = |line: &[String; 9]| shown.iter().map(|i| line[*i].clone()).collect();
    columns(&lines.iter().map(cells).collect::<Vec<_>>(), &numbers)
}

fn line(mapping: &MappingStatus, rates: Option<&Rates>, now: Timestamp) -> [String; 9] {
    let rate = rates.and_then(|rates| rates.of(mapping));
    [
        resource(&mapping.event_source_arn),
        resource(&mapping.function_arn),
        printable(&mapping.state),
        backlog(mapping),
        mapping.in_flight.to_string(),
        rate.map_or_else(|| "-".into(), |rate| format!("{rate:.0}")),
        mapping.invoked.saturating_sub(mapping.failed).to_string(),
        mapping.failed.to_string(),
        error(mapping, now),
    ]
}

/// Messages of a queue that wait; open shards of a stream, and how far the worst of them is behind.
fn backlog(mapping: &MappingStatus) -> String {
    if let Some(messages) = mapping.backlog {
        return messages.to_string();
    }
    let open: Vec<&ShardStatus> = mapping.shards.iter().filter(|shard| !shards::is_at_its_end(shard)).collect();
    // One is how far reading is behind, the other how far the function is.
    let worst = open.iter().filter_map(|shard| shard.millis_behind_latest.max(shard.iterator_age_milliseconds)).max();
    let count = match open.len() {
        1 => "1 shard".to_owned(),
        count => format!("{count} shards"),
    };
    match worst {
        _ if mapping.shards.is_empty() => "-".into(),
        Some(millis) => format!("{count}, {} behind", lasting(Duration::from_millis(millis))),
        None => count,
    }
}

/// `orders` of a queue's ARN, `work` or `work:live` of a function's.
pub fn resource(arn: &str) -> String {
    match arn.parse::<Arn>() {
        Ok(arn) => arn.resource().trim_start_matches("function:").to_owned(),
        Err(_) => printable(arn),
    }
}

/// What is wrong now; else what was wrong last, and how long ago.
fn error(mapping: &MappingStatus, now: Timestamp) -> String {
    let problem = mapping.last_processing_result.strip_prefix("PROBLEM: ");
    match (problem, &mapping.last_error) {
        (Some(problem), _) => printable(problem),
        (None, Some(last)) => format!("{} (over, {})", printable(&last.message), age(last.at, now)),
        (None, None) => "-".into(),
    }
}

pub fn age(at: Timestamp, now: Timestamp) -> String {
    // Whole seconds: a digit behind the point says nothing here.
    let seconds = now.duration_since(at).as_secs().max(0).unsigned_abs();
    format!("{} ago", lasting(Duration::from_secs(seconds)))
}

/// On one line, not too long, and without what would steer the terminal: a function's error text can hold anything.
pub fn printable(text: &str) -> String {
    let plain: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.chars().count() <= LONGEST_ERROR {
        return plain;
    }
    plain.chars().take(LONGEST_ERROR - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
