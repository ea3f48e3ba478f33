//! What the API asks of whoever runs mappings.
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::Mapping;

/// The mappings of the configuration file, which the API shows and doesn't change.
#[derive(Debug, Clone)]
pub struct FileMappings {
    /// The file as it was named.
    pub file: PathBuf,
    /// When it was read.
    pub read_at: Timestamp,
    /// What it has.
    pub mappings: Vec<Mapping>,
}

/// Whether something is there could not be found out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);

/// Knows the world around the API.
#[async_trait]
pub trait Surroundings: Send + Sync + 'static {
    /// The Region of functions whose event source doesn't tell one.
    fn region(&self) -> String;

    /// The mappings of the file.
    fn file(&self) -> FileMappings;

    /// The endpoint of the Lambda that everything else is passed on to, such as `http://127.0.0.1:4566`. `None`: AWS
    /// itself.
    fn upstream(&self) -> Option<String>;

    /// Whether a mapping's function is there.
    async fn has_function(&self, mapping: &Mapping) -> Result<bool, Unanswered>;

    /// Whether a mapping's event source is there.
    async fn has_source(&self, mapping: &Mapping) -> Result<bool, Unanswered>;
}
