//! Whether records were gone from the stream before they were read.
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::Polled;

use super::Shard;

/// Streams keep records a little longer than they promise.
const TRIM_MARGIN: Duration = Duration::from_secs(600);

impl Shard {
    /// Says so when records are gone that were never read. Kinesis doesn't tell: it goes on at its oldest record. Then it
    /// shows by the time since the shard was read last.
    pub(super) fn note_trimmed(&mut self, polled: &Polled, now: Timestamp) {
        let since = self.known_to;
        let horizon = self.assignment.retention.and_then(|retention| now.checked_sub(retention + TRIM_MARGIN).ok());
        let is_before = |at: Option<Timestamp>| at.zip(horizon).is_some_and(|(at, horizon)| at < horizon);
        let oldest = polled.records.first().and_then(|record| record.arrived_at);
        let is_caught_up = polled.records.is_empty() && !polled.more;
        self.known_to = match polled.records.last().and_then(|record| record.arrived_at) {
            Some(last) => Some(last),
            None if is_caught_up => Some(now),
            None => since,
        };
        // A record from before the horizon is there still: then so was everything after the position.
        if !polled.trimmed && (!is_before(since) || is_before(oldest)) {
            return;
        }
        let partition = &self.assignment.lease.partition;
        let since = since.map_or("its beginning".to_owned(), |since| since.to_string());
        let until = oldest.map_or("now".to_owned(), |oldest| oldest.to_string());
        // A stream with nothing in it may have had nothing to lose.
        if !polled.trimmed && oldest.is_none() {
            tracing::warn!(shard = %partition, since, "a shard was not read for longer than the stream keeps records");
            return;
        }
        let message = format!(
            "{partition}: the position in the checkpoint is older than the stream's oldest record: reading goes on there, and \
             records that arrived between {since} and {until} may have been missed"
        );
        self.shared.watch.metrics.trimmed.inc();
        self.shared.watch.note_error(&message);
        tracing::error!(shard = %partition, since, until, "records were trimmed before they were read");
    }
}
