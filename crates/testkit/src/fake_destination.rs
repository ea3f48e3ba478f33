use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pelton_core::{Destination, DestinationError, ErrorKind, ExecutionRecord};

/// Keeps what it is given, after refusing as often as it was told to.
#[derive(Debug, Default)]
pub struct FakeDestination {
    refusals: AtomicU32,
    accepted: Mutex<Vec<ExecutionRecord>>,
}

impl FakeDestination {
    /// Refuses the first `refusals` deliveries.
    pub fn refusing(refusals: u32) -> Self {
        Self { refusals: AtomicU32::new(refusals), accepted: Mutex::default() }
    }

    /// What was accepted, in order.
    pub fn accepted(&self) -> Vec<ExecutionRecord> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Destination for FakeDestination {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        if self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(DestinationError {
                destination: "fake".into(),
                message: "refused".into(),
                kind: ErrorKind::Transient,
            });
        }
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
        Ok(())
    }
}
