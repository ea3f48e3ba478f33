//! From a name to a table that can be used.
use std::time::Duration;

use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ReturnValue, ScalarAttributeType, TableDescription,
    TableStatus,
};
use pelton_core::StoreError;
use tokio::time::Instant;

use super::super::call::failed;
use super::super::key::{self, ROW, SCOPE};
use super::super::row::number;
use super::Table;

/// How long a new table may take.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);
/// The version of the rows that this Pelton reads and writes.
const VERSION: u64 = 1;

impl Table {
    /// Finds the table, creates it if it isn't there, and waits until it can be used. Several replicas may do so at once.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = match self.describe().await? {
                None => {
                    self.create().await?;
                    TableStatus::Creating
                }
                Some(table) => {
                    self.check_keys(&table)?;
                    table.table_status.unwrap_or(TableStatus::Active)
                }
            };
            match status {
                TableStatus::Active | TableStatus::Updating => return self.check_version().await,
                TableStatus::Creating | TableStatus::Deleting if Instant::now() < deadline => {}
                status => {
                    let text = format!("the store's table {} can't be used: it is {status}", self.name);
                    return Err(StoreError::Unavailable(text));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn describe(&self) -> Result<Option<TableDescription>, StoreError> {
        match self.client.describe_table().table_name(&self.name).send().await {
            Ok(found) => Ok(found.table),
            Err(error) if error.as_service_error().is_some_and(|it| it.is_resource_not_found_exception()) => Ok(None),
            Err(error) => Err(failed(&self.name, "DescribeTable", &error)),
        }
    }

    async fn create(&self) -> Result<(), StoreError> {
        let mut call = self.client.create_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [(SCOPE, KeyType::Hash), (ROW, KeyType::Range)] {
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
            let definition =
                AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
            call = call.key_schema(key.map_err(|error| self.malformed(&error))?);
            call = call.attribute_definitions(definition.map_err(|error| self.malformed(&error))?);
        }
        match call.send().await {
            Ok(_) => {
                tracing::info!(table = self.name, "created the store's table");
                Ok(())
            }
            Err(error) => match error.as_service_error() {
                // Another replica was faster.
                Some(CreateTableError::ResourceInUseException(_)) => Ok(()),
                _ => Err(failed(&self.name, "CreateTable", &error)),
            },
        }
    }

    fn check_keys(&self, table: &TableDescription) -> Result<(), StoreError> {
        let is_text = |name: &str| {
            let mut definitions = table.attribute_definitions().iter();
            definitions.any(|it| it.attribute_name == name && it.attribute_type == ScalarAttributeType::S)
        };
        let keys: Vec<_> = table.key_schema().iter().map(|key| (key.attribute_name.as_str(), &key.key_type)).collect();
        if keys == [(SCOPE, &KeyType::Hash), (ROW, &KeyType::Range)] && is_text(SCOPE) && is_text(ROW) {
            return Ok(());
        }
        let found: Vec<_> = keys.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
        Err(StoreError::Refused(format!(
            "the table {} is no store of Pelton's: its keys are {} instead of {SCOPE} (HASH) and {ROW} (RANGE), both \
             strings. Choose another Table; one that doesn't exist is created",
            self.name,
            found.join(" and ")
        )))
    }

    async fn check_version(&self) -> Result<(), StoreError> {
        let (update, values) =
            ("SET #Version = if_not_exists(#Version, :version)", vec![(":version", number(VERSION))]);
        let written = self.update(key::version(), update, None, values, ReturnValue::AllNew).await?;
        let found = written.unless_busy(self)?.unwrap_or_default().number("Version")?;
        if found == VERSION {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "the store's table {} has version {found}, and this Pelton knows versions up to {VERSION} only: run the newer \
             Pelton that wrote it, or choose another Table and accept that every mapping begins at its StartingPosition",
            self.name
        )))
    }
}
