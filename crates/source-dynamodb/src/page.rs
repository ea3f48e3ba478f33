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
    let first = match since {
        // From the first record on that may be new enough: arrival times are approximate, the order isn't.
        Some(since) => {
            let precision = precision(page);
            let may_be_new = |record| {
                let arrived_at = arrived_at(record).map(Timestamp::as_second);
                arrived_at.is_none_or(|arrived_at| arrived_at + precision > since.as_second())
            };
            page.iter().position(may_be_new).unwrap_or(page.len())
        }
        None => 0,
    };
    let (_, records) = page.split_at(first);
    Taken { records: &records[..records.len().min(most)], cut: records.len() > most }
}

/// When the record was written, cut to the whole second.
pub fn arrived_at(record: &Record) -> Option<Timestamp> {
    let time = record.dynamodb().and_then(StreamRecord::approximate_creation_date_time)?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// What arrival times are cut to, in seconds: DynamoDB Local cuts them to the minute.
fn precision(page: &[Record]) -> i64 {
    // AWS's event ids are 32 hexadecimal digits, those of DynamoDB Local UUIDs.
    let is_aws = |record: &Record| record.event_id().is_some_and(|id| !id.contains('-'));
    let is_whole_minute = |record: &Record| arrived_at(record).is_some_and(|at| at.as_second() % 60 == 0);
    if page.iter().all(|record| is_whole_minute(record) && !is_aws(record)) { 60 } else { 1 }
}
