//! Where checkpoints, leases and asynchronous events are kept: opened from the configuration's `State`.
use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use pelton_config::{Configuration, State};
use pelton_core::{Documents, EventQueue, Lease, MappingId, OwnerId, Store, StoreError, StreamId};
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
    /// `None`: events can't be kept there.
    events: Option<Arc<dyn EventQueue>>,
    sqlite: Option<Arc<SqliteStore>>,
}

impl OpenState {
    /// Opens it. Where nothing but the API needs it, because queues keep their own state, `Err` says why the API has to do
    /// without.
    pub async fn for_run(configuration: &Configuration, aws: &Aws) -> anyhow::Result<Result<Self, String>> {
        match Self::open(&configuration.state, aws).await {
            Ok(state) => Ok(Ok(state)),
            Err(error) if configuration.mappings.iter().all(|mapping| mapping.stream.is_none()) => {
                tracing::warn!(
                    "no mappings can be made through Lambda's API, and no asynchronous invocations kept here: {error:#}"
                );
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
                Ok(Self { store: store.clone(), events: Some(store.clone()), sqlite: Some(store) })
            }
            State::Memory => {
                tracing::warn!(
                    "State is Memory: checkpoints and asynchronous events are lost with this process, and every mapping on \
                     a stream begins at its StartingPosition again"
                );
                let store = Arc::new(MemoryStore::new());
                Ok(Self { store: store.clone(), events: Some(store), sqlite: None })
            }
            State::DynamoDb { table, lease_renewal } => {
                let lease = *lease_renewal * RENEWALS_PER_LEASE;
                tracing::info!(table, ?lease, "checkpoints are kept in a DynamoDB table, which replicas share");
                let store = DynamoDbStore::new(aws.dynamodb(aws.region()), table.clone(), lease);
                Ok(Self { store: Arc::new(store), events: None, sqlite: None })
            }
        }
    }

    /// Opens what runs have kept, for an operator, beside a process that works with it. Makes no file and no table.
    pub async fn open_beside(configuration: &Configuration, aws: &Aws) -> anyhow::Result<Self> {
        match &configuration.state {
            State::Sqlite { path } => {
                let store = Arc::new(SqliteStore::open_beside(path).await?);
                Ok(Self { store: store.clone(), events: Some(store.clone()), sqlite: Some(store) })
            }
            State::Memory => anyhow::bail!(
                "State is Memory, so checkpoints and events are in the process that runs alone, and end with it: `pelton \
                 status --shards` shows them; to keep them, write State: {{Sqlite: {{Path: pelton.db}}}}"
            ),
            State::DynamoDb { table, lease_renewal } => {
                let client = aws.dynamodb(aws.region());
                if let Err(error) = client.describe_table().table_name(table).send().await {
                    if error.as_service_error().is_some_and(|it| it.is_resource_not_found_exception()) {
                        anyhow::bail!("nothing was kept yet: the table {table} doesn't exist");
                    }
                    let message = pelton_aws::classify(&error).message;
                    anyhow::bail!("the table {table} can't be looked at: {message}");
                }
                let store = DynamoDbStore::new(client, table.clone(), *lease_renewal * RENEWALS_PER_LEASE);
                Ok(Self { store: Arc::new(store), events: None, sqlite: None })
            }
        }
    }

    /// Gives back the leases of mappings that were cut off while they worked, where they would never run out: an
    /// operator couldn't move their checkpoints.
    pub async fn release(&self, owner: &OwnerId, mappings: &BTreeSet<MappingId>) {
        if self.store.lease_duration().is_some() {
            return;
        }
        for mapping in mappings {
            if let Err(error) = self.release_all(owner, *mapping).await {
                tracing::error!(%mapping, %error, "the leases of a mapping that was cut off could not be released");
            }
        }
    }

    async fn release_all(&self, owner: &OwnerId, mapping: MappingId) -> Result<(), StoreError> {
        for incarnation in self.store.incarnations(mapping).await? {
            let stream = StreamId { mapping, incarnation };
            for state in self.store.shards(&stream).await? {
                if state.owner.as_ref() == Some(owner) {
                    let (partition, counter) = (state.partition, state.counter);
                    let lease = Lease { stream: stream.clone(), partition, owner: owner.clone(), counter };
                    self.store.release(&lease).await?;
                }
            }
        }
        Ok(())
    }

    /// The store, to be shared by all mappings.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The same, for what is made through the API.
    pub fn documents(&self) -> Arc<dyn Documents> {
        self.store.clone()
    }

    /// Where asynchronous events wait. `Err`: why not here.
    pub fn event_queue(&self) -> Result<Arc<dyn EventQueue>, String> {
        self.events.clone().ok_or_else(|| {
            "State is DynamoDB, which keeps no events: name an SQS queue for them with `AsyncQueue`".to_owned()
        })
    }

    /// A mapping that is deleted takes its checkpoints with it, as in AWS: unless other processes that share the store
    /// still have it.
    pub async fn forget(&self, mapping: MappingId) {
        if let Err(error) = self.try_forget(mapping).await {
            tracing::error!(%mapping, %error, "the checkpoints of a deleted mapping could not be deleted");
        }
    }

    /// The same, for whoever tries again.
    pub async fn try_forget(&self, mapping: MappingId) -> Result<(), StoreError> {
        if self.store.lease_duration().is_some() && !self.store.members(mapping).await?.is_empty() {
            tracing::warn!(%mapping, "other processes still have this mapping: its checkpoints stay");
            return Ok(());
        }
        self.store.forget(mapping).await
    }

    /// Writes what waits and closes the file. After everything that uses the store has ended.
    pub async fn close(self) {
        if let Some(sqlite) = self.sqlite {
            sqlite.close().await;
        }
    }
}
