//! The tasks: one receives, one keeps what was received hidden from the other processes.
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use futures_util::FutureExt;
use futures_util::future::join_all;
use pelton_core::{AsyncEvent, EventId, StoreError};
use tokio::time::Instant;

use crate::buffer::Received;
use crate::client::{BATCH, Known};
use crate::message::{self, Copy};
use crate::queue::{Shared, left};

/// Receives that run at once while messages keep coming.
const RECEIVES_AT_ONCE: usize = 4;
/// Calls that run at once to keep messages hidden.
const EXTENSIONS_AT_ONCE: usize = 8;
/// An event that is due so soon waits here; clocks of replicas may differ, and SQS counts in seconds.
const SOON: Duration = Duration::from_secs(5);
/// The pause when all receives at once have failed, doubled each time until one succeeds again.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one that there is no room for is left to the others, doubled each time it is received.
const LEFT_ALONE: Duration = Duration::from_secs(1);
const LONGEST_LEFT_ALONE: Duration = Duration::from_secs(60);
/// The pause after a receive that there was no room for at all.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Receives until it is stopped, then gives back what waits.
pub async fn receive(shared: Arc<Shared>) {
    let mut pause = PAUSE;
    while !shared.stop.is_cancelled() {
        if shared.buffer().room() == 0 {
            shared.stop.run_until_cancelled(shared.room.notified()).await;
            continue;
        }
        let outcome = match AssertUnwindSafe(receive_some(&shared, &mut pause)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Unavailable("internal error: a panic".into())),
        };
        let idle = match outcome {
            Ok(()) => continue,
            Err(StoreError::Unavailable(error)) if pause == PAUSE => {
                // One is nothing to wake anybody for.
                tracing::info!(%error, "asynchronous events can't be received, trying again");
                PAUSE
            }
            Err(error) => {
                tracing::warn!(%error, "asynchronous events can't be received, trying again");
                pause
            }
        };
        pause = (pause * 2).min(LONGEST_PAUSE);
        shared.stop.run_until_cancelled(tokio::time::sleep(idle.mul_f64(0.5 + fastrand::f64()))).await;
    }
    let drained = shared.buffer().drain();
    let copies =
        drained.into_iter().flat_map(|(event, copies)| copies.into_iter().map(move |copy| (event.clone(), copy)));
    if let Ok(queue) = shared.client.queue().await {
        give_back(&shared, &queue, copies.map(|(event, copy)| (event, copy, Duration::ZERO)).collect()).await;
    }
}

/// Receives once, and while messages keep coming several times at once. A receive that succeeds resets the pause.
async fn receive_some(shared: &Shared, pause: &mut Duration) -> Result<(), StoreError> {
    let queue = shared.client.queue().await?;
    let mut wait = shared.wait;
    let mut receives = 1;
    loop {
        let room = shared.buffer().room();
        let receives_now = receives.min(room.div_ceil(BATCH));
        if receives_now == 0 || shared.stop.is_cancelled() {
            return Ok(());
        }
        let calls = (0..receives_now).map(|_| shared.client.receive(&queue, room.min(BATCH), wait));
        let received = join_all(calls).await;
        // A little less than SQS says: its answer was on its way for a while.
        let until = Instant::now() + queue.visibility_timeout * 7 / 8;
        let (mut is_full, mut has_room, mut failed, mut succeeded) = (true, false, None, false);
        for received in received {
            match received {
                Ok(messages) => {
                    succeeded = true;
                    is_full &= messages.len() == room.min(BATCH);
                    has_room |= messages.is_empty() || sort(shared, &queue, messages, until).await;
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if !succeeded => return Err(error),
            // The others show that there is nothing to wait for.
            Some(error) => tracing::debug!(%error, "one of several receives has failed"),
            None => {}
        }
        *pause = PAUSE;
        if !has_room {
            shared.stop.run_until_cancelled(tokio::time::sleep(NO_ROOM)).await;
        }
        if !is_full {
            return Ok(());
        }
        (receives, wait) = (RECEIVES_AT_ONCE, Duration::ZERO);
    }
}

/// Keeps what there is room for and what is due soon, and leaves the rest to others or to later. False: nothing was kept.
async fn sort(shared: &Shared, queue: &Known, messages: Vec<Message>, until: Instant) -> bool {
    let (mut later, mut has_room) = (Vec::new(), false);
    for message in messages {
        let (event, copy) = match (message::event(&message), Copy::of(&message)) {
            (Ok(event), Some(copy)) => (event, copy),
            (event, _) => {
                let reason = event.err().unwrap_or_else(|| "it has no id or no receipt handle".into());
                let (queue, id) = (shared.client.arn(), message.message_id().unwrap_or_default());
                tracing::warn!(%queue, message = id, reason, "a message in AsyncQueue is no event, it is left there");
                continue;
            }
        };
        let early = left(&event, shared.clock.now());
        if early > SOON {
            has_room = true;
            later.push((event, copy, early));
            continue;
        }
        let function = event.function.clone();
        let received = shared.buffer().receive(event.clone(), copy.clone(), until);
        match received {
            Received::Kept => shared.ring(function),
            Received::Joined => {}
            Received::TooMany => {
                let doubled = LEFT_ALONE * 2_u32.saturating_pow(copy.receives.saturating_sub(1).min(10));
                later.push((event, copy, doubled.min(LONGEST_LEFT_ALONE)));
                continue;
            }
        }
        has_room = true;
    }
    give_back(shared, queue, later).await;
    has_room
}

/// Shows messages to everybody again after a time. One that SQS would then take for undeliverable is sent anew instead.
async fn give_back(shared: &Shared, queue: &Known, messages: Vec<(AsyncEvent, Copy, Duration)>) {
    let is_last = |copy: &Copy| queue.maximum_receives.is_some_and(|most| copy.receives >= most);
    let (last, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(|(_, copy, _)| is_last(copy));
    let renewed = last.iter().map(async |(event, copy, delay)| {
        shared.client.send(event, *delay).await?;
        shared.client.delete(std::slice::from_ref(&copy.receipt)).await
    });
    let shown = others.chunks(BATCH).map(async |chunk| {
        let changes: Vec<_> = chunk.iter().map(|(_, copy, delay)| (copy.receipt.clone(), *delay)).collect();
        shared.client.hide(&changes).await.map(|_| ())
    });
    let (renewed, shown) = futures_util::join!(join_all(renewed), join_all(shown));
    for error in renewed.into_iter().chain(shown).filter_map(Result::err) {
        // They come again by themselves, when their time is over.
        tracing::debug!(%error, "asynchronous events can't be given back");
    }
}

/// Keeps everything that is held hidden from the others, until nothing is received any more.
pub async fn keep_hidden(shared: Arc<Shared>) {
    loop {
        let timeout = match shared.client.queue().await {
            Ok(queue) => queue.visibility_timeout,
            Err(_) => PAUSE * 4,
        };
        if shared.stop.run_until_cancelled(tokio::time::sleep(timeout / 4)).await.is_none() {
            return;
        }
        if AssertUnwindSafe(extend(&shared, timeout)).catch_unwind().await.is_err() {
            tracing::error!("internal error: a panic while asynchronous events were kept hidden");
        }
    }
}

async fn extend(shared: &Shared, timeout: Duration) {
    let expiring = shared.buffer().expiring(Instant::now() + timeout * 3 / 4);
    for calls in expiring.chunks(BATCH * EXTENSIONS_AT_ONCE) {
        join_all(calls.chunks(BATCH).map(|chunk| extend_batch(shared, chunk, timeout))).await;
    }
}

async fn extend_batch(shared: &Shared, batch: &[(EventId, Copy)], timeout: Duration) {
    let changes: Vec<_> = batch.iter().map(|(_, copy)| (copy.receipt.clone(), timeout)).collect();
    let until = Instant::now() + timeout;
    let lost = match shared.client.hide(&changes).await {
        Ok(lost) => lost,
        Err(error) => {
            tracing::warn!(%error, "asynchronous events can't be kept hidden from other processes, trying again");
            return;
        }
    };
    let mut buffer = shared.buffer();
    for (i, (event, copy)) in batch.iter().enumerate() {
        let is_lost = lost.contains(&i);
        if is_lost {
            tracing::debug!(%event, "an asynchronous event may be given to another process");
        }
        buffer.extended(*event, copy, (!is_lost).then_some(until));
    }
}
