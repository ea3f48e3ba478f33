//! The shards of streams as a table of text.
use std::time::Duration;

use pelton_engine::{MappingStatus, ShardStatus};

use super::table::{printable, resource};
use crate::columns::columns;
use crate::lasting::lasting;

const HEADINGS: [&str; 10] =
    ["SOURCE", "SHARD", "OWNER", "POSITION", "BEHIND", "AGE", "UNSETTLED", "IN FLIGHT", "ATTEMPTS", "WINDOWS"];
/// Columns of numbers are aligned to the right.
const NUMBERS: [usize; 6] = [4, 5, 6, 7, 8, 9];
/// Characters of an owner's UUID that are shown.
const OWNER: usize = 8;
/// The end of a long sequence number that is shown: the beginning is the same for all of a shard.
const DIGITS: usize = 16;

/// One line a shard.
pub fn shards(mappings: &[MappingStatus]) -> String {
    let of = |mapping: &MappingStatus| {
        let source = resource(&mapping.event_source_arn);
        mapping.shards.iter().map(|shard| line(&source, shard)).collect::<Vec<_>>()
    };
    let shards: Vec<Vec<String>> = mappings.iter().flat_map(of).collect();
    if shards.is_empty() {
        return "no shards\n".into();
    }
    columns(&[vec![HEADINGS.map(String::from).to_vec()], shards].concat(), &NUMBERS)
}

/// Whether nothing more comes from it.
pub fn is_at_its_end(shard: &ShardStatus) -> bool {
    shard.position == pelton_core::Position::End.to_string()
}

fn line(source: &str, shard: &ShardStatus) -> Vec<String> {
    let time = |millis: Option<u64>| millis.map_or_else(|| "-".into(), |it| lasting(Duration::from_millis(it)));
    vec![
        source.to_owned(),
        printable(&shard.shard_id),
        shard.owner.as_ref().map_or_else(|| "-".into(), |owner| printable(owner).chars().take(OWNER).collect()),
        position(&printable(&shard.position)),
        time(shard.millis_behind_latest),
        time(shard.iterator_age_milliseconds),
        shard.unsettled.to_string(),
        shard.in_flight.to_string(),
        shard.attempts.to_string(),
        shard.open_windows.to_string(),
    ]
}

fn position(text: &str) -> String {
    match text.len().checked_sub(DIGITS) {
        Some(hidden @ 2..) if text.bytes().all(|byte| byte.is_ascii_digit()) => format!("…{}", &text[hidden..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
