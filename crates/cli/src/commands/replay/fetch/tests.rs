use std::sync::Arc;

use jiff::Timestamp;
use pelton_testkit::{FakeClock, FakeStream, shard};

use super::*;

struct Test {
    stream: FakeStream,
}

impl Test {
    fn new() -> Self {
        Self { stream: FakeStream::new(1, Arc::new(FakeClock::at(Timestamp::UNIX_EPOCH))) }
    }

    fn put(&self, count: usize) {
        for number in 0..count {
            self.stream.put(1, &format!("key-{number}"));
        }
    }

    fn range(kind: StreamKind, start: u64, end: u64) -> Range {
        Range {
            kind,
            stream: "arn:aws:kinesis:us-east-1:000000000000:stream/orders".parse().unwrap(),
            shard: shard(1),
            start: start.to_string().parse().unwrap(),
            end: end.to_string().parse().unwrap(),
            first_arrival: Timestamp::UNIX_EPOCH,
            size: usize::try_from(end - start).unwrap() + 1,
        }
    }

    async fn fetch(&self, range: &Range, at: Option<&str>) -> Result<Vec<String>, FetchError> {
        let found = fetch(&self.stream, range, at.map(str::to_owned), |_| ", it keeps little".into()).await?;
        Ok(found.records.into_iter().map(|record| record.id).collect())
    }
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

const KINDS: [StreamKind; 2] = [StreamKind::Kinesis, StreamKind::DynamoDb];

#[tokio::test(start_paused = true)]
async fn exactly_the_records_of_the_range_are_read() {
    let test = Test::new();
    test.put(2500);
    for kind in KINDS {
        for (start, end) in [(1, 1), (2500, 2500), (3, 7), (900, 2100), (1, 2500)] {
            let range = Test::range(kind, start, end);
            assert_eq!(test.fetch(&range, None).await.unwrap(), numbers(start..=end));
            let before = (start - 1).to_string();
            assert_eq!(test.fetch(&range, Some(&before)).await.unwrap(), numbers(start..=end));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_before_the_first_record_saves_reading_up_to_there() {
    let test = Test::new();
    test.put(5000);
    let range = Test::range(StreamKind::DynamoDb, 4500, 4501);
    test.fetch(&range, Some("4499")).await.unwrap();
    assert_eq!(test.stream.polls(1).len(), 1);
    // A place that the source has lost: some give nothing, some what comes later.
    for wrong in ["5000", "4500"] {
        assert_eq!(test.fetch(&range, Some(wrong)).await.unwrap(), numbers(4500..=4501), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_trimmed_records_is_found() {
    for kind in KINDS {
        let test = Test::new();
        test.put(10);
        let range = Test::range(kind, 3, 7);
        test.stream.trim(1, 5);
        assert_eq!(test.fetch(&range, Some("2")).await.unwrap(), numbers(6..=7));
        test.stream.trim(1, 8);
        let error = test.fetch(&range, Some("2")).await.unwrap_err().to_string();
        assert_eq!(error, "none of the 5 records is left in shard shard-1, it keeps little");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_never_gives_the_last_record_ends_the_search() {
    let test = Test::new();
    test.put(4);
    let range = Test::range(StreamKind::DynamoDb, 3, 9);
    assert_eq!(test.fetch(&range, None).await.unwrap(), numbers(3..=4));
    test.stream.close(1);
    assert_eq!(test.fetch(&range, None).await.unwrap(), numbers(3..=4));
}

#[tokio::test(start_paused = true)]
async fn a_shard_or_stream_that_is_gone_is_named() {
    let test = Test::new();
    test.put(4);
    let range = Range { shard: shard(9), ..Test::range(StreamKind::Kinesis, 1, 2) };
    let error = test.fetch(&range, None).await.unwrap_err().to_string();
    assert!(error.starts_with("shard shard-9 is no longer in arn:aws:kinesis:"), "{error}");
    // MiniStack leaves closed shards out that can still be read.
    test.stream.unlist(1);
    assert_eq!(test.fetch(&Test::range(StreamKind::Kinesis, 1, 2), None).await.unwrap(), numbers(1..=2));
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_waited_out() {
    let test = Test::new();
    test.put(4);
    let range = Test::range(StreamKind::Kinesis, 1, 4);
    let throttled = ErrorKind::Throttled { retry_after: Some(Duration::from_secs(9)) };
    test.stream.fail([ErrorKind::Transient, throttled, ErrorKind::Transient]);
    assert_eq!(test.fetch(&range, None).await.unwrap(), numbers(1..=4));
    let polls = test.stream.polls(1);
    assert!(polls[2] - polls[1] >= Duration::from_secs(9), "{polls:?}");

    test.stream.fail([ErrorKind::Refused]);
    let error = test.fetch(&range, None).await.unwrap_err().to_string();
    assert_eq!(error, "the stream can't be read: Refused on purpose");
    test.stream.break_shard(1, true);
    let error = test.fetch(&range, None).await.unwrap_err().to_string();
    assert_eq!(error, "the stream can't be read: broken on purpose");
}
