//! Where checkpoints and leases are kept: opened from the configuration's `State`.
use std::sync::Arc;

use anyhow::Context as _;
use pelton_config::{Configuration, State};
use pelton_core::{Documents, Store};
use pelton_store::{DynamoDbStore, MemoryStore, SqliteStore};

use crate::aws::Aws;

/// A lease lasts so many renewal periods.
const RENEWALS_PER_LEASE: u32 = 2;

/// What keeps checkpoints and documents alike.
trait Keeper: Store + Documents {}

impl<S: Store + Documents> Keeper for S {}

/// An open store.
pub struct OpenState {
    store: Arc<dyn Keeper>,
    sqlite: Option<Arc<SqliteStore>>,
}

impl OpenState {
    /// Opens it. Where nothing but the API needs it, because queues keep their own state, `Err` says why the API has to do
    /// without.
    pub async fn for_run(configuration: &Configuration, aws: &Aws) -> anyhow::Result<Result<Self, String>> {
        match Self::open(&configuration.state, aws).await {
            Ok(state) => Ok(Ok(state)),
            Err(error) if configuration.mappings.iter().all(|mapping| mapping.stream.is_none()) => {
                tracing::warn!("no mappings can be made through Lambda's API: {error:#}");
                Ok(Err(format!("{error:#}")))
            }
            Err(error) => Err(error),
        }
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

    /// The same, for what is made through the API.
    pub fn documents(&self) -> Arc<dyn Documents> {
        self.store.clone()
    }

    /// Writes what waits and closes the file. After everything that uses the store has ended.
    pub async fn close(self) {
        if let Some(sqlite) = self.sqlite {
            sqlite.close().await;
        }
    }
}
