//! What the API asks of whoever has functions.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use pelton_core::{Arn, EventInvokeConfig, Invoker};

use super::surroundings::Unanswered;

/// Whose functions are meant by names that don't say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// Such as `us-east-1`. Functions of any other are out of reach.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

/// A function that Pelton runs itself. It has `$LATEST` and its aliases; no other qualifier of it exists.
#[derive(Clone)]
pub struct LocalFunction {
    /// The bare name.
    pub name: String,
    /// Aliases, which all mean `$LATEST`.
    pub aliases: Vec<String>,
    /// Runs it, within the limits it has.
    pub invoker: Arc<dyn Invoker>,
    /// What it shows of itself.
    pub settings: LocalSettings,
}

impl LocalFunction {
    /// Whether a version or alias of it exists.
    pub fn has(&self, qualifier: &str) -> bool {
        qualifier == "$LATEST" || self.aliases.iter().any(|alias| alias == qualifier)
    }
}

/// The settings of a local function, as its configuration has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettings {
    /// Such as `python3.12`; `None` for a program of its own.
    pub runtime: Option<String>,
    /// `Handler`.
    pub handler: Option<String>,
    /// `Timeout`.
    pub timeout: Duration,
    /// `MemorySize` in MB.
    pub memory_size: u32,
    /// `Environment.Variables`.
    pub environment: BTreeMap<String, String>,
    /// `ReservedConcurrentExecutions`, if it has any.
    pub reserved_concurrency: Option<u32>,
    /// `DeadLetterConfig.TargetArn`, if it has one.
    pub dead_letter_queue: Option<Arn>,
    /// `LastModified`: since when it is as it is.
    pub last_modified: Timestamp,
}

/// The event invoke configs of the configuration file, which the API shows and doesn't change.
#[derive(Debug, Clone)]
pub struct FileEventInvokeConfigs {
    /// The file as it was named.
    pub file: PathBuf,
    /// When it was read.
    pub read_at: Timestamp,
    /// What it has.
    pub configs: Vec<FileEventInvokeConfig>,
}

/// One of them. It counts for every function of its name, whatever the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEventInvokeConfig {
    /// The function's bare name.
    pub name: String,
    /// `$LATEST`, a version or an alias.
    pub qualifier: String,
    /// What it says.
    pub config: EventInvokeConfig,
}

/// Knows the functions there are: those of this process, and those behind it.
#[async_trait]
pub trait Functions: Send + Sync + 'static {
    /// Whose functions are meant by names that don't say it.
    fn place(&self) -> Place;

    /// The local function of a bare name, which hides those of the upstream of the same name, whatever the account.
    fn local(&self, name: &str) -> Option<LocalFunction>;

    /// Whether there is one of this name: asked for every event.
    fn is_local(&self, name: &str) -> bool {
        self.local(name).is_some()
    }

    /// Every local function, in the order of the file.
    fn locals(&self) -> Vec<LocalFunction>;

    /// Whether a function of the upstream is there, by an ARN with or without a qualifier; without one, any will do.
    /// Local functions are none of it. Answers must not be kept: who asks often keeps them.
    async fn has_upstream(&self, function: &Arn) -> Result<bool, Unanswered>;

    /// The event invoke configs of the file.
    fn file_event_invoke_configs(&self) -> FileEventInvokeConfigs;
}
