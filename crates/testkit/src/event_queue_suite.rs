//! What every [`EventQueue`] that is a store promises, checked against each.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed expectation is what the suite is for")]

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pelton_core::{AsyncEvent, Due, EventId, EventQueue, EventSummary, FunctionName, StoreError, TraceHeader, Waiting};
use uuid::Uuid;

/// A function that no other test has.
pub fn new_function() -> FunctionName {
    let name = format!("arn:aws:lambda:eu-west-1:000000000000:function:f-{:032x}:$LATEST", fastrand::u128(..));
    name.parse().unwrap()
}

/// So many seconds of the suite's time, with microseconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_760_000_000_123_456).unwrap() + SignedDuration::from_secs(seconds)
}

/// A new event that was accepted at a second and is due at once.
pub fn new_event(function: &FunctionName, second: i64) -> AsyncEvent {
    AsyncEvent {
        id: EventId(Uuid::from_u128(fastrand::u128(..))),
        function: function.clone(),
        payload: Bytes::from(format!(r#"{{"second":{second}}}"#)),
        client_context: None,
        trace: TraceHeader::received(Some("Root=1-67a-9c;Parent=5f;Sampled=1")),
        accepted_at: at(second),
        attempts: 0,
        refusals: 0,
        due_at: at(second),
    }
}

fn summary(event: &AsyncEvent, is_taken: bool) -> EventSummary {
    let AsyncEvent { id, function, accepted_at, attempts, due_at, .. } = event.clone();
    EventSummary { id, function, accepted_at, attempts, due_at, is_taken }
}

async fn add(queue: &dyn EventQueue, events: &[&AsyncEvent]) {
    for event in events {
        queue.add((*event).clone()).await.expect("an event can be added");
    }
}

async fn take(queue: &dyn EventQueue, function: &FunctionName, second: i64, most: usize) -> Due {
    queue.take(function, at(second), most).await.expect("events can be taken")
}

async fn count(queue: &dyn EventQueue, function: &FunctionName) -> u64 {
    let waiting = queue.waiting().await.expect("functions can be listed");
    let found: Vec<Waiting> = waiting.into_iter().filter(|it| it.function == *function).collect();
    assert!(found.len() < 2, "a function is listed once: {found:?}");
    found.first().map_or(0, |it| it.events)
}

async fn ids(queue: &dyn EventQueue, function: Option<&FunctionName>, after: &AsyncEvent, most: usize) -> Vec<EventId> {
    let listed = queue.events(function, Some((after.accepted_at, after.id)), most).await.expect("events can be listed");
    listed.into_iter().map(|it| it.id).collect()
}

/// Runs the suite. Nobody else may use the queue meanwhile.
pub async fn event_queue_suite(queue: &dyn EventQueue) {
    an_event_is_kept_as_it_is_until_it_is_removed(queue).await;
    an_id_is_there_once(queue).await;
    what_is_due_is_taken_once_the_longest_due_first(queue).await;
    what_is_put_back_waits_with_its_new_counts(queue).await;
    what_is_gone_stays_gone(queue).await;
    functions_and_qualifiers_have_lines_of_their_own(queue).await;
    only_what_waits_is_cancelled(queue).await;
    events_are_listed_in_pages_by_acceptance(queue).await;
    takers_at_the_same_time_share_nothing(queue).await;
    assert_eq!(queue.waiting().await, Ok(Vec::new()), "nothing is left");
    assert_eq!(queue.events(None, None, 10).await, Ok(Vec::new()));
}

async fn an_event_is_kept_as_it_is_until_it_is_removed(queue: &dyn EventQueue) {
    let function = new_function();
    let large = Bytes::from(format!("\"{}\"", "é".repeat(512 * 1_024)));
    let payloads = [Bytes::from_static(b"{}"), Bytes::from_static(b"\"\\u0000 \xe2\x98\x83\""), large];
    for payload in payloads {
        let plain = AsyncEvent { payload, ..new_event(&function, 1) };
        let trace = plain.trace.next_hop();
        let context = Some("eyJjbGllbnQiOnt9fQ==".to_owned());
        let id = EventId(Uuid::from_u128(fastrand::u128(..)));
        let counted = AsyncEvent { attempts: 2, refusals: 7, due_at: at(2), ..plain.clone() };
        let full = AsyncEvent { id, client_context: context, trace, ..counted };
        assert_eq!(queue.event(plain.id).await, Ok(None));
        add(queue, &[&plain, &full]).await;
        assert_eq!(queue.event(full.id).await, Ok(Some(full.clone())));
        assert_eq!(take(queue, &function, 2, 10).await, Due { events: vec![plain.clone(), full.clone()], next: None });
        assert_eq!(queue.event(plain.id).await, Ok(Some(plain.clone())), "taken, it is still there");
        assert_eq!(count(queue, &function).await, 2, "and counts");
        assert_eq!(queue.events(Some(&function), None, 1).await.map(|it| it[0].is_taken), Ok(true));
        for event in [&plain, &full] {
            queue.remove(event.id).await.expect("an event can be removed");
            assert_eq!(queue.event(event.id).await, Ok(None));
        }
        assert_eq!(count(queue, &function).await, 0);
    }
}

async fn an_id_is_there_once(queue: &dyn EventQueue) {
    let function = new_function();
    let event = new_event(&function, 1);
    add(queue, &[&event]).await;
    for is_taken in [false, true] {
        let other = AsyncEvent { payload: Bytes::from_static(b"\"another\""), ..event.clone() };
        let (refused, added) = futures_util::join!(queue.add(other), queue.add(new_event(&function, 9)));
        assert!(
            matches!(&refused, Err(StoreError::Refused(text)) if text.contains(&event.id.to_string())),
            "{refused:?}"
        );
        assert_eq!(added, Ok(()), "it is nobody else's trouble");
        assert_eq!(queue.event(event.id).await, Ok(Some(event.clone())));
        let taken = take(queue, &function, 1, 10).await.events;
        assert_eq!(taken, if is_taken { vec![] } else { vec![event.clone()] });
    }
    for event in [event].into_iter().chain(take(queue, &function, 9, 10).await.events) {
        queue.remove(event.id).await.expect("an event can be removed");
    }
}

async fn what_is_due_is_taken_once_the_longest_due_first(queue: &dyn EventQueue) {
    let function = new_function();
    let [third, first, second, later] = [3, 1, 2, 20].map(|second| new_event(&function, second));
    let last = AsyncEvent { due_at: at(30), ..new_event(&function, 0) };
    add(queue, &[&third, &last, &first, &later, &second]).await;
    assert_eq!(take(queue, &function, 0, 10).await, Due { events: vec![], next: Some(at(1)) });
    assert_eq!(take(queue, &function, 10, 0).await, Due { events: vec![], next: Some(at(1)) });
    let due = take(queue, &function, 10, 2).await;
    assert_eq!(due, Due { events: vec![first.clone(), second.clone()], next: Some(at(3)) }, "one more is due");
    assert_eq!(take(queue, &function, 10, 2).await, Due { events: vec![third.clone()], next: Some(at(20)) });
    assert_eq!(take(queue, &function, 20, 2).await, Due { events: vec![later.clone()], next: Some(at(30)) });
    assert_eq!(take(queue, &function, 29, 2).await, Due { events: vec![], next: Some(at(30)) });
    assert_eq!(take(queue, &function, 30, 2).await, Due { events: vec![last.clone()], next: None });
    assert_eq!(take(queue, &function, 100, 10).await, Due::default());
    for event in [first, second, third, later, last] {
        queue.remove(event.id).await.expect("an event can be removed");
    }
    assert_eq!(take(queue, &new_function(), 100, 10).await, Due::default(), "of a function that never had one");
}

async fn what_is_put_back_waits_with_its_new_counts(queue: &dyn EventQueue) {
    let function = new_function();
    let (event, other) = (new_event(&function, 1), new_event(&function, 5));
    add(queue, &[&event, &other]).await;
    assert_eq!(take(queue, &function, 1, 1).await.events, std::slice::from_ref(&event));
    let again = AsyncEvent { attempts: 1, refusals: 3, due_at: at(9), ..event.clone() };
    queue.put_back(&again).await.expect("an event can be put back");
    queue.put_back(&again).await.expect("also twice, as after a lost answer");
    assert_eq!(queue.event(event.id).await, Ok(Some(again.clone())));
    let mut listed = queue.events(Some(&function), None, 10).await.expect("events can be listed");
    listed.sort_by_key(|it| it.accepted_at);
    assert_eq!(listed, [summary(&again, false), summary(&other, false)], "the time of acceptance stays");
    assert_eq!(take(queue, &function, 8, 10).await, Due { events: vec![other.clone()], next: Some(at(9)) });
    assert_eq!(take(queue, &function, 9, 10).await, Due { events: vec![again.clone()], next: None });
    assert_eq!(count(queue, &function).await, 2);
    for event in [event, other] {
        queue.remove(event.id).await.expect("an event can be removed");
    }
}

async fn what_is_gone_stays_gone(queue: &dyn EventQueue) {
    let function = new_function();
    let event = new_event(&function, 1);
    add(queue, &[&event]).await;
    take(queue, &function, 1, 1).await;
    queue.remove(event.id).await.expect("an event can be removed");
    queue.remove(event.id).await.expect("one that is gone is no error");
    queue.put_back(&event).await.expect("nor is this");
    assert_eq!(queue.event(event.id).await, Ok(None));
    assert_eq!(take(queue, &function, 1, 1).await, Due::default());
    assert_eq!(queue.cancel(event.id).await, Ok(false));
    add(queue, &[&event]).await;
    assert_eq!(take(queue, &function, 1, 1).await.events, std::slice::from_ref(&event), "it can be added anew");
    queue.remove(event.id).await.expect("an event can be removed");
}

async fn functions_and_qualifiers_have_lines_of_their_own(queue: &dyn EventQueue) {
    let unqualified = new_function().as_str().trim_end_matches("$LATEST").to_owned();
    let functions = ["$LATEST", "7", "alias", "aliases"].map(|it| format!("{unqualified}{it}").parse().unwrap());
    let events = functions.each_ref().map(|function| new_event(function, 1));
    add(queue, &events.each_ref()).await;
    for (function, event) in functions.iter().zip(&events) {
        assert_eq!(count(queue, function).await, 1);
        assert_eq!(take(queue, function, 1, 10).await, Due { events: vec![event.clone()], next: None });
        assert_eq!(queue.events(Some(function), None, 10).await, Ok(vec![summary(event, true)]));
        queue.remove(event.id).await.expect("an event can be removed");
    }
}

async fn only_what_waits_is_cancelled(queue: &dyn EventQueue) {
    let function = new_function();
    let (waits, taken) = (new_event(&function, 2), new_event(&function, 1));
    add(queue, &[&waits, &taken]).await;
    take(queue, &function, 2, 1).await;
    assert_eq!(queue.cancel(taken.id).await, Ok(false), "it is being worked on");
    assert_eq!(queue.cancel(waits.id).await, Ok(true));
    assert_eq!(queue.cancel(waits.id).await, Ok(false), "it is gone");
    assert_eq!(take(queue, &function, 9, 10).await, Due::default());
    assert_eq!(queue.event(taken.id).await, Ok(Some(taken.clone())));
    queue.put_back(&taken).await.expect("an event can be put back");
    assert_eq!(queue.cancel(taken.id).await, Ok(true), "put back, it waits");
    assert_eq!(count(queue, &function).await, 0);
}

async fn events_are_listed_in_pages_by_acceptance(queue: &dyn EventQueue) {
    let functions = [new_function(), new_function()];
    // Three of each second.
    let mut events: Vec<_> = (0..30).map(|number| new_event(&functions[number % 2], number as i64 / 3)).collect();
    let mut shuffled: Vec<_> = events.iter().collect();
    fastrand::shuffle(&mut shuffled);
    add(queue, &shuffled).await;
    events.sort_by_key(|event| (event.accepted_at, event.id));
    let first = queue.events(None, None, 1).await.expect("events can be listed");
    assert_eq!(first, [summary(&events[0], false)]);
    for (number, event) in events.iter().enumerate() {
        let rest = events[number + 1..].iter();
        assert_eq!(ids(queue, None, event, 4).await, rest.clone().take(4).map(|it| it.id).collect::<Vec<_>>());
        for function in &functions {
            let expected: Vec<_> = rest.clone().filter(|it| it.function == *function).map(|it| it.id).collect();
            assert_eq!(ids(queue, Some(function), event, 100).await, expected);
        }
    }
    queue.remove(events[7].id).await.expect("an event can be removed");
    assert_eq!(ids(queue, None, &events[7], 1).await, [events[8].id], "the one before may be gone");
    for event in events {
        queue.remove(event.id).await.expect("an event can be removed");
    }
}

async fn takers_at_the_same_time_share_nothing(queue: &dyn EventQueue) {
    let function = new_function();
    let events: Vec<_> = (0..200).map(|second| new_event(&function, second)).collect();
    let added = events.iter().map(|event| queue.add(event.clone()));
    assert!(futures_util::future::join_all(added).await.iter().all(Result::is_ok));
    let takes = (0..50).map(|_| queue.take(&function, at(199), 7));
    let taken = futures_util::future::join_all(takes).await.into_iter().flat_map(|due| due.unwrap().events);
    let taken: Vec<EventId> = taken.map(|event| event.id).collect();
    assert_eq!(taken.len(), events.len());
    let all: BTreeSet<EventId> = events.iter().map(|event| event.id).collect();
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), all);
    assert_eq!(take(queue, &function, 1_000, 10).await, Due::default());
    assert_eq!(count(queue, &function).await, 200);
    for event in events {
        queue.remove(event.id).await.expect("an event can be removed");
    }
}
