//! FIFO queues: order within a group, and groups that don't hold each other up.
use std::collections::BTreeMap;

use pelton_tests::{Backend, Function, Pelton, Seen, mapping, on_both_backends};
use serde_json::{Value, json};

fn message(name: usize, more: Value) -> String {
    let mut message = json!({ "name": name });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message.to_string()
}

/// Group and names of one invocation, which is always about one group.
fn batch(seen: &Seen) -> (String, Vec<u64>) {
    let group = |record: &Value| record["attributes"]["MessageGroupId"].as_str().unwrap().to_owned();
    let first = group(&seen.records()[0]);
    assert!(seen.records().iter().all(|record| group(record) == first), "an invocation of one group");
    let name = |body: &str| serde_json::from_str::<Value>(body).unwrap()["name"].as_u64().unwrap();
    (first, seen.bodies().into_iter().map(name).collect())
}

fn by_group(seen: &[Seen]) -> BTreeMap<String, Vec<Vec<u64>>> {
    let mut groups: BTreeMap<String, Vec<Vec<u64>>> = BTreeMap::new();
    for (group, names) in seen.iter().map(batch) {
        groups.entry(group).or_default().push(names);
    }
    groups
}

fn no_group_overlaps(seen: &[Seen]) {
    for (i, one) in seen.iter().enumerate() {
        for other in &seen[i + 1..] {
            let apart = one.end.is_some_and(|end| end <= other.start) || other.end.is_some_and(|end| end <= one.start);
            assert!(apart || batch(one).0 != batch(other).0, "two batches of one group at once: {one:?} {other:?}");
        }
    }
}

async fn order_holds_within_each_group(backend: Backend) {
    let (queue, function) = (backend.fifo_queue(10).await, Function::new().with_concurrency(4));
    let groups = ["a", "b", "c", "d"];
    let messages = (0..48).map(|i| (groups[i % 4], message(i, json!({ "do": "sleep", "seconds": 0.05 }))));
    queue.send_to_groups(messages.collect::<Vec<_>>()).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({ "BatchSize": 3 }))]).await;
    queue.is_drained().await;
    let seen = function.seen();
    no_group_overlaps(&seen);
    let groups = by_group(&seen);
    assert_eq!(groups.len(), 4);
    for (i, (group, batches)) in groups.iter().enumerate() {
        let expected: Vec<u64> = (0..12).map(|n| n * 4 + i as u64).collect();
        assert_eq!(batches.concat(), expected, "group {group}");
    }
}

async fn a_failing_group_does_not_hold_up_the_others(backend: Backend) {
    let (queue, function) = (backend.fifo_queue(2).await, Function::new().with_concurrency(2));
    let mut messages = vec![("bad", message(0, json!({ "do": "fail", "times": 2 }))), ("bad", message(1, json!({})))];
    messages.extend((2..22).map(|i| (if i % 2 == 0 { "even" } else { "odd" }, message(i, json!({})))));
    queue.send_to_groups(messages).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({ "BatchSize": 1 }))]).await;
    queue.is_drained().await;
    let seen = function.seen();
    no_group_overlaps(&seen);
    let groups = by_group(&seen);
    assert_eq!(groups["bad"].concat(), [0, 0, 0, 1], "the failing message blocks its own group");
    assert_eq!(groups["even"].concat(), (2..22).step_by(2).collect::<Vec<_>>());
    assert_eq!(groups["odd"].concat(), (3..22).step_by(2).collect::<Vec<_>>());
    let last_good = seen.iter().rposition(|seen| batch(seen).0 != "bad").unwrap();
    let last_bad = seen.iter().rposition(|seen| batch(seen).0 == "bad").unwrap();
    assert!(last_good < last_bad, "the others were done before the failing group was");
}

async fn on_a_partial_failure_the_failed_and_those_after_it_come_back_in_order(backend: Backend) {
    let (queue, function) = (backend.fifo_queue(2).await, Function::new());
    let told = |i| if i == 1 { json!({ "do": "partial", "times": 1 }) } else { json!({}) };
    queue.send_to_groups((0..4).map(|i| ("group", message(i, told(i)))).collect::<Vec<_>>()).await;
    let more = json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"] });
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, more)]).await;
    queue.is_drained().await;
    let seen = function.seen();
    assert_eq!(by_group(&seen)["group"], [vec![0, 1, 2, 3], vec![1, 2, 3]]);
    assert_eq!(seen[1].receive_counts(), ["2", "2", "2"]);
}

async fn one_group_is_never_invoked_twice_at_once(backend: Backend) {
    let (queue, function) = (backend.fifo_queue(10).await, Function::new().with_concurrency(4));
    let messages = (0..6).map(|i| ("only", message(i, json!({ "do": "sleep", "seconds": 0.4 }))));
    queue.send_to_groups(messages.collect::<Vec<_>>()).await;
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, json!({ "BatchSize": 1 }))]).await;
    queue.is_drained().await;
    let seen = function.seen();
    no_group_overlaps(&seen);
    assert_eq!(by_group(&seen)["only"].concat(), [0, 1, 2, 3, 4, 5]);
}

on_both_backends!(
    order_holds_within_each_group,
    a_failing_group_does_not_hold_up_the_others,
    on_a_partial_failure_the_failed_and_those_after_it_come_back_in_order,
    one_group_is_never_invoked_twice_at_once,
);
