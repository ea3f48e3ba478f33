//! Which of the records found are the ones that failed, and how they are sent. Pure.
use bytes::Bytes;
use pelton_core::{Mapping, Record, SequenceNumber};
use pelton_engine::{MAXIMUM_PAYLOAD_BYTES, lane_of};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::parse::{Failure, Range};

/// One event, and the records in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// `{"Records":[…]}`.
    pub event: Bytes,
    /// What an answer may name.
    pub records: Vec<Record>,
}

/// The records found are not those that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Some are no longer there.
    #[error("{gone} of {size} records are no longer in shard {shard}")]
    Gone {
        /// How many.
        gone: usize,
        /// Of how many.
        size: usize,
        /// Where.
        shard: String,
    },
    /// The range is complete, but another number of its records would be sent.
    #[error("{found} records between {start} and {end} would be sent, {size} failed: {why}")]
    Count {
        /// How many would be sent.
        found: usize,
        /// How many failed.
        size: usize,
        /// `startSequenceNumber`.
        start: SequenceNumber,
        /// `endSequenceNumber`.
        end: SequenceNumber,
        /// What may be the reason.
        why: &'static str,
    },
}

/// The mapping that a failure is of, if it is in the file.
pub fn mapping_of<'m>(mappings: &'m [Mapping], failure: &Failure) -> Option<&'m Mapping> {
    let is_its_source =
        |mapping: &Mapping| failure.source.as_ref().is_none_or(|source| mapping.event_source == *source);
    let mut fitting =
        mappings.iter().filter(|mapping| mapping.function_arn == failure.function && is_its_source(mapping));
    let first = fitting.next()?;
    // Without its source, a record can be of any mapping of the function.
    if failure.source.is_none() && fitting.next().is_some() { None } else { Some(first) }
}

/// Of the records between start and end, those that were in the batch: the mapping's filters let them through, and they
/// are in the lane of the first and the last one. The second value says if these aren't the records that failed.
pub fn select(range: &Range, found: Vec<Record>, mapping: Option<&Mapping>) -> (Vec<Record>, Option<Mismatch>) {
    let has = |number: &SequenceNumber| found.iter().any(|record| record.id.parse().as_ref() == Ok(number));
    let is_complete = has(&range.start) && has(&range.end);
    let lanes = mapping.and_then(|it| it.stream.as_ref()).map_or(1, |stream| stream.parallelization_factor.max(1));
    let lane = |record: &Record| lane_of(record.order_key.as_deref().unwrap_or_default(), lanes);
    let is_at_an_end = |record: &&Record| {
        let number = record.id.parse();
        number.as_ref() == Ok(&range.start) || number.as_ref() == Ok(&range.end)
    };
    let first = found.iter().find(is_at_an_end).map(lane);
    let was_sent = |record: &Record| {
        first.is_none_or(|first| lane(record) == first) && mapping.is_none_or(|it| it.filters.matches(&record.event))
    };
    let records: Vec<Record> = found.into_iter().filter(was_sent).collect();
    let (count, size) = (records.len(), range.size);
    let mismatch = if !is_complete {
        Some(Mismatch::Gone { gone: size.saturating_sub(count).max(1), size, shard: range.shard.to_string() })
    } else if count == size {
        None
    } else {
        let why = match mapping {
            None => "the mapping isn't in the file, so its FilterCriteria and ParallelizationFactor aren't known",
            Some(_) => "the mapping's FilterCriteria or ParallelizationFactor may have been others then",
        };
        let (start, end) = (range.start.clone(), range.end.clone());
        Some(Mismatch::Count { found: count, size, start, end, why })
    };
    (records, mismatch)
}

/// Puts records into events of at most `size` records, and no more bytes than a function takes.
pub fn batches(records: Vec<Record>, size: usize) -> Vec<Batch> {
    let mut batches: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let more = record.event.len() + 1;
        match batches.last_mut() {
            Some(batch) if batch.len() < size.max(1) && bytes + more <= MAXIMUM_PAYLOAD_BYTES => {
                bytes += more;
                batch.push(record);
            }
            _ => {
                bytes = FRAME.len() + more;
                batches.push(vec![record]);
            }
        }
    }
    let framed = |records: Vec<Record>| {
        let elements: Vec<&[u8]> = records.iter().map(|record| &record.event[..]).collect();
        let event = [&FRAME.as_bytes()[..FRAME.len() - 2], &elements.join(&b","[..]), b"]}"].concat();
        Batch { event: event.into(), records }
    };
    batches.into_iter().map(framed).collect()
}

const FRAME: &str = "{\"Records\":[]}";

/// An event that is sent as it is.
pub fn as_it_is(event: &Bytes) -> Batch {
    Batch { event: event.clone(), records: records_in(event) }
}

/// The records in an event, as far as an answer may name them.
fn records_in(event: &Bytes) -> Vec<Record> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "Records", borrow)]
        records: Vec<&'a RawValue>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Element {
        message_id: Option<String>,
        kinesis: Numbered,
        dynamodb: Numbered,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Numbered {
        #[serde(rename = "sequenceNumber", alias = "SequenceNumber")]
        number: Option<String>,
    }
    let Ok(event) = serde_json::from_slice::<Event>(event) else { return Vec::new() };
    let record = |raw: &&RawValue| {
        let element: Element = serde_json::from_str(raw.get()).unwrap_or_default();
        let id = element.message_id.or(element.kinesis.number).or(element.dynamodb.number).unwrap_or_default();
        Record {
            receipt: pelton_core::Receipt(id.clone()),
            id,
            order_key: None,
            receive_count: 1,
            arrived_at: None,
            event: Bytes::copy_from_slice(raw.get().as_bytes()),
        }
    };
    event.records.iter().map(record).collect()
}

/// What `--dry-run` prints: a record a line, or the event where it holds none.
pub fn lines(batches: &[Batch]) -> String {
    let mut text = String::new();
    for batch in batches {
        let events: Vec<&Bytes> = match &batch.records[..] {
            [] => vec![&batch.event],
            records => records.iter().map(|record| &record.event).collect(),
        };
        for event in events {
            // In JSON, line breaks stand between values only.
            text += &String::from_utf8_lossy(event).replace(['\n', '\r'], " ");
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests;
