//! The account notices what it is there for.
use super::*;

const LEASE: Duration = Duration::from_secs(2);

fn at(start: Instant, milliseconds: u64) -> Instant {
    start + Duration::from_millis(milliseconds)
}

/// Invocations by door, start and end in milliseconds, and records, all of them processed; kills.
fn account(order: &[u64], invocations: &[(usize, u64, u64, &[u64])], kills: &[u64]) -> Account {
    let start = Instant::now();
    let invocation = |(door, from, to, records): &(usize, u64, u64, &[u64])| Invocation {
        door: *door,
        shard: "shard".into(),
        start: at(start, *from),
        end: Some(at(start, *to)),
        records: records.iter().map(|number| (*number, number.to_string())).collect(),
        processed: records.len(),
    };
    Account {
        order: order.to_vec(),
        failing: BTreeSet::new(),
        given_up: BTreeSet::new(),
        invocations: invocations.iter().map(invocation).collect(),
        processed: invocations.iter().flat_map(|(.., records)| records.to_vec()).collect(),
        kills: kills.iter().map(|kill| at(start, *kill)).collect(),
    }
}

#[test]
#[should_panic(expected = "neither processed nor recorded: [2]")]
fn a_lost_record() {
    account(&[1, 2, 3], &[(0, 0, 9, &[1, 3])], &[]).nothing_is_lost();
}

#[test]
#[should_panic(expected = "given up, and told to fail")]
fn a_record_given_up_without_need() {
    let account = account(&[1, 2], &[(0, 0, 9, &[1])], &[]);
    Account { given_up: BTreeSet::from([2]), ..account }.nothing_is_lost();
}

#[test]
#[should_panic(expected = "the next of its key")]
fn a_record_before_its_predecessor() {
    account(&[1, 2, 3], &[(0, 0, 9, &[1, 3]), (0, 9, 10, &[2])], &[]).order_holds(|_| 0);
}

#[test]
#[should_panic(expected = "still ran when")]
fn a_key_in_two_invocations_at_once() {
    account(&[1, 2], &[(0, 0, 9, &[1]), (0, 8, 19, &[2])], &[]).keys_are_worked_on_once_at_a_time(|_| 0);
}

#[test]
#[should_panic(expected = "comes again without a kill")]
fn a_record_again_without_a_kill() {
    account(&[1], &[(0, 0, 9, &[1]), (0, 10, 19, &[1])], &[]).only_what_was_in_flight_comes_again();
}

#[test]
#[should_panic(expected = "was processed 2.991s before the kill")]
fn a_record_again_that_was_settled_long_before_the_kill() {
    account(&[1], &[(0, 0, 9, &[1]), (1, 4_000, 4_009, &[1])], &[3_000]).only_what_was_in_flight_comes_again();
}

#[test]
fn a_record_that_was_in_flight_may_come_again() {
    let account = account(&[1, 2], &[(0, 0, 9, &[1]), (1, 400, 409, &[1, 2])], &[10]);
    account.nothing_is_lost();
    account.order_holds(|_| 0);
    assert_eq!(account.only_what_was_in_flight_comes_again(), 1);
    account.shards_are_worked_on_by_one_at_a_time(LEASE);
}

#[test]
#[should_panic(expected = "both worked on shard for 2.9s")]
fn a_shard_with_two_workers() {
    let records: &[u64] = &[1];
    let invocations = [(0, 0), (1, 500), (0, 1_500), (1, 2_000), (0, 3_400), (1, 3_900)];
    let invocations = invocations.map(|(door, start)| (door, start, start + 9, records));
    account(&[1], &invocations, &[]).shards_are_worked_on_by_one_at_a_time(LEASE);
}
