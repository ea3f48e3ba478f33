//! What Lambda's API asks of a running Pelton.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pelton_api::{FileEventInvokeConfigs, FileMappings, Functions, LocalFunction, Place, Surroundings, Unanswered};
use pelton_config::Configuration;
use pelton_core::{Arn, Clock, Mapping, SystemClock};

use crate::aws::Aws;
use crate::commands::check::services::{Answer, Services};

/// The configuration that is in force, as far as the API is concerned.
pub struct World {
    path: PathBuf,
    now: Mutex<Now>,
}

struct Now {
    aws: Aws,
    functions: BTreeSet<String>,
    file: FileMappings,
}

impl World {
    pub fn new(path: &Path, configuration: &Configuration, aws: &Aws) -> Self {
        Self { path: path.to_owned(), now: Mutex::new(Now::of(path, configuration, aws)) }
    }

    /// Takes another configuration for the one that is in force.
    pub fn take(&self, configuration: &Configuration, aws: &Aws) {
        *self.now() = Now::of(&self.path, configuration, aws);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, arn: &Arn) -> Result<bool, Unanswered> {
        let aws = self.now().aws.clone();
        match Services::new(&aws).ask(arn, arn.region()).await {
            Answer::There(_) => Ok(true),
            Answer::Missing => Ok(false),
            // Whoever may not look may still be allowed to use it: the mapping's own status says so if not.
            Answer::Refused(reason) => {
                tracing::warn!(%arn, reason, "whether a mapping's parts are there could not be found out");
                Ok(true)
            }
            Answer::Unknown(reason) => Err(Unanswered(format!("{arn} can't be looked for: {reason}"))),
        }
    }
}

impl Now {
    fn of(path: &Path, configuration: &Configuration, aws: &Aws) -> Self {
        let mappings = configuration.mappings.clone();
        Self {
            aws: aws.clone(),
            functions: configuration.functions.iter().map(|function| function.name.clone()).collect(),
            file: FileMappings { file: path.to_owned(), read_at: SystemClock.now(), mappings },
        }
    }
}

#[async_trait]
impl Surroundings for World {
    fn region(&self) -> String {
        self.now().aws.region().to_owned()
    }

    fn file(&self) -> FileMappings {
        self.now().file.clone()
    }

    fn upstream(&self) -> Option<String> {
        self.now().aws.lambda_endpoint()
    }

    async fn has_function(&self, mapping: &Mapping) -> Result<bool, Unanswered> {
        if self.now().functions.contains(mapping.function.name()) {
            return Ok(true);
        }
        self.ask(&mapping.function_arn).await
    }

    async fn has_source(&self, mapping: &Mapping) -> Result<bool, Unanswered> {
        self.ask(&mapping.event_source).await
    }
}

/// Local functions aren't known to the API yet: what it invokes is the upstream's.
#[async_trait]
impl Functions for World {
    fn place(&self) -> Place {
        let (partition, account) = ("aws".to_owned(), "000000000000".to_owned());
        Place { partition, region: self.region(), account }
    }

    fn local(&self, _: &str) -> Option<LocalFunction> {
        None
    }

    fn locals(&self) -> Vec<LocalFunction> {
        Vec::new()
    }

    async fn has_upstream(&self, function: &Arn) -> Result<bool, Unanswered> {
        self.ask(function).await
    }

    fn file_event_invoke_configs(&self) -> FileEventInvokeConfigs {
        let FileMappings { file, read_at, .. } = self.file();
        FileEventInvokeConfigs { file, read_at, configs: Vec::new() }
    }
}
