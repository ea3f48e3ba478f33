use super::*;
use pelton_engine::LastError;

const NOW: &str = "2026-11-23T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn mapping(queue: &str) -> MappingStatus {
    MappingStatus {
        tags: Default::default(),
        uuid: queue.into(),
        event_source_arn: format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:work".into(),
        state: "Enabled".into(),
        last_processing_result: "OK".into(),
        last_error: None,
        backlog: Some(12),
        in_flight: 2,
        pollers: 1,
        polled: 1300,
        filtered: 0,
        invoked: 1300,
        failed: 4,
        dropped: 0,
        deleted: 1290,
        reported_successes: 0,
        reported_failures: 0,
        destination_delivery_failures: 0,
        expired_receipts: 0,
        retries: 0,
        bisects: 0,
        shards: vec![],
    }
}

fn wrong(message: &str, at: &str) -> Option<LastError> {
    Some(LastError { message: message.into(), at: at.parse().unwrap() })
}

#[test]
fn is_aligned_and_says_what_is_wrong() {
    let mut failing = mapping("a-queue-with-a-long-name.fifo");
    failing.function_arn.push_str(":live");
    failing.backlog = None;
    failing.last_processing_result = "PROBLEM: Function call failed: ValueError\n\x1b[31mtold to".into();
    failing.last_error = wrong("not shown", NOW);
    let mut recovered = mapping("orders");
    recovered.last_error = wrong("the endpoint was down", "2026-11-23T11:57:30Z");
    let text = table(&[failing, recovered, mapping("calm")], None, now());
    assert_eq!(
        text,
        "\
SOURCE                         FUNCTION   STATE    BACKLOG  IN FLIGHT  PROCESSED  FAILED  LAST ERROR
a-queue-with-a-long-name.fifo  work:live  Enabled        -          2       1296       4  Function call failed: ValueError [31mtold to
orders                         work       Enabled       12          2       1296       4  the endpoint was down (over, 2 min ago)
calm                           work       Enabled       12          2       1296       4  -
"
    );
    assert_eq!(table(&[], None, now()), "no mappings\n");
}

#[test]
fn rates_need_two_looks_and_survive_a_restart() {
    let shown = |rates: &Rates, mapping: &MappingStatus| {
        let text = table(std::slice::from_ref(mapping), Some(rates), now());
        text.lines().nth(1).unwrap().split_whitespace().nth(5).unwrap().to_owned()
    };
    let mut rates = Rates::default();
    let mut mapping = mapping("orders");
    let at = |seconds: i64| now() + jiff::SignedDuration::from_secs(seconds);
    rates.observe(std::slice::from_ref(&mapping), at(0));
    assert_eq!(shown(&rates, &mapping), "-");
    mapping.invoked += 501;
    rates.observe(std::slice::from_ref(&mapping), at(2));
    assert_eq!(shown(&rates, &mapping), "250");
    mapping.invoked = 3;
    rates.observe(std::slice::from_ref(&mapping), at(3));
    assert_eq!(shown(&rates, &mapping), "-");
    rates.observe(std::slice::from_ref(&mapping), at(4));
    assert_eq!(shown(&rates, &mapping), "0");
}

#[test]
fn long_errors_are_cut() {
    assert_eq!(printable(&"é".repeat(100)), "é".repeat(100));
    assert_eq!(printable(&"é".repeat(101)), format!("{}…", "é".repeat(99)));
}

#[test]
fn tells_ages_in_words() {
    for (at, words) in [
        ("2026-11-23T12:00:05Z", "0 s ago"),
        ("2026-11-23T11:59:01Z", "59 s ago"),
        ("2026-11-23T11:00:01Z", "59 min ago"),
        ("2026-11-22T12:00:01Z", "23 h ago"),
        ("2026-11-20T12:00:00Z", "3 d ago"),
    ] {
        assert_eq!(age(at.parse().unwrap(), now()), words);
    }
}

#[test]
fn the_backlog_of_a_stream_is_that_of_its_worst_open_shard() {
    let shard = |position: &str, behind, age| ShardStatus {
        position: position.into(),
        millis_behind_latest: behind,
        iterator_age_milliseconds: age,
        ..ShardStatus::default()
    };
    let shown = |shards| backlog(&MappingStatus { backlog: None, shards, ..mapping("stream/orders") });
    assert_eq!(shown(vec![]), "-");
    assert_eq!(shown(vec![shard("TRIM_HORIZON", None, None)]), "1 shard");
    assert_eq!(shown(vec![shard("7", Some(0), None), shard("SHARD_END", Some(9_000), None)]), "1 shard, 0 s behind");
    let slow_function = shard("7", Some(0), Some(2_100));
    let slow_reads = shard("7", Some(2_000), Some(0));
    assert_eq!(shown(vec![slow_function, slow_reads, shard("7", None, None)]), "3 shards, 2.1 s behind");
}
