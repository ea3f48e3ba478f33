//! Reads the records of a range once more.
use std::time::Duration;

use jiff::SignedDuration;
use pelton_core::{
    Arn, Cursor, ErrorKind, Listing, PartitionId, Position, Record, SequenceNumber, Source, SourceError, StreamKind,
};
use pelton_engine::Backoff;

use super::parse::Range;

/// Records of one read.
const MOST_RECORDS: usize = 1_000;
/// A shard allows five reads a second, and the mapping needs some of them.
const BETWEEN_READS: Duration = Duration::from_millis(250);
/// DynamoDB gives empty answers in the middle of a shard; after this many in a row there is nothing more.
const EMPTY_READS: u32 = 20;
/// Reads that may fail in a row.
const FAILED_READS: u32 = 8;
/// Arrival times may be whole seconds.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// The records can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No such stream, or no way to it.
    #[error("the stream can't be read: {0}")]
    Source(#[from] SourceError),
    /// No such shard.
    #[error(
        "shard {shard} is no longer in {stream}, so its records are older than the stream keeps them, or the stream was \
         made anew"
    )]
    NoShard {
        /// Which.
        shard: PartitionId,
        /// Of which stream.
        stream: Arn,
    },
    /// None left.
    #[error("none of the {size} records is left in shard {shard}{kept}")]
    Nothing {
        /// How many there were.
        size: usize,
        /// Where.
        shard: PartitionId,
        /// Since when records are kept, if it is known.
        kept: String,
    },
}

/// What is left of a range.
#[derive(Debug)]
pub struct Found {
    /// In order, none missing between two of them; never empty.
    pub records: Vec<Record>,
    /// How the stream was listed.
    pub listing: Listing,
}

/// Reads from the range's first record to its last. `at`: a token of the source for the place before the first record,
/// which saves reading up to there.
pub async fn fetch(
    source: &dyn Source,
    range: &Range,
    at: Option<String>,
    kept: impl Fn(&Listing) -> String,
) -> Result<Found, FetchError> {
    let listing = source.partitions().await?;
    let is_listed = listing.partitions.iter().any(|partition| partition.id == range.shard);
    let gone = || FetchError::NoShard { shard: range.shard.clone(), stream: range.stream.clone() };
    let records = match read(source, range, at).await {
        Err(error) if error.kind == ErrorKind::Missing && !is_listed => return Err(gone()),
        records => records?,
    };
    match (records.is_empty(), is_listed) {
        (true, false) => Err(gone()),
        (true, true) => Err(FetchError::Nothing { size: range.size, shard: range.shard.clone(), kept: kept(&listing) }),
        (false, _) => Ok(Found { records, listing }),
    }
}

async fn read(source: &dyn Source, range: &Range, at: Option<String>) -> Result<Vec<Record>, SourceError> {
    let position = match range.kind {
        StreamKind::Kinesis => {
            Position::AtTimestamp(range.first_arrival.saturating_sub(MARGIN).unwrap_or(range.first_arrival))
        }
        StreamKind::DynamoDb => Position::TrimHorizon,
    };
    if at.is_some() {
        let records = read_from(source, range, Cursor { position: position.clone(), token: at }).await?;
        // Of a place that is gone, some services begin at a later one, and some give nothing.
        if records.first().is_some_and(|first| first.id.parse().as_ref() == Ok(&range.start)) {
            return Ok(records);
        }
    }
    read_from(source, range, Cursor::at(position)).await
}

async fn read_from(source: &dyn Source, range: &Range, mut cursor: Cursor) -> Result<Vec<Record>, SourceError> {
    let mut records: Vec<Record> = Vec::new();
    let (mut empty, mut failed) = (0, 0);
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    loop {
        let polled = match source.poll(&range.shard, &mut cursor, MOST_RECORDS, Duration::ZERO).await {
            Ok(polled) => polled,
            Err(error) => {
                failed += 1;
                let retry_after = match error.kind {
                    ErrorKind::Throttled { retry_after } => retry_after,
                    ErrorKind::Transient => None,
                    ErrorKind::Refused | ErrorKind::Missing | ErrorKind::Payload => return Err(error),
                };
                if failed == FAILED_READS {
                    return Err(error);
                }
                tracing::warn!(shard = %range.shard, %error, "a read failed, trying again");
                tokio::time::sleep(backoff.next_delay_or(retry_after)).await;
                continue;
            }
        };
        (failed, empty) = (0, if polled.records.is_empty() { empty + 1 } else { 0 });
        for record in polled.records {
            let number: SequenceNumber = record.id.parse().map_err(|error: pelton_core::SequenceNumberError| {
                SourceError { message: error.to_string(), kind: ErrorKind::Refused }
            })?;
            if number > range.end {
                return Ok(records);
            }
            if number >= range.start {
                let is_last = number == range.end;
                records.push(record);
                if is_last {
                    return Ok(records);
                }
            }
        }
        if polled.ended || (empty >= EMPTY_READS && !polled.more) {
            return Ok(records);
        }
        tokio::time::sleep(BETWEEN_READS).await;
    }
}

#[cfg(test)]
mod tests;
