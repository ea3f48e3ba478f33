//! What one process sees.
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pelton_core::{AsyncEvent, Due, EventQueue as _, StoreError};
use pelton_testkit::event_queue_suite::new_function;

use crate::support::{LIMIT, LONG, Queue, SHORT, arrived, config, event_now, on_both};

on_both!(
    an_event_is_the_same_behind_the_queue_and_is_gone_when_it_is_removed,
    what_is_put_back_comes_again_when_it_is_due_with_its_counts,
    what_is_due_much_later_is_not_held_until_then,
    only_what_waits_is_cancelled,
    a_slow_function_leaves_room_for_others_and_its_events_are_no_dead_letters,
    what_is_no_event_is_left_to_the_redrive_policy,
    what_sqs_can_not_keep_is_refused,
    a_queue_that_is_not_there_is_named,
);

async fn an_event_is_the_same_behind_the_queue_and_is_gone_when_it_is_removed(endpoint: &str) {
    let (queue, function) = (Queue::new(endpoint, LONG).await, new_function());
    let replica = queue.replica();
    let context = Some("eyJjbGllbnQiOnt9fQ==".to_owned());
    let payload = Bytes::from("\t{\"é\\u0000\": \"☃ & <\"}\r\n".to_owned());
    let event = AsyncEvent { payload, client_context: context, ..event_now(&function) };
    replica.add(event.clone()).await.unwrap();
    assert_eq!(arrived(&replica, &function).await, std::slice::from_ref(&event));
    assert_eq!(replica.event(event.id).await, Ok(Some(event.clone())));
    assert_eq!(replica.waiting().await.unwrap()[0].events, 1);
    replica.remove(event.id).await.unwrap();
    replica.remove(event.id).await.unwrap();
    assert_eq!(replica.event(event.id).await, Ok(None));
    assert_eq!(replica.waiting().await, Ok(vec![]));
    replica.put_back(&event).await.unwrap();
    queue.has(0).await;
    replica.close().await;
}

async fn what_is_put_back_comes_again_when_it_is_due_with_its_counts(endpoint: &str) {
    let (queue, function) = (Queue::new(endpoint, LONG).await, new_function());
    let replica = queue.replica();
    let event = event_now(&function);
    replica.add(event.clone()).await.unwrap();
    assert_eq!(arrived(&replica, &function).await, std::slice::from_ref(&event));
    // Less than a second is waited for here, the rest in SQS.
    for (attempts, milliseconds) in [(1, 300), (2, 1_800)] {
        let due_at = Timestamp::now() + SignedDuration::from_millis(milliseconds);
        let again = AsyncEvent { attempts, refusals: 3, due_at, ..event.clone() };
        replica.put_back(&again).await.unwrap();
        assert_eq!(replica.event(event.id).await.map(|it| it.is_none_or(|it| it == again)), Ok(true));
        assert_eq!(arrived(&replica, &function).await, [again]);
        assert!(Timestamp::now() >= due_at, "not before it is due");
    }
    assert_eq!(queue.count().await.0, 1, "the earlier messages are gone");
    replica.remove(event.id).await.unwrap();
    queue.has(0).await;
    replica.close().await;
}

async fn what_is_due_much_later_is_not_held_until_then(endpoint: &str) {
    let (queue, function) = (Queue::new(endpoint, SHORT).await, new_function());
    let replica = queue.replica();
    // As if its 15 minutes in SQS were over, and it had some more to wait.
    let early = AsyncEvent { due_at: Timestamp::now() + SignedDuration::from_hours(2), ..event_now(&function) };
    let sender = queue.client.send_message().queue_url(&queue.url).message_body("{}");
    let attributes = [
        ("PeltonRequestId", early.id.to_string()),
        ("PeltonFunction", function.to_string()),
        ("PeltonTrace", early.trace.to_string()),
        ("PeltonAcceptedAt", early.accepted_at.to_string()),
        ("PeltonDueAt", early.due_at.to_string()),
        ("PeltonAttempts", "1".into()),
        ("PeltonRefusals", "0".into()),
    ];
    let sender = attributes.into_iter().fold(sender, |sender, (name, value)| {
        let value = aws_sdk_sqs::types::MessageAttributeValue::builder().data_type("String").string_value(value);
        sender.message_attributes(name, value.build().unwrap())
    });
    sender.send().await.unwrap();
    pelton_testkit::eventually("it is hidden", LIMIT, || async { queue.count().await == (1, 1) }).await;
    // Longer than it is hidden for once received: it was hidden for longer.
    let nothing = tokio::time::timeout(std::time::Duration::from_secs(4), replica.arrival()).await;
    assert!(nothing.is_err(), "it isn't due");
    assert_eq!(queue.count().await, (1, 1));
    assert_eq!(replica.waiting().await, Ok(vec![]), "nor held");
    replica.close().await;
}

async fn only_what_waits_is_cancelled(endpoint: &str) {
    let (queue, function) = (Queue::new(endpoint, LONG).await, new_function());
    let replica = queue.replica();
    let (taken, waits) = (event_now(&function), event_now(&function));
    replica.add(taken.clone()).await.unwrap();
    arrived(&replica, &function).await;
    replica.add(waits.clone()).await.unwrap();
    let received = || async { replica.waiting().await.unwrap()[0].events == 2 };
    pelton_testkit::eventually("both are here", LIMIT, received).await;
    let listed = replica.events(Some(&function), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.is_taken).collect::<Vec<_>>(), [true, false]);
    assert_eq!(replica.cancel(taken.id).await, Ok(false));
    assert_eq!(replica.cancel(waits.id).await, Ok(true));
    assert_eq!(replica.cancel(waits.id).await, Ok(false));
    assert_eq!(replica.take(&function, Timestamp::now(), 10).await, Ok(Due::default()));
    queue.has(1).await;
    replica.close().await;
}

async fn a_slow_function_leaves_room_for_others_and_its_events_are_no_dead_letters(endpoint: &str) {
    let dead = Queue::new(endpoint, LONG).await;
    let queue = Queue::with(endpoint, LONG, Some((&dead, 2))).await;
    let (slow, quick) = (new_function(), new_function());
    let replica = queue.replica();
    let adds = (0..260).map(|_| replica.add(event_now(&slow)));
    assert!(futures_util::future::join_all(adds).await.iter().all(Result::is_ok));
    let held = || async { replica.waiting().await.unwrap().first().is_some_and(|it| it.events == 200) };
    pelton_testkit::eventually("its share is here", LIMIT, held).await;
    let event = event_now(&quick);
    replica.add(event.clone()).await.unwrap();
    assert_eq!(arrived(&replica, &quick).await, std::slice::from_ref(&event));
    replica.remove(event.id).await.unwrap();
    // Longer than those without room need to come three times.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(6);
    while tokio::time::Instant::now() < deadline {
        assert_eq!(replica.waiting().await.unwrap()[0].events, 200);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(dead.count().await.0, 0, "only waiting makes no dead letter");
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 260 {
        for event in arrived(&replica, &slow).await {
            assert!(seen.insert(event.id), "{event:?} came twice");
            replica.remove(event.id).await.unwrap();
        }
    }
    queue.has(0).await;
    replica.close().await;
}

async fn what_is_no_event_is_left_to_the_redrive_policy(endpoint: &str) {
    let dead = Queue::new(endpoint, LONG).await;
    let queue = Queue::with(endpoint, SHORT, Some((&dead, 1))).await;
    let (replica, function) = (queue.replica(), new_function());
    queue.client.send_message().queue_url(&queue.url).message_body("{}").send().await.unwrap();
    let event = event_now(&function);
    replica.add(event.clone()).await.unwrap();
    assert_eq!(arrived(&replica, &function).await, std::slice::from_ref(&event));
    replica.remove(event.id).await.unwrap();
    dead.has(1).await;
    queue.has(0).await;
    replica.close().await;
}

async fn what_sqs_can_not_keep_is_refused(endpoint: &str) {
    let (queue, function) = (Queue::new(endpoint, LONG).await, new_function());
    let replica = queue.replica();
    for payload in [Bytes::from("\"\u{ffff}\""), Bytes::from(format!("\"{}\"", "x".repeat(1_048_576)))] {
        let refused = replica.add(AsyncEvent { payload, ..event_now(&function) }).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    assert_eq!(queue.count().await.0, 0);
    replica.close().await;
}

async fn a_queue_that_is_not_there_is_named(endpoint: &str) {
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:none-{:032x}", fastrand::u128(..));
    let queue = Queue { arn: arn.clone(), ..Queue::new(endpoint, LONG).await };
    let replica = queue.replica_of(&config(endpoint).await);
    let error = replica.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    let expected = format!("GetQueueUrl on AsyncQueue {arn} failed: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(replica.add(event_now(&new_function())).await, Err(error));
    // Made later, it is used.
    let name = arn.rsplit(':').next().unwrap();
    queue.client.create_queue().queue_name(name).send().await.unwrap();
    let function = new_function();
    replica.add(event_now(&function)).await.unwrap();
    assert_eq!(arrived(&replica, &function).await.len(), 1);
    replica.close().await;
}
