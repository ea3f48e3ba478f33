//! Documents in the file.
use async_trait::async_trait;
use pelton_core::{Document, Documents, StoreError};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteStore;
use crate::refusal::check_document;

#[async_trait]
impl Documents for SqliteStore {
    async fn put_document(
        &self,
        kind: &str,
        key: &str,
        text: &str,
        replaces: u64,
    ) -> std::result::Result<bool, StoreError> {
        check_document(key, text)?;
        let (kind, key, text) = (kind.to_owned(), key.to_owned(), text.to_owned());
        self.writer.call(move |connection| put(connection, &kind, &key, &text, replaces)).await
    }

    async fn document(&self, kind: &str, key: &str) -> std::result::Result<Option<Document>, StoreError> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.writer.call(move |connection| get(connection, &kind, &key)).await
    }

    async fn documents(&self, kind: &str) -> std::result::Result<Vec<Document>, StoreError> {
        let kind = kind.to_owned();
        self.writer.call(move |connection| list(connection, &kind)).await
    }

    async fn delete_document(&self, kind: &str, key: &str) -> std::result::Result<(), StoreError> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.writer.call(move |connection| delete(connection, &kind, &key)).await
    }
}

fn put(connection: &Connection, kind: &str, key: &str, text: &str, replaces: u64) -> Result<bool> {
    let changed = if replaces == 0 {
        let mut insert = connection.prepare_cached(
            "INSERT INTO document (kind, key, revision, text) VALUES (?1, ?2, 1, ?3) ON CONFLICT DO NOTHING",
        )?;
        insert.execute(params![kind, key, text])?
    } else {
        let mut update = connection.prepare_cached(
            "UPDATE document SET revision = revision + 1, text = ?3 WHERE kind = ?1 AND key = ?2 AND revision = ?4",
        )?;
        update.execute(params![kind, key, text, i64::try_from(replaces).unwrap_or(i64::MAX)])?
    };
    Ok(changed == 1)
}

fn read(row: &Row<'_>) -> Result<Document> {
    let revision: i64 = row.get(1)?;
    Ok(Document { key: row.get(0)?, revision: revision.unsigned_abs(), text: row.get(2)? })
}

fn get(connection: &Connection, kind: &str, key: &str) -> Result<Option<Document>> {
    let sql = "SELECT key, revision, text FROM document WHERE kind = ?1 AND key = ?2";
    connection.prepare_cached(sql)?.query_row(params![kind, key], read).optional()
}

fn list(connection: &Connection, kind: &str) -> Result<Vec<Document>> {
    let sql = "SELECT key, revision, text FROM document WHERE kind = ?1 ORDER BY key";
    connection.prepare_cached(sql)?.query_map([kind], read)?.collect()
}

fn delete(connection: &Connection, kind: &str, key: &str) -> Result<()> {
    connection.execute("DELETE FROM document WHERE kind = ?1 AND key = ?2", params![kind, key]).map(|_| ())
}
