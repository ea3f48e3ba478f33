//! Documents, as long as the process lives.
use std::collections::BTreeMap;

use async_trait::async_trait;
use pelton_core::{Document, StoreError};

use super::MemoryStore;
use crate::refusal::check_document;

/// By kind and key.
pub type Documents = BTreeMap<(String, String), Document>;

#[async_trait]
impl pelton_core::Documents for MemoryStore {
    async fn put_document(&self, kind: &str, key: &str, text: &str, replaces: u64) -> Result<bool, StoreError> {
        check_document(key, text)?;
        let (mut rows, name) = (self.rows(), (kind.to_owned(), key.to_owned()));
        let found = rows.documents.get(&name).map_or(0, |document| document.revision);
        if found != replaces {
            return Ok(false);
        }
        let document = Document { key: key.to_owned(), revision: replaces + 1, text: text.to_owned() };
        rows.documents.insert(name, document);
        Ok(true)
    }

    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.rows().documents.get(&(kind.to_owned(), key.to_owned())).cloned())
    }

    async fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        let rows = self.rows();
        let of_kind = rows.documents.iter().filter(|((of, _), _)| of == kind);
        Ok(of_kind.map(|(_, document)| document.clone()).collect())
    }

    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        self.rows().documents.remove(&(kind.to_owned(), key.to_owned()));
        Ok(())
    }
}
