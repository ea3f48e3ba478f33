//! Which records of a page a poll gives, and when they arrived.
use aws_sdk_dynamodbstreams::types::{Record, StreamRecord};
use jiff::Timestamp;

#[cfg(test)]
mod tests;

/// The records of a page that a poll gives, and whether others of the page are left for the next one.
pub struct Taken<'a> {
    pub records: &'a [Record],
    pub cut: bool,
}

/// Leaves out what arrived before `since`, and what is more than `most`.
pub fn take(page: &[Record], since: Option<Timestamp>, most: usize) -> Taken<'_> {
    // From the first record on that may be new enough: arrival times are approximate, the order isn't.
    let first = match since {
        Some(since) => page.iter().position(|record| may_have_arrived_since(record, since)).unwrap_or(page.len()),
        None => 0,
    };
    let (_, records) = page.split_at(first);
    Taken { records: &records[..records.len().min(most)], cut: records.len() > most }
}

/// When the record was written; cut to whole seconds, by DynamoDB Local to whole minutes.
pub fn arrived_at(record: &Record) -> Option<Timestamp> {
    let time = record.dynamodb().and_then(StreamRecord::approximate_creation_date_time)?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Whether the record arrived at this time or later, as far as its time tells.
fn may_have_arrived_since(record: &Record, since: Timestamp) -> bool {
    const SECOND: i64 = 1;
    const MINUTE: i64 = 60;
    let Some(arrived_at) = arrived_at(record).map(Timestamp::as_second) else { return true };
    let is_whole_minute = arrived_at % MINUTE == 0;
    // AWS's event ids are 32 hexadecimal digits, those of DynamoDB Local UUIDs.
    let is_aws = record.event_id().is_some_and(|id| !id.contains('-'));
    let precision = if is_whole_minute { MINUTE } else { SECOND };
    arrived_at + precision > since.as_second()
}
