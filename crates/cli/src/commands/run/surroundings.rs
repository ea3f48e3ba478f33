//! What Lambda's API and asynchronous events ask of a running Pelton.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pelton_api::{
    FileEventInvokeConfig, FileEventInvokeConfigs, FileMappings, LocalFunction, Place, Surroundings, Unanswered,
};
use pelton_config::Configuration;
use pelton_core::{Arn, Clock, DestinationArn, Mapping, SystemClock};

use super::functions::{Functions, shown};
use super::outlets::Outlets;
use super::parts::Parts;
use crate::commands::check::services::{Answer, Services};

/// The configuration that is in force, as far as the API and events are concerned.
pub struct World {
    path: PathBuf,
    now: Mutex<Arc<Now>>,
}

/// What is in force at a time.
pub struct Now {
    pub outlets: Arc<Outlets>,
    /// The local functions.
    pub functions: Functions,
    /// The same, in the order of the file.
    shown: Vec<LocalFunction>,
    /// Those that the file gives functions, by the function's bare name.
    pub dead_letter_queues: BTreeMap<String, DestinationArn>,
    file: FileMappings,
    event_invoke_configs: Vec<FileEventInvokeConfig>,
}

impl World {
    pub fn new(path: &Path, configuration: &Configuration, parts: &Parts) -> Self {
        Self { path: path.to_owned(), now: Mutex::new(Arc::new(Now::of(path, configuration, parts))) }
    }

    /// Takes another configuration for the one that is in force.
    pub fn take(&self, configuration: &Configuration, parts: &Parts) {
        let now = Arc::new(Now::of(&self.path, configuration, parts));
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// What is in force now.
    pub fn now(&self) -> Arc<Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, arn: &Arn) -> Result<bool, Unanswered> {
        match Services::new(self.now().outlets.aws()).ask(arn, arn.region()).await {
            Answer::There(_) => Ok(true),
            Answer::Missing => Ok(false),
            // Whoever may not look may still be allowed to use it: the mapping's own status says so if not.
            Answer::Refused(reason) => {
                tracing::warn!(%arn, reason, "whether something is there could not be found out");
                Ok(true)
            }
            Answer::Unknown(reason) => Err(Unanswered(format!("{arn} can't be looked for: {reason}"))),
        }
    }
}

impl Now {
    fn of(path: &Path, configuration: &Configuration, parts: &Parts) -> Self {
        let functions = parts.functions().clone();
        let shown = configuration.functions.iter().filter_map(|function| {
            let started = functions.get(&function.name)?;
            Some(shown(function, started, configuration))
        });
        let settings = &configuration.function_settings;
        let dead_letter_queue = |settings: &pelton_config::FunctionSettings| {
            Some((settings.function.name().to_owned(), settings.dead_letter_queue.clone()?))
        };
        let configs = settings.iter().flat_map(|settings| {
            settings.event_invoke_configs.iter().map(|(qualifier, config)| FileEventInvokeConfig {
                name: settings.function.name().to_owned(),
                qualifier: qualifier.clone(),
                config: config.clone(),
            })
        });
        Self {
            outlets: parts.outlets().clone(),
            shown: shown.collect(),
            functions,
            dead_letter_queues: settings.iter().filter_map(dead_letter_queue).collect(),
            file: FileMappings {
                file: path.to_owned(),
                read_at: SystemClock.now(),
                mappings: configuration.mappings.clone(),
            },
            event_invoke_configs: configs.collect(),
        }
    }

    /// The local function of a bare name.
    pub fn local(&self, name: &str) -> Option<&LocalFunction> {
        self.shown.iter().find(|function| function.name == name)
    }
}

#[async_trait]
impl Surroundings for World {
    fn region(&self) -> String {
        self.now().outlets.aws().region().to_owned()
    }

    fn file(&self) -> FileMappings {
        self.now().file.clone()
    }

    fn upstream(&self) -> Option<String> {
        self.now().outlets.aws().lambda_endpoint()
    }

    async fn has_function(&self, mapping: &Mapping) -> Result<bool, Unanswered> {
        if let Some(local) = self.now().local(mapping.function.name()) {
            return Ok(mapping.function.qualifier().is_none_or(|qualifier| local.has(qualifier)));
        }
        self.ask(&mapping.function_arn).await
    }

    async fn has_source(&self, mapping: &Mapping) -> Result<bool, Unanswered> {
        self.ask(&mapping.event_source).await
    }
}

#[async_trait]
impl pelton_api::Functions for World {
    fn place(&self) -> Place {
        let now = self.now();
        let (region, account) = (now.outlets.aws().region().to_owned(), now.outlets.account().to_owned());
        Place { partition: "aws".to_owned(), region, account }
    }

    fn local(&self, name: &str) -> Option<LocalFunction> {
        self.now().local(name).cloned()
    }

    fn is_local(&self, name: &str) -> bool {
        self.now().functions.contains_key(name)
    }

    fn locals(&self) -> Vec<LocalFunction> {
        self.now().shown.clone()
    }

    async fn has_upstream(&self, function: &Arn) -> Result<bool, Unanswered> {
        self.ask(function).await
    }

    fn file_event_invoke_configs(&self) -> FileEventInvokeConfigs {
        let now = self.now();
        let FileMappings { file, read_at, .. } = &now.file;
        let configs = now.event_invoke_configs.clone();
        FileEventInvokeConfigs { file: file.clone(), read_at: *read_at, configs }
    }
}
