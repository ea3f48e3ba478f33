//! What every stream-like [`Source`] promises, checked against the fake and against each real one: only what all of them
//! pass may be relied upon by the engine.
//!
//! A test gives a source on a fresh, empty stream of one shard, and a [`StreamUnderTest`] that writes to that stream.
#![allow(clippy::expect_used, reason = "a failed expectation is what the suite is for")]

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::{
    Cursor, ErrorKind, Listing, PartitionId, Polled, Position, Record, Redelivery, SequenceNumber, Source,
};
use tokio::time::Instant;

/// How long a record may take from its put to a poll that gives it.
const LIMIT: Duration = Duration::from_secs(20);
/// What a poll of a pushed source waits for.
const WAIT: Duration = Duration::from_millis(500);

/// The stream that the suite's source reads, from the writer's side.
#[async_trait]
pub trait StreamUnderTest: Sync {
    /// Puts one record into an open shard and returns when it is there. Its order key is, or contains, `key`. Keys are
    /// ASCII letters and digits, and no key is part of another.
    async fn put(&self, key: &str);

    /// Closes every open shard, opens one or more others that come from it, and returns when the source's backend says
    /// so. `false` if the backend can't: those parts are left out.
    async fn reshard(&self) -> bool {
        false
    }

    /// Whether the source knows [`Position::AtTimestamp`]: all but DynamoDB Streams.
    fn has_timestamps(&self) -> bool {
        true
    }

    /// Brings a cursor's token into the state of one that is too old. `false` if that can't be: those parts are left
    /// out.
    fn expire(&self, cursor: &mut Cursor) -> bool {
        cursor.token = Some("AAAAAAAAAAAAexpired".into());
        true
    }
}

/// A cursor and what reads with it.
struct Reader<'a> {
    source: &'a dyn Source,
    shard: PartitionId,
    cursor: Cursor,
}

impl<'a> Reader<'a> {
    fn new(source: &'a dyn Source, shard: &PartitionId, position: Position) -> Self {
        Self { source, shard: shard.clone(), cursor: Cursor::at(position) }
    }

    async fn poll(&mut self, max: usize) -> Polled {
        let before = self.cursor.position.clone();
        let deadline = Instant::now() + LIMIT;
        let polled = loop {
            match self.source.poll(&self.shard, &mut self.cursor, max, WAIT).await {
                // As the engine does: what passes is tried again. A pushed source says so when readers take turns.
                Err(error)
                    if matches!(error.kind, ErrorKind::Throttled { .. } | ErrorKind::Transient)
                        && Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                polled => break polled.expect("the poll works"),
            }
        };
        assert!(polled.records.len() <= max, "at most as many as were asked for");
        assert_eq!(polled.hidden_for, None, "a stream hides nothing");
        match polled.records.last() {
            Some(last) => assert_eq!(self.cursor.position, Position::After(number(last)), "behind the last record"),
            None if before == Position::Latest => {}
            None => assert_eq!(self.cursor.position, before, "nothing read, nothing moved"),
        }
        polled
    }

    /// Polls until `count` records have come, and once more: no further ones may.
    async fn read(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        let deadline = Instant::now() + LIMIT;
        while records.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} records came: {:?}", records.len(), keys(&records));
            records.extend(self.poll(1_000).await.records);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        records.extend(self.poll(1_000).await.records);
        records
    }

    /// Polls until the shard has ended; what it held.
    async fn read_to_end(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        let deadline = Instant::now() + LIMIT;
        loop {
            assert!(Instant::now() < deadline, "a closed shard ends; {:?} came", keys(&records));
            let polled = self.poll(1_000).await;
            records.extend(polled.records);
            if polled.ended {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn number(record: &Record) -> SequenceNumber {
    record.id.parse().expect("the id of a record is its sequence number")
}

fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.order_key.as_deref().unwrap_or("no key")).collect()
}

/// Exactly these, in this order.
fn assert_keys(records: &[Record], expected: &[&str], what: &str) {
    let matches = records.len() == expected.len()
        && records
            .iter()
            .zip(expected)
            .all(|(record, key)| record.order_key.as_ref().is_some_and(|it| it.contains(key)));
    assert!(matches, "{what}: expected {expected:?}, came {:?}", keys(records));
}

async fn listing(source: &dyn Source) -> Listing {
    source.partitions().await.expect("the shards are listed")
}

/// Runs the suite.
pub async fn stream_suite(source: &dyn Source, stream: &dyn StreamUnderTest) {
    assert_eq!(source.redelivery(), Redelivery::ByEngine);

    // One open shard, of a stream that can be told from a later one of its name.
    let listed = listing(source).await;
    assert!(!listed.incarnation.is_empty());
    assert_eq!(listed, listing(source).await, "a stream at rest is listed alike");
    let [shard] = &listed.partitions[..] else { panic!("one shard: {:?}", listed.partitions) };
    assert!(!shard.closed && shard.parents.is_empty(), "{shard:?}");
    let shard = &shard.id;

    // Nothing there: no error, no end. Latest begins behind what is there at its first poll.
    let mut follower = Reader::new(source, shard, Position::TrimHorizon);
    let mut newest = Reader::new(source, shard, Position::Latest);
    for reader in [&mut follower, &mut newest] {
        let polled = reader.poll(100).await;
        assert!(polled.records.is_empty() && !polled.ended && !polled.trimmed, "{polled:?}");
    }

    positions(source, stream, shard, &mut follower, &mut newest).await;
    drops(source, stream, shard, &mut follower).await;
    timestamps(source, stream, shard, &mut follower).await;
    end(source, stream, shard, &mut follower, &mut newest).await;
}

const FIRST: [&str; 5] = ["alpha", "bravo", "charlie", "delta", "echo"];

async fn positions(
    source: &dyn Source,
    stream: &dyn StreamUnderTest,
    shard: &PartitionId,
    follower: &mut Reader<'_>,
    newest: &mut Reader<'_>,
) {
    for key in FIRST {
        stream.put(key).await;
    }
    let records = follower.read(5).await;
    assert_keys(&records, &FIRST, "in the order of the puts");
    let numbers: Vec<SequenceNumber> = records.iter().map(number).collect();
    assert!(numbers.is_sorted_by(|one, two| one < two), "sequence numbers rise: {numbers:?}");
    for record in &records {
        assert_eq!((&record.receipt.0, record.receive_count), (&record.id, 1));
        let arrived_at = record.arrived_at.expect("a record of a stream has an arrival time");
        assert!(arrived_at.duration_since(Timestamp::now()).as_secs().abs() < 120, "{arrived_at}");
        let event: serde_json::Value = serde_json::from_slice(&record.event).expect("the event is JSON");
        assert!(event.is_object(), "{event}");
    }
    assert_keys(&newest.read(5).await, &FIRST, "latest before the puts");
    if source.idle_wait() < WAIT || source.is_pushed() {
        assert!(!follower.poll(100).await.ended, "an open shard doesn't end");
    }

    // From any place again, and in any portions, the same records.
    let again = Reader::new(source, shard, Position::TrimHorizon).read(5).await;
    assert_eq!(again, records, "read again, a record is the same to the byte");
    assert_keys(&Reader::new(source, shard, Position::After(numbers[1].clone())).read(3).await, &FIRST[2..], "after");
    let mut portions = Reader::new(source, shard, Position::TrimHorizon);
    let mut collected = Vec::new();
    let deadline = Instant::now() + LIMIT;
    while collected.len() < 5 && Instant::now() < deadline {
        let polled = portions.poll(2).await;
        assert!(polled.more || collected.len() + polled.records.len() == 5 || polled.records.len() < 2, "{polled:?}");
        collected.extend(polled.records);
    }
    assert_keys(&collected, &FIRST, "in portions of two");

    // A token that is too old: on from the position, nothing twice, nothing left out.
    if stream.expire(&mut portions.cursor) {
        stream.put("foxtrot").await;
        assert_keys(&portions.read(1).await, &["foxtrot"], "after the token's end");
    } else {
        stream.put("foxtrot").await;
    }
    assert_keys(&follower.read(1).await, &["foxtrot"], "the follower");
    assert_keys(&newest.read(1).await, &["foxtrot"], "the follower from latest on");

    // Also before a first record has come: a record put after the first poll of latest is never missed.
    let mut fresh = Reader::new(source, shard, Position::Latest);
    let polled = fresh.poll(100).await;
    assert_keys(&polled.records, &[], "latest leaves out what is there");
    stream.put("golf").await;
    if stream.has_timestamps() {
        stream.expire(&mut fresh.cursor);
    }
    let records = fresh.read(1).await;
    assert!(records.iter().any(|record| record.order_key.as_ref().is_some_and(|key| key.contains("golf"))));
    assert_keys(&follower.read(1).await, &["golf"], "the follower");
}

/// Polls that are dropped on their way lose nothing: the cursor still stands before what they would have given.
async fn drops(source: &dyn Source, stream: &dyn StreamUnderTest, shard: &PartitionId, follower: &mut Reader<'_>) {
    let mut dropped = Reader::new(source, shard, follower.cursor.position.clone());
    let names: Vec<String> = (0..10).map(|i| format!("hotel{i}")).collect();
    let mut records = Vec::new();
    for (i, name) in names.iter().enumerate() {
        stream.put(name).await;
        for attempt in 0..6 {
            let limit = Duration::from_micros(200 << (attempt + i % 3));
            if let Ok(polled) = tokio::time::timeout(limit, dropped.poll(100)).await {
                records.extend(polled.records);
            }
        }
    }
    let rest = names.len() - records.len().min(names.len());
    records.extend(dropped.read(rest).await);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_keys(&records, &names, "after dropped polls");
    assert_keys(&follower.read(10).await, &names, "the follower");
}

async fn timestamps(source: &dyn Source, stream: &dyn StreamUnderTest, shard: &PartitionId, follower: &mut Reader<'_>) {
    if !stream.has_timestamps() {
        return;
    }
    // Some backends keep arrival times in whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let between = Timestamp::now();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stream.put("india").await;
    assert_keys(&follower.read(1).await, &["india"], "the follower");
    let from = |at: Timestamp| Reader::new(source, shard, Position::AtTimestamp(at));
    assert_keys(&from(between).read(1).await, &["india"], "from a time on");
    assert_eq!(from(between - Duration::from_secs(3_600)).read(18).await.len(), 18, "from before the first record on");
}

async fn end(
    source: &dyn Source,
    stream: &dyn StreamUnderTest,
    shard: &PartitionId,
    follower: &mut Reader<'_>,
    newest: &mut Reader<'_>,
) {
    stream.put("juliett").await;
    if !stream.reshard().await {
        return;
    }
    stream.put("kilo").await;
    let listed = listing(source).await;
    // Some backends drop a closed parent from the listing at once.
    assert!(listed.partitions.iter().filter(|it| it.id == *shard).all(|it| it.closed), "{listed:?}");
    let children: Vec<_> = listed.partitions.iter().filter(|it| it.id != *shard).collect();
    assert!(
        !children.is_empty() && children.iter().all(|it| !it.closed && it.parents == [shard.clone()]),
        "{listed:?}"
    );

    // The parent ends behind its last record, for whoever was reading it and for whoever begins now.
    assert_keys(&follower.read_to_end().await, &["juliett"], "the follower, to the end");
    newest.read_to_end().await;
    let mut all = Reader::new(source, shard, Position::TrimHorizon);
    let records = all.read_to_end().await;
    let last = records.last().expect("the parent holds records");
    assert_keys(std::slice::from_ref(last), &["juliett"], "the parent's last record");
    let behind_the_last = Position::After(number(last));
    assert_keys(&Reader::new(source, shard, behind_the_last).read_to_end().await, &[], "restarted behind the last");

    // What was put since is in the children, whole, from the horizon on.
    let mut found = BTreeSet::new();
    let mut readers: Vec<_> =
        children.iter().map(|child| Reader::new(source, &child.id, Position::TrimHorizon)).collect();
    let deadline = Instant::now() + LIMIT;
    while found.is_empty() {
        assert!(Instant::now() < deadline, "the record is in a child");
        for reader in &mut readers {
            let polled = reader.poll(100).await;
            assert!(!polled.ended, "a child is open");
            found.extend(polled.records.into_iter().filter_map(|record| record.order_key));
        }
    }
    assert!(found.len() == 1 && found.iter().all(|key| key.contains("kilo")), "{found:?}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pelton_core::SystemClock;

    use super::*;
    use crate::FakeStream;

    struct Fake {
        stream: FakeStream,
        open: AtomicUsize,
    }

    #[async_trait]
    impl StreamUnderTest for Fake {
        async fn put(&self, key: &str) {
            self.stream.put(self.open.load(Ordering::Relaxed), key);
        }

        async fn reshard(&self) -> bool {
            let open = self.open.fetch_add(1, Ordering::Relaxed);
            self.stream.reshard(&[open], &[open + 1, open + 2]);
            true
        }

        /// The fake's tokens never get old.
        fn expire(&self, _cursor: &mut Cursor) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn the_fake_passes_the_stream_suite() {
        let fake = Fake { stream: FakeStream::new(1, Arc::new(SystemClock)), open: AtomicUsize::new(1) };
        stream_suite(&fake.stream, &fake).await;
    }
}
