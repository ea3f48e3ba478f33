use pelton_core::ErrorKind;
use pelton_testkit::{FakeQueue, Fault};

use super::*;

const VISIBILITY: Duration = Duration::from_secs(30);

fn queue(count: usize) -> FakeQueue {
    let queue = FakeQueue::new(VISIBILITY);
    (1..=count).for_each(|number| queue.send(&format!("m{number}")));
    queue
}

/// Replays; messages whose id is in `failing` fail. The ids, in order.
async fn replayed(queue: &FakeQueue, after: AfterSuccess, failing: &[&str], takes: Duration) -> (Tally, Vec<String>) {
    let (stop, mut seen) = (CancellationToken::new(), Vec::new());
    let tally = replay_all(queue, after, &stop, async |message| {
        tokio::time::sleep(takes).await;
        let works = !failing.contains(&message.id.as_str());
        seen.push(message.id);
        works
    });
    (tally.await.unwrap(), seen)
}

#[tokio::test(start_paused = true)]
async fn what_worked_is_deleted_and_the_rest_can_be_received_at_once() {
    let queue = queue(25);
    let (tally, seen) = replayed(&queue, AfterSuccess::Delete, &["m3", "m24"], Duration::ZERO).await;
    assert_eq!(tally, Tally { replayed: 23, failed: 2 });
    assert_eq!(seen.len(), 25);
    assert_eq!(queue.visible(), ["m3", "m24"]);
}

#[tokio::test(start_paused = true)]
async fn without_delete_everything_is_left_as_it_was() {
    let queue = queue(12);
    let (tally, seen) = replayed(&queue, AfterSuccess::Keep, &["m2"], Duration::ZERO).await;
    assert_eq!(tally, Tally { replayed: 11, failed: 1 });
    assert_eq!(seen.len(), 12);
    assert_eq!(queue.visible().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_nothing_to_do() {
    assert_eq!(replayed(&queue(0), AfterSuccess::Delete, &[], Duration::ZERO).await.0, Tally::default());
}

#[tokio::test(start_paused = true)]
async fn slow_replays_keep_their_messages_hidden() {
    let queue = queue(10);
    let (tally, seen) = replayed(&queue, AfterSuccess::Delete, &["m1"], Duration::from_secs(50)).await;
    assert_eq!((tally, seen.len()), (Tally { replayed: 9, failed: 1 }, 10), "none came twice, none expired: {seen:?}");
    assert_eq!(queue.visible(), ["m1"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_is_not_replayed_again() {
    let queue = queue(3);
    queue.fail([
        Fault::Extend(ErrorKind::Transient),
        Fault::Extend(ErrorKind::Transient),
        Fault::Extend(ErrorKind::Transient),
    ]);
    let (tally, seen) = replayed(&queue, AfterSuccess::Keep, &[], Duration::from_secs(12)).await;
    assert_eq!((tally.replayed, seen.len()), (3, 3), "{seen:?}");
    assert_eq!(queue.visible().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_can_not_be_deleted_counts_as_failed() {
    let queue = queue(2);
    queue.fail([Fault::SettleOne]);
    let (tally, _) = replayed(&queue, AfterSuccess::Delete, &[], Duration::ZERO).await;
    assert_eq!(tally, Tally { replayed: 1, failed: 1 });
    assert_eq!(queue.visible(), ["m1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_and_an_error_give_the_messages_back() {
    let queue = queue(5);
    let stop = CancellationToken::new();
    let tally = replay_all(&queue, AfterSuccess::Delete, &stop, async |_| {
        stop.cancel();
        true
    });
    assert_eq!(tally.await.unwrap(), Tally { replayed: 1, failed: 0 });
    assert_eq!(queue.visible().len(), 4);

    let (queue, stop, mut replays) = (self::queue(12), CancellationToken::new(), 0);
    let result = replay_all(&queue, AfterSuccess::Keep, &stop, async |_| {
        replays += 1;
        if replays == 10 {
            queue.fail([Fault::Poll(ErrorKind::Refused)]);
        }
        true
    });
    result.await.unwrap_err();
    assert_eq!(queue.visible().len(), 12);
}

#[test]
fn the_body_is_taken_out_of_the_message() {
    assert_eq!(body_of(br#"{"messageId":"1","body":"{\"a\":1}"}"#), "{\"a\":1}");
    assert_eq!(body_of(b"no message"), "no message");
}
