//! The seam behind which small texts outlive the process: what was made through the API, and stands in no file.
use async_trait::async_trait;

use crate::StoreError;

/// The longest text of a document, in bytes. DynamoDB's rows, the smallest of all, hold 400 KB with their names.
pub const LARGEST_DOCUMENT: usize = 256 * 1_024;

/// One text, as it was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name among those of its kind.
    pub key: String,
    /// 1 when it is written first; rises by one with every write.
    pub revision: u64,
    /// JSON, by convention; stores don't look into it.
    pub text: String,
}

/// Keeps texts by kind and key. Every call is atomic, and what it wrote is as durable as the store is when it returns
/// `Ok`. Kinds and keys are short texts of letters, digits, `-`, `_`, `.` and `:`.
#[async_trait]
pub trait Documents: Send + Sync + 'static {
    /// Writes a text in the place of revision `replaces`, 0 for a document that isn't there yet. `false`: the document
    /// is at another revision, so that somebody else was faster, and nothing was written. A text longer than
    /// [`LARGEST_DOCUMENT`] is refused.
    async fn put_document(&self, kind: &str, key: &str, text: &str, replaces: u64) -> Result<bool, StoreError>;

    /// One document; `None` if there is none.
    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError>;

    /// All documents of a kind, ordered by key.
    async fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError>;

    /// Deletes a document, whatever its revision. One that isn't there is no error.
    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError>;
}
