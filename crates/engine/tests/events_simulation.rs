//! Asynchronous events in a world where everything fails now and then, in paused time. Whatever happens, each accepted
//! event has succeeded or was reported to all who are to be told, and none is kept for ever.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::events::{THROTTLED, WORK, World, event, plan};
use pelton_core::{Destination, DestinationError, ErrorKind, ExecutionRecord};
use pelton_engine::EventPlan;
use pelton_testkit::{EventFault, FakeInvoker, Reply};
use serde_json::Value;
use uuid::Uuid;

const SEEDS: u64 = 60;
const STEPS: usize = 40;

/// Refuses every third delivery or so.
struct Moody {
    chance: Mutex<fastrand::Rng>,
    told: Mutex<BTreeSet<Uuid>>,
}

impl Moody {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { chance: Mutex::new(fastrand::Rng::with_seed(seed)), told: Mutex::default() })
    }

    fn told(&self) -> BTreeSet<Uuid> {
        self.told.lock().unwrap().clone()
    }
}

#[async_trait]
impl Destination for Moody {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        let (pause, refuses) = {
            let mut chance = self.chance.lock().unwrap();
            (chance.u64(0..2_000), chance.u8(0..3) == 0)
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if refuses {
            return Err(DestinationError {
                destination: "moody".into(),
                message: "not now".into(),
                kind: ErrorKind::Transient,
            });
        }
        self.told.lock().unwrap().insert(record.request_context.request_id.parse().unwrap());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn no_event_is_lost() {
    for seed in 0..SEEDS {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    fastrand::seed(seed);
    let mut chance = fastrand::Rng::with_seed(seed);
    let succeeded: Arc<Mutex<BTreeSet<Uuid>>> = Arc::default();
    let invoker = {
        let (succeeded, chance) = (succeeded.clone(), Mutex::new(chance.fork()));
        FakeInvoker::deciding_on_event(move |event| match chance.lock().unwrap().u8(0..10) {
            0..=3 => Reply::Raises,
            4 => Reply::Refuses(THROTTLED),
            5 => Reply::Refuses(ErrorKind::Transient),
            _ => {
                let number = event["number"].as_u64().unwrap_or_default();
                succeeded.lock().unwrap().insert(Uuid::from_u128(number.into()));
                Reply::Returns(Value::Null)
            }
        })
    };
    let invoker = invoker.taking(Duration::from_millis(chance.u64(0..20_000)));
    let invoker = Arc::new(if chance.bool() { invoker.with_slots(chance.usize(1..8)) } else { invoker });
    let (failures, letters) = (Moody::new(seed), Moody::new(!seed));
    let mut settings = EventPlan {
        maximum_retry_attempts: chance.u32(0..3),
        on_failure: Some(failures.clone()),
        dead_letter_queue: Some(letters.clone()),
        ..plan(WORK, &invoker)
    };
    let mut world = World::with(settings.clone());
    let mut accepted = BTreeSet::new();
    for step in 0..STEPS {
        for number in 0..chance.u64(0..8) {
            let number = step as u64 * 100 + number;
            if world.door().accept(event(WORK, number.into())).await.is_ok() {
                accepted.insert(Uuid::from_u128(number.into()));
            }
        }
        match chance.u8(0..12) {
            0 => world = world.crash(),
            1 => world = world.restart(Duration::from_millis(chance.u64(0..30_000))).await.0,
            2 => world.queue.inject([EventFault::Add; 3]),
            3 => world.queue.inject([EventFault::PutBack, EventFault::PutBack, EventFault::Take]),
            4 => world.queue.inject([EventFault::Remove, EventFault::Remove, EventFault::Waiting]),
            5 => world.plans.break_down(2),
            6 => world.plans.set(WORK, Err(ErrorKind::Missing)),
            7 => world.plans.set(WORK, Err(ErrorKind::Transient)),
            _ => {
                settings.maximum_retry_attempts = chance.u32(0..3);
                settings.maximum_event_age = Duration::from_secs(chance.u64(60..21_600));
                world.plans.set(WORK, Ok(settings.clone()));
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(0..90_000))).await;
    }
    world.plans.set(WORK, Ok(settings));
    world.until_over().await;
    let succeeded = succeeded.lock().unwrap().clone();
    for destination in [&failures, &letters] {
        let known: BTreeSet<Uuid> = succeeded.union(&destination.told()).copied().collect();
        assert_eq!(known, accepted, "seed {seed}");
    }
    pelton_testkit::eventually("none waits or runs", Duration::from_secs(60), async || {
        let status = world.status_if_any(WORK);
        status.is_none_or(|status| (status.waiting, status.in_flight) == (0, 0))
    })
    .await;
    world.stop().await;
}
