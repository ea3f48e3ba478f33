//! What became of all messages, and whether the numbers add up.
use anyhow::ensure;

use crate::pelton::Status;
use crate::{BROKEN, FLAKY, OVER_LIMIT, SENT};

/// Receives of a message that fails for good: the queue's maxReceiveCount, and two retries of the mapping.
const RECEIVES: usize = 3;

/// What became of the messages.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    pub processed: usize,
    pub redelivered: usize,
    pub dead: usize,
    pub given_up: usize,
}

/// The execution records of one destination.
pub struct Records {
    pub name: &'static str,
    pub found: usize,
    pub expected: usize,
}

impl Totals {
    pub fn new(orders: &Status, payments: &Status, dead: usize) -> anyhow::Result<Self> {
        let given_up = orders.dropped + payments.dropped;
        Ok(Self {
            processed: usize::try_from((orders.deleted + payments.deleted).saturating_sub(given_up))?,
            redelivered: usize::try_from(orders.polled + payments.polled)?.saturating_sub(SENT),
            dead,
            given_up: usize::try_from(given_up)?,
        })
    }

    /// Whether every message has come to its end.
    pub fn is_complete(&self) -> bool {
        self.processed + self.dead + self.given_up >= SENT
    }
}

/// Prints everything.
pub fn print(totals: &Totals, records: &[Records]) {
    println!("\n    messages");
    let rows = [
        ("sent", SENT),
        ("processed", totals.processed),
        ("redelivered", totals.redelivered),
        ("in the dead-letter queue", totals.dead),
        ("given up after MaximumRetryAttempts", totals.given_up),
    ];
    for (name, count) in rows {
        println!("      {name:<38} {count:>4}");
    }
    println!("    execution records");
    for Records { name, found, .. } in records {
        println!("      {name:<38} {found:>4}");
    }
}

/// Fails if anything is lost, or there twice.
pub fn check(totals: &Totals, records: &[Records]) -> anyhow::Result<()> {
    let Totals { processed, redelivered, dead, given_up } = *totals;
    ensure!(
        processed + dead + given_up == SENT,
        "{processed} processed + {dead} dead + {given_up} given up are not the {SENT} messages that were sent"
    );
    ensure!(dead == BROKEN, "{dead} messages in the dead-letter queue, expected {BROKEN}");
    ensure!(given_up == OVER_LIMIT, "{given_up} messages given up, expected {OVER_LIMIT}");
    let least = FLAKY + (BROKEN + OVER_LIMIT) * (RECEIVES - 1);
    ensure!(redelivered >= least, "{redelivered} redelivered, expected at least {least}");
    for Records { name, found, expected } in records {
        ensure!(found == expected, "{name}: {found} execution records, expected {expected}");
    }
    println!("\n    the numbers add up: nothing is lost, nothing is there twice");
    Ok(())
}
