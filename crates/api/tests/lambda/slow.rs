//! A store in which two can read before either writes.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pelton_core::{Document, Documents, StoreError};
use pelton_store::MemoryStore;
use tokio::sync::Barrier;

/// A store whose next reads each wait, with what they found, for whoever else is at their barrier.
#[derive(Default)]
pub struct Slow {
    store: MemoryStore,
    pub barriers: Mutex<VecDeque<Arc<Barrier>>>,
}

#[async_trait]
impl Documents for Slow {
    async fn put_document(&self, kind: &str, key: &str, text: &str, replaces: u64) -> Result<bool, StoreError> {
        self.store.put_document(kind, key, text, replaces).await
    }

    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
        let found = self.store.document(kind, key).await;
        let barrier = self.barriers.lock().unwrap().pop_front();
        if let Some(barrier) = barrier {
            barrier.wait().await;
        }
        found
    }

    async fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        self.store.documents(kind).await
    }

    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        self.store.delete_document(kind, key).await
    }
}
