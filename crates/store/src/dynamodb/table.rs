//! The table, and the calls that are made on it.
mod create;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, ReturnValue, TransactWriteItem, WriteRequest};
use pelton_core::StoreError;
use tokio::sync::OnceCell;

use super::call::{Canceled, canceled, failed};
use super::key::Key;
use super::row::{Row, text};

/// Rows in one BatchWriteItem (DynamoDB quota).
const BATCH: usize = 25;
/// Pauses before what DynamoDB left out of a batch is sent again.
const LEFT_OUT_PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// A table that is made when it is first needed.
#[derive(Debug)]
pub struct Table {
    client: Client,
    name: String,
    ready: OnceCell<()>,
}

/// What became of an update.
#[derive(Debug)]
pub enum Written {
    /// It was made; with the attributes that were asked for.
    Done(Row),
    /// Its condition doesn't hold.
    Failed,
    /// A transaction on the row was under way.
    Busy,
}

impl Written {
    /// The attributes, or `None` where the condition doesn't hold.
    pub fn unless_busy(self, table: &Table) -> Result<Option<Row>, StoreError> {
        match self {
            Self::Done(row) => Ok(Some(row)),
            Self::Failed => Ok(None),
            Self::Busy => Err(table.busy()),
        }
    }
}

type Values = Vec<(&'static str, AttributeValue)>;

impl Table {
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name, ready: OnceCell::new() }
    }

    /// Sees to it, once, that the table is there and is what it should be.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.ready.get_or_try_init(|| self.prepare()).await.copied()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn busy(&self) -> StoreError {
        StoreError::Unavailable(format!("the store's table {} is busy: others write the same row", self.name))
    }

    pub async fn get(&self, key: Key) -> Result<Option<Row>, StoreError> {
        let call = self.client.get_item().table_name(&self.name).set_key(Some(key.attributes())).consistent_read(true);
        let found = call.send().await.map_err(|error| failed(&self.name, "GetItem", &error))?;
        Ok(found.item.map(Row))
    }

    /// Every row of a scope that begins so; with an empty prefix, every row.
    pub async fn query(&self, scope: &str, prefix: &str) -> Result<Vec<Row>, StoreError> {
        self.all(scope, prefix, None).await
    }

    /// The keys of the rows that [`Self::query`] would give.
    pub async fn keys(&self, scope: &str, prefix: &str) -> Result<Vec<Key>, StoreError> {
        self.all(scope, prefix, Some("#Scope, #Row")).await?.iter().map(Row::key).collect()
    }

    async fn all(&self, scope: &str, prefix: &str, projection: Option<&str>) -> Result<Vec<Row>, StoreError> {
        let condition =
            if prefix.is_empty() { "#Scope = :scope" } else { "#Scope = :scope AND begins_with(#Row, :prefix)" };
        let prefix = Some((":prefix", text(prefix))).filter(|_| !prefix.is_empty());
        let values: Values = [(":scope", text(scope))].into_iter().chain(prefix).collect();
        let (mut rows, mut start) = (Vec::new(), None);
        loop {
            let call = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression(condition)
                .set_projection_expression(projection.map(str::to_owned))
                .set_expression_attribute_names(names(&[condition, projection.unwrap_or_default()]))
                .set_expression_attribute_values(Some(map(values.clone())))
                .set_exclusive_start_key(start);
            let page = call.send().await.map_err(|error| failed(&self.name, "Query", &error))?;
            rows.extend(page.items.unwrap_or_default().into_iter().map(Row));
            match page.last_evaluated_key {
                Some(last) if !last.is_empty() => start = Some(last),
                _ => return Ok(rows),
            }
        }
    }

    /// Changes a row, or makes it where no condition asks for one. Names stand in the expressions as `#Name`.
    pub async fn update(
        &self,
        key: Key,
        update: &str,
        condition: Option<&str>,
        values: Values,
        returned: ReturnValue,
    ) -> Result<Written, StoreError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(names(&[update, condition.unwrap_or_default()]))
            .set_expression_attribute_values(Some(map(values)).filter(|values| !values.is_empty()))
            .return_values(returned);
        match call.send().await {
            Ok(done) => Ok(Written::Done(Row(done.attributes.unwrap_or_default()))),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(Written::Failed),
                Some(UpdateItemError::TransactionConflictException(_)) => Ok(Written::Busy),
                _ => Err(failed(&self.name, "UpdateItem", &error)),
            },
        }
    }

    pub async fn delete(&self, key: Key) -> Result<(), StoreError> {
        let call = self.client.delete_item().table_name(&self.name).set_key(Some(key.attributes()));
        call.send().await.map_err(|error| failed(&self.name, "DeleteItem", &error))?;
        Ok(())
    }

    /// Deletes a row if this holds for it; else it stays.
    pub async fn delete_if(&self, key: Key, condition: &str, values: Values) -> Result<(), StoreError> {
        let call = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(names(&[condition]))
            .set_expression_attribute_values(Some(map(values)));
        match call.send().await {
            Err(error) if error.as_service_error().is_some_and(|it| it.is_conditional_check_failed_exception()) => {
                Ok(())
            }
            answer => answer.map(|_| ()).map_err(|error| failed(&self.name, "DeleteItem", &error)),
        }
    }

    pub async fn delete_all(&self, keys: Vec<Key>) -> Result<(), StoreError> {
        for batch in keys.chunks(BATCH) {
            let deletes = batch.iter().map(|key| {
                let delete = DeleteRequest::builder().set_key(Some(key.clone().attributes())).build();
                Ok(WriteRequest::builder().delete_request(delete.map_err(|error| self.malformed(&error))?).build())
            });
            self.write_batch(deletes.collect::<Result<_, StoreError>>()?).await?;
        }
        Ok(())
    }

    /// Puts or deletes some rows, at most [`BATCH`], each for itself.
    pub async fn write_batch(&self, requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        let mut pauses = LEFT_OUT_PAUSES.into_iter();
        let mut left = HashMap::from([(self.name.clone(), requests)]);
        loop {
            let call = self.client.batch_write_item().set_request_items(Some(left));
            let answer = call.send().await.map_err(|error| failed(&self.name, "BatchWriteItem", &error))?;
            left = answer.unprocessed_items.unwrap_or_default();
            if left.values().all(Vec::is_empty) {
                return Ok(());
            }
            let Some(pause) = pauses.next() else {
                let text = format!("BatchWriteItem on the store's table {} leaves rows out again and again", self.name);
                return Err(StoreError::Unavailable(text));
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// All or none, if the conditions hold: whether it was done.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
        let call = self.client.transact_write_items().set_transact_items(Some(writes));
        let Err(error) = call.send().await else { return Ok(true) };
        let canceled = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(exception)) => canceled(exception),
            _ => Canceled::Refused,
        };
        match canceled {
            Canceled::Condition | Canceled::Conflict => Ok(false),
            Canceled::Passing => Err(StoreError::Unavailable(format!(
                "TransactWriteItems on the store's table {} failed: too many calls",
                self.name
            ))),
            Canceled::Refused => Err(failed(&self.name, "TransactWriteItems", &error)),
        }
    }

    pub fn malformed(&self, error: &dyn std::error::Error) -> StoreError {
        StoreError::Refused(format!("a call on the store's table {} can't be put together: {error}", self.name))
    }
}

pub fn map(values: Values) -> HashMap<String, AttributeValue> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Every `#Name` in the expressions stands for `Name`: many names are words of DynamoDB's own.
pub fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let mut names = HashMap::new();
    for part in expressions.iter().flat_map(|expression| expression.split('#').skip(1)) {
        let name: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
        names.insert(format!("#{name}"), name);
    }
    Some(names).filter(|names| !names.is_empty())
}
