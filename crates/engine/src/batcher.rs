//! Collects records into batches: by count, by bytes, by time, whichever comes first. Pure: time is given.
use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Instant;

/// The synchronous request limit of Lambda: 6 MB of event JSON (spec 13: 6,291,556 bytes).
pub const MAXIMUM_PAYLOAD_BYTES: usize = 6_291_556;

const HEAD: &[u8] = b"{\"Records\":[";
const TAIL: &[u8] = b"]}";

/// When a batch is complete.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `BatchSize`.
    pub records: usize,
    /// Bytes of event JSON, the frame around the records included.
    pub bytes: usize,
    /// `MaximumBatchingWindowInSeconds`, from a batch's first record on. Zero: don't wait for more.
    pub window: Duration,
}

/// Something that goes into a batch.
pub trait Batchable {
    /// Bytes of the record's JSON.
    fn size(&self) -> usize;
    /// When it came in.
    fn received_at(&self) -> Instant;
}

/// Records that wait for their batch to be complete.
#[derive(Debug)]
pub struct Batcher<T> {
    limits: Limits,
    waiting: VecDeque<T>,
    bytes: usize,
}

impl<T: Batchable> Batcher<T> {
    /// An empty batcher.
    pub fn new(limits: Limits) -> Self {
        Self { limits, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Takes one record.
    pub fn push(&mut self, record: T) {
        self.bytes += record.size() + 1;
        self.waiting.push_back(record);
    }

    /// Puts a record in the place of one that waits, counted from the front.
    pub fn replace(&mut self, place: usize, record: T) {
        let Some(waiting) = self.waiting.get_mut(place) else { return };
        self.bytes = self.bytes + record.size() - waiting.size();
        *waiting = record;
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits, for whoever keeps it hidden in its source.
    pub fn waiting(&mut self) -> &mut [T] {
        self.waiting.make_contiguous()
    }

    /// How many more records to ask the source for; judges bytes by the average so far. At least 1 while not full.
    pub fn room(&self) -> usize {
        let by_count = self.limits.records.saturating_sub(self.waiting.len());
        if self.waiting.is_empty() || by_count == 0 {
            return by_count;
        }
        let average = (self.bytes / self.waiting.len()).max(1);
        by_count.min(self.limits.bytes.saturating_sub(self.bytes) / average + 1)
    }

    /// When the waiting batch has to go, however small; `None` while nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|first| first.received_at() + self.limits.window)
    }

    /// Whether a batch has to go now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.is_full() || self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Whether the next batch can take no more.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.records || self.fitting() < self.waiting.len()
    }

    /// The next batch: as many records as fit, in order; at least one if any waits, also if it is too large.
    pub fn take(&mut self) -> Vec<T> {
        let batch: Vec<T> = self.waiting.drain(..self.fitting()).collect();
        self.bytes -= batch.iter().map(|record| record.size() + 1).sum::<usize>();
        batch
    }

    /// Puts records in front of what waits, in order.
    pub fn put_back(&mut self, records: Vec<T>) {
        self.bytes += records.iter().map(|record| record.size() + 1).sum::<usize>();
        records.into_iter().rev().for_each(|record| self.waiting.push_front(record));
    }

    /// What waits, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Everything that waits, for giving it back.
    pub fn take_all(&mut self) -> Vec<T> {
        self.bytes = 0;
        self.waiting.drain(..).collect()
    }

    fn fitting(&self) -> usize {
        let mut bytes = HEAD.len() + TAIL.len();
        let mut count = 0;
        for record in self.waiting.iter().take(self.limits.records) {
            bytes += record.size() + usize::from(count > 0);
            if bytes > self.limits.bytes && count > 0 {
                break;
            }
            count += 1;
        }
        count
    }
}

/// `{"Records":[…]}`, the records' own bytes untouched.
pub fn event<'a>(records: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
    let size = HEAD.len() + TAIL.len() + records.clone().map(|record| record.len() + 1).sum::<usize>();
    let mut event = BytesMut::with_capacity(size);
    event.put_slice(HEAD);
    for (i, record) in records.enumerate() {
        if i > 0 {
            event.put_u8(b',');
        }
        event.put_slice(record);
    }
    event.put_slice(TAIL);
    event.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Batchable for (Bytes, Instant) {
        fn size(&self) -> usize {
            self.0.len()
        }
        fn received_at(&self) -> Instant {
            self.1
        }
    }

    fn limits(records: usize, bytes: usize, window: u64) -> Limits {
        Limits { records, bytes, window: Duration::from_secs(window) }
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_starts_at_the_first_record() {
        let start = Instant::now();
        let mut batcher = Batcher::new(limits(3, 1_000, 10));
        assert!(!batcher.is_due(start + Duration::from_secs(100)), "an empty batch is never due");
        batcher.push((Bytes::from_static(b"1"), start + Duration::from_secs(5)));
        batcher.push((Bytes::from_static(b"2"), start + Duration::from_secs(9)));
        assert!(!batcher.is_due(start + Duration::from_secs(14)));
        assert!(batcher.is_due(start + Duration::from_secs(15)));
        batcher.push((Bytes::from_static(b"3"), start + Duration::from_secs(9)));
        assert!(batcher.is_due(start + Duration::from_secs(9)), "a full batch doesn't wait");
    }

    #[test]
    fn an_event_is_its_records_in_a_frame() {
        let records = [Bytes::from_static(b"{\"a\" :1}"), Bytes::from_static(b"2")];
        assert_eq!(event(records.iter()), "{\"Records\":[{\"a\" :1},2]}");
        assert_eq!(event([].iter()), "{\"Records\":[]}");
    }

    proptest! {
        #[test]
        fn batches_keep_order_lose_nothing_and_respect_both_limits(
            sizes in proptest::collection::vec(1usize..60, 0..60),
            records in 1usize..12,
            bytes in 20usize..120,
        ) {
            let start = Instant::now();
            let mut batcher = Batcher::new(limits(records, bytes, 0));
            let mut out: Vec<Bytes> = vec![];
            let input: Vec<Bytes> = sizes.iter().map(|size| Bytes::from(vec![b'x'; *size])).collect();
            for record in &input {
                batcher.push((record.clone(), start));
                prop_assert!(batcher.is_full() || batcher.room() > 0);
                while batcher.is_full() {
                    let batch = batcher.take();
                    prop_assert!(!batch.is_empty() && batch.len() <= records);
                    let payload = event(batch.iter().map(|(record, _)| record));
                    prop_assert!(payload.len() <= bytes || batch.len() == 1, "{} bytes", payload.len());
                    out.extend(batch.into_iter().map(|(record, _)| record));
                }
            }
            while !batcher.is_empty() {
                out.extend(batcher.take().into_iter().map(|(record, _)| record));
            }
            prop_assert_eq!(batcher.bytes, 0);
            prop_assert_eq!(out, input);
        }
    }
}
