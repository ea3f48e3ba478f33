//! Keeps received records hidden in their queue for as long as they are worked on.
use std::borrow::Borrow;
use std::future::Future;
use std::time::Duration;

use pelton_core::{Disposition, PartitionId, Polled, Receipt, Record, SettleError, Source, Unsettled};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batcher::Batchable;
use crate::status::Watch;

/// A record, and until when its source hides it.
#[derive(Debug)]
pub(crate) struct Held {
    pub record: Record,
    pub received_at: Instant,
    pub maximum_receives: Option<u32>,
    hidden_for: Option<Duration>,
    hidden_until: Option<Instant>,
    /// When the source would have shown the record again without any extension.
    natural_return: Option<Instant>,
    extended: bool,
}

impl Borrow<Record> for Held {
    fn borrow(&self) -> &Record {
        &self.record
    }
}

impl Batchable for Held {
    fn size(&self) -> usize {
        self.record.event.len()
    }

    fn received_at(&self) -> Instant {
        self.received_at
    }
}

impl Held {
    /// Takes over what a poll brought, which ended at `received_at`.
    pub(crate) fn from_poll(polled: Polled, received_at: Instant) -> impl Iterator<Item = Self> {
        let Polled { records, hidden_for, maximum_receives, .. } = polled;
        // A visibility timeout of zero hides nothing, so there is nothing to keep up.
        let hidden_for = hidden_for.filter(|hidden_for| !hidden_for.is_zero());
        records.into_iter().map(move |record| Self {
            record,
            received_at,
            maximum_receives,
            hidden_for,
            hidden_until: hidden_for.map(|hidden_for| received_at + hidden_for),
            natural_return: hidden_for.map(|hidden_for| received_at + hidden_for),
            extended: false,
        })
    }

    /// The same record, received once more while it waited: the new receipt is the one that counts, the batching
    /// window goes on.
    pub(crate) fn received_again(&self, again: Self) -> Self {
        Self { received_at: self.received_at, ..again }
    }

    /// How to hand the record back so that it comes no later than AWS would bring it: an extended record gets its
    /// original time back.
    pub(crate) fn returned(&self, now: Instant) -> Disposition {
        let after = if self.extended {
            self.natural_return.map(|natural| natural.saturating_duration_since(now))
        } else {
            None
        };
        Disposition::Returned { after }
    }

    /// Until when the source hides the record, as far as is known.
    pub(crate) fn hidden_until(&self) -> Option<Instant> {
        self.hidden_until
    }

    fn next_extension(&self) -> Option<Instant> {
        let half = self.hidden_for? / 2;
        (!half.is_zero()).then_some(self.hidden_until? - half)
    }
}

/// Extends what is held, at half of its time.
pub(crate) struct Heartbeat<'a> {
    pub source: &'a dyn Source,
    pub partition: &'a PartitionId,
    pub watch: &'a Watch,
}

impl Heartbeat<'_> {
    /// Runs `work` to its end and keeps `held` hidden meanwhile. An extension that is under way when the work ends is
    /// waited for, so that it can't overtake the settling that follows.
    pub(crate) async fn during<T>(&self, held: &mut [Held], work: impl Future<Output = T>) -> T {
        if !self.watch.mapping.visibility_heartbeat || held.is_empty() {
            return work.await;
        }
        let over = CancellationToken::new();
        let beat = over.clone();
        let (result, ()) = tokio::join!(
            async {
                let result = work.await;
                over.cancel();
                result
            },
            async {
                loop {
                    let Some(due) = held.iter().filter_map(Held::next_extension).min() else { return };
                    if beat.run_until_cancelled(tokio::time::sleep_until(due)).await.is_none() {
                        return;
                    }
                    self.extend(held).await;
                }
            },
        );
        result
    }

    async fn extend(&self, held: &mut [Held]) {
        let now = Instant::now();
        let mut due: Vec<&mut Held> =
            held.iter_mut().filter(|held| held.next_extension().is_some_and(|next| next <= now)).collect();
        let Some(hidden_for) = due.iter().filter_map(|held| held.hidden_for).max() else { return };
        let receipts: Vec<Receipt> = due.iter().map(|held| held.record.receipt.clone()).collect();
        let unsettled = match self.source.extend(self.partition, &receipts, hidden_for).await {
            Ok(unsettled) => unsettled,
            Err(error) => {
                tracing::warn!(%error, records = receipts.len(), "could not keep messages hidden, trying again");
                self.watch.metrics.source_errors.inc();
                // Not extended, yet not hopeless either: again after a quarter of the time.
                for held in &mut due {
                    held.hidden_until = Some(now + hidden_for * 3 / 4);
                }
                return;
            }
        };
        for held in &mut due {
            match unsettled.iter().find(|unsettled| unsettled.receipt == held.record.receipt) {
                None => {
                    held.extended = true;
                    held.hidden_until = Some(now + hidden_for);
                }
                Some(Unsettled { error, .. }) => {
                    // Nothing to hold any more: never extended again, and the settling will count it.
                    tracing::warn!(%error, message = held.record.id, "could not keep a message hidden");
                    if matches!(error, SettleError::Expired(_)) {
                        held.hidden_for = None;
                    } else {
                        held.hidden_until = Some(now + hidden_for * 3 / 4);
                    }
                }
            }
        }
    }
}
