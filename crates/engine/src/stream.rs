//! The stream side: shards are read in order, their records go to the function in lanes, and checkpoints follow.
//!
//! | file | decides |
//! |---|---|
//! | `shards.rs` | which shards this process works on; leases |
//! | `assignment.rs`, `sightings.rs` | a fair share of them; who else lives. Pure |
//! | `shard.rs` | one shard: the loop that reads, hands to lanes, settles, writes the checkpoint |
//! | `lane.rs` | what a lane does next. No I/O |
//! | `attempt.rs`, `window.rs`, `pace.rs`, `watermark.rs` | what follows an invocation; windows; read limits; how far all is settled. Pure |
//! | `step.rs` | the I/O of one step: invoke, or report |
mod assignment;
mod attempt;
mod lane;
mod pace;
mod shard;
mod shards;
mod sightings;
mod step;
mod watermark;
mod window;

pub use window::state_of;

use std::sync::Arc;

use pelton_core::{Clock, OwnerId};
use tokio_util::sync::CancellationToken;

use crate::Plan;
use crate::status::{Part, Watch};
use crate::stream::shards::Shards;
use crate::stream::step::Shared;

/// Reads the stream of a mapping until shutdown.
pub(crate) async fn run(
    plan: Plan,
    watch: Arc<Watch>,
    clock: Arc<dyn Clock>,
    owner: OwnerId,
    shutdown: CancellationToken,
) {
    let Some(store) = plan.store else {
        watch.trouble(Part::Store, "there is no store for the checkpoints of this stream");
        shutdown.cancelled().await;
        return;
    };
    let slots = plan.invoker.slots(&plan.mapping.function);
    let shared = Shared {
        source: plan.source,
        invoker: plan.invoker,
        on_success: plan.on_success,
        on_failure: plan.on_failure,
        clock,
        watch,
        slots,
        shutdown,
    };
    Shards::new(Arc::new(shared), store, owner).run().await;
}

/// The lane, of so many, that records with a key go to. The same in every run and in every release, because the state of
/// windows is kept by lane (FNV-1a, 64 bit).
pub fn lane_of(key: &str, lanes: usize) -> usize {
    if lanes <= 1 {
        return 0;
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // Below `lanes`, so it fits.
    usize::try_from(hash % lanes as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_never_change_and_are_used_evenly() {
        assert_eq!(["", "a", "order-17"].map(|key| lane_of(key, 10)), [7, 6, 8]);
        assert_eq!(lane_of("anything", 1), 0);
        let mut counts = [0; 4];
        (0..4_000).for_each(|key| counts[lane_of(&key.to_string(), 4)] += 1);
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
