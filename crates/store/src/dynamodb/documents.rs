//! Documents in the table, a row each: `Text` and `Revision`.
use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValue;
use pelton_core::{Document, Documents, StoreError};

use super::DynamoDbStore;
use super::key::Key;
use super::row::{Row, number, text};
use crate::refusal::check_document;

const DOCUMENT: &str = "document/";

fn scope(kind: &str) -> String {
    format!("documents/{kind}")
}

fn key(kind: &str, key: &str) -> Key {
    Key { scope: scope(kind), row: format!("{DOCUMENT}{key}") }
}

fn read(row: &Row) -> Result<Document, StoreError> {
    let key = row.name(DOCUMENT)?.to_owned();
    let missing =
        || StoreError::Refused(format!("the store's document {key} has no Text: restore a copy of the table"));
    let text = row.text("Text").ok_or_else(missing)?.to_owned();
    Ok(Document { revision: row.number("Revision")?, key, text })
}

#[async_trait]
impl Documents for DynamoDbStore {
    async fn put_document(&self, kind: &str, name: &str, json: &str, replaces: u64) -> Result<bool, StoreError> {
        check_document(name, json)?;
        self.table.ready().await?;
        let mut values = vec![(":text", text(json)), (":next", number(replaces + 1))];
        let condition = if replaces == 0 {
            "attribute_not_exists(#Revision)"
        } else {
            values.push((":replaces", number(replaces)));
            "#Revision = :replaces"
        };
        let update = "SET #Text = :text, #Revision = :next";
        let written = self.table.update(key(kind, name), update, Some(condition), values, ReturnValue::None).await?;
        if written.unless_busy(&self.table)?.is_some() {
            return Ok(true);
        }
        // The answer to this very write may have been lost, and the SDK have repeated it.
        let found = self.document(kind, name).await?;
        Ok(found.is_some_and(|found| found.revision == replaces + 1 && found.text == json))
    }

    async fn document(&self, kind: &str, name: &str) -> Result<Option<Document>, StoreError> {
        self.table.ready().await?;
        self.table.get(key(kind, name)).await?.as_ref().map(read).transpose()
    }

    async fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        self.table.ready().await?;
        self.table.query(&scope(kind), DOCUMENT).await?.iter().map(read).collect()
    }

    async fn delete_document(&self, kind: &str, name: &str) -> Result<(), StoreError> {
        self.table.ready().await?;
        self.table.delete(key(kind, name)).await
    }
}
