//! Where checkpoints and leases are kept: opened from the configuration's `State`.
use std::sync::Arc;

use anyhow::Context as _;
use pelton_config::{Configuration, State};
use pelton_core::Store;
use pelton_store::{DynamoDbStore, MemoryStore, SqliteStore};

use crate::aws::Aws;

/// A lease lasts so many renewal periods.
const RENEWALS_PER_LEASE: u32 = 2;

/// An open store.
pub struct OpenState {
    store: Arc<dyn Store>,
    sqlite: Option<Arc<SqliteStore>>,
}

impl OpenState {
    /// Opens it, if any mapping needs one: queues keep their own state.
    pub async fn for_mappings_of(configuration: &Configuration, aws: &Aws) -> anyhow::Result<Option<Self>> {
        if configuration.mappings.iter().all(|mapping| mapping.stream.is_none()) {
            return Ok(None);
        }
        Self::open(&configuration.state, aws).await.map(Some)
    }

    async fn open(state: &State, aws: &Aws) -> anyhow::Result<Self> {
        match state {
            State::Sqlite { path } => {
                let store = Arc::new(SqliteStore::open(path).await.context("`State` can't be used")?);
                tracing::info!(path = %path.display(), "checkpoints are kept in an SQLite database");
                Ok(Self { store: store.clone(), sqlite: Some(store) })
            }
            State::Memory => {
                tracing::warn!(
                    "State is Memory: checkpoints are lost with this process, and every mapping on a stream begins at its \
                     StartingPosition again"
                );
                Ok(Self { store: Arc::new(MemoryStore::new()), sqlite: None })
            }
            State::DynamoDb { table, lease_renewal } => {
                let lease = *lease_renewal * RENEWALS_PER_LEASE;
                tracing::info!(table, ?lease, "checkpoints are kept in a DynamoDB table, which replicas share");
                let store = DynamoDbStore::new(aws.dynamodb(aws.region()), table.clone(), lease);
                Ok(Self { store: Arc::new(store), sqlite: None })
            }
        }
    }

    /// The store, to be shared by all mappings.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Writes what waits and closes the file. After everything that uses the store has ended.
    pub async fn close(self) {
        if let Some(sqlite) = self.sqlite {
            sqlite.close().await;
        }
    }
}
