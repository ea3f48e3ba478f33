use aws_sdk_dynamodbstreams::primitives::DateTime;
use proptest::prelude::*;

use super::*;

const ON_AWS: &str = "ab0ed3713569f4655f353e5ef61a88c4";
const ON_DYNAMODB_LOCAL: &str = "f7129dbd-a983-4ded-89d6-979b86ff357d";

fn record(id: &str, seconds: i64) -> Record {
    let body = StreamRecord::builder().approximate_creation_date_time(DateTime::from_secs(seconds)).build();
    Record::builder().event_id(id).dynamodb(body).build()
}

/// From where on and how many records of a page are taken.
fn taken(page: &[Record], since: Option<&str>, most: usize) -> (Option<i64>, usize, bool) {
    let taken = take(page, since.map(|since| since.parse().unwrap()), most);
    (taken.records.first().and_then(arrived_at).map(Timestamp::as_second), taken.records.len(), taken.cut)
}

/// 2024-12-05T17:10:59Z.
const AT: i64 = 1_733_418_659;

#[test]
fn a_time_begins_with_its_whole_second() {
    let page: Vec<Record> = (AT - 2..AT + 3).map(|seconds| record(ON_AWS, seconds)).collect();
    assert_eq!(taken(&page, Some("2024-12-05T17:10:59.999Z"), 10), (Some(AT), 3, false));
    assert_eq!(taken(&page, Some("2024-12-05T17:10:59Z"), 10), (Some(AT), 3, false));
    assert_eq!(taken(&page, Some("2024-12-05T17:11:05Z"), 10), (None, 0, false));
    assert_eq!(taken(&page, Some("2024-12-05T17:00:00Z"), 10), (Some(AT - 2), 5, false));
    assert_eq!(taken(&page, None, 10), (Some(AT - 2), 5, false));
}

/// DynamoDB Local cuts arrival times to whole minutes: left out, a record from after the cut would be lost.
#[test]
fn a_whole_minute_from_dynamodb_local_may_be_any_time_of_the_minute() {
    let minute = AT / 60 * 60;
    assert_eq!(taken(&[record(ON_DYNAMODB_LOCAL, minute)], Some("2024-12-05T17:10:59.999Z"), 10).1, 1);
    assert_eq!(taken(&[record(ON_DYNAMODB_LOCAL, minute)], Some("2024-12-05T17:11:00Z"), 10).1, 0);
    assert_eq!(taken(&[record(ON_DYNAMODB_LOCAL, AT - 1)], Some("2024-12-05T17:10:59Z"), 10).1, 0);
    assert_eq!(taken(&[record(ON_AWS, minute)], Some("2024-12-05T17:10:59.999Z"), 10).1, 0);
    // Another backend, whose times are good to the second.
    let page = [record(ON_DYNAMODB_LOCAL, minute), record(ON_DYNAMODB_LOCAL, minute + 1)];
    assert_eq!(taken(&page, Some("2024-12-05T17:10:01Z"), 10), (Some(minute + 1), 1, false));
}

#[test]
fn what_is_too_much_is_left_for_the_next_poll() {
    let page: Vec<Record> = (AT - 2..AT + 3).map(|seconds| record(ON_AWS, seconds)).collect();
    assert_eq!(taken(&page, Some("2024-12-05T17:10:59Z"), 2), (Some(AT), 2, true));
    assert_eq!(taken(&page, Some("2024-12-05T17:10:59Z"), 3), (Some(AT), 3, false));
}

proptest! {
    /// Times are approximate: once a record has passed, those behind it in the shard pass as well.
    #[test]
    fn what_is_given_is_one_piece_up_to_the_end_of_the_page(
        offsets in prop::collection::vec(-5i64..5, 0..12), most in 1usize..12
    ) {
        let page: Vec<Record> = offsets.iter().map(|offset| record(ON_AWS, AT + offset)).collect();
        let taken = take(&page, Some(Timestamp::from_second(AT).unwrap()), most);
        let first = offsets.iter().position(|offset| *offset >= 0).unwrap_or(offsets.len());
        let rest = &page[first..];
        prop_assert_eq!(taken.records, &rest[..rest.len().min(most)]);
        prop_assert_eq!(taken.cut, rest.len() > most);
    }
}
