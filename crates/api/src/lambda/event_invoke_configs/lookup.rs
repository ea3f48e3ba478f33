//! What counts for an event, looked up for each attempt at it.
use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use pelton_core::{Arn, EventInvokeConfig, StoreError};
use tokio::time::Instant;

use super::EventInvokeConfigs;
use super::kept::{KIND, Kept, id, kept_id};

/// How long a document counts as it was read, unless this process changes it: others may share the store.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// More are not remembered.
const MOST: usize = 4_096;

/// Documents that were read lately.
#[derive(Default)]
pub struct Recent {
    read: HashMap<String, (Instant, EventInvokeConfig)>,
    /// Rises with every change, so that what was read before one isn't remembered after it.
    changes: u64,
}

impl Recent {
    /// Something was changed.
    pub fn forget(&mut self) {
        self.changes += 1;
        self.read.clear();
    }

    fn get(&self, key: &str) -> Option<EventInvokeConfig> {
        let (at, config) = self.read.get(key)?;
        (at.elapsed() < FRESH_FOR).then(|| config.clone())
    }

    fn remember(&mut self, key: String, config: &EventInvokeConfig, changes: u64, asked_at: Instant) {
        if self.changes != changes {
            return;
        }
        if self.read.len() >= MOST {
            self.read.clear();
        }
        self.read.insert(key, (asked_at, config.clone()));
    }
}

impl EventInvokeConfigs {
    /// What counts for a function's events now: the config of the file, else the one that was made through the API,
    /// else AWS's defaults. `function` is its ARN with a qualifier; one without means `$LATEST`. A change through this
    /// process counts at once, one through another that shares the store within a second.
    ///
    /// # Errors
    /// If the store can't be read, or what it has can't be used.
    pub async fn of(&self, function: &Arn) -> Result<EventInvokeConfig, StoreError> {
        let function = self.home(function);
        let (name, qualifier) = id(&function);
        let file = self.functions().file_event_invoke_configs().configs;
        if let Some(found) = file.into_iter().find(|config| config.name == name && config.qualifier == qualifier) {
            return Ok(found.config);
        }
        let Ok(documents) = &self.0.documents else { return Ok(EventInvokeConfig::default()) };
        let (key, asked_at) = (kept_id(&function), Instant::now());
        let changes = {
            let recent = self.recent();
            if let Some(config) = recent.get(&key) {
                return Ok(config);
            }
            recent.changes
        };
        let unusable = |reason: String| {
            StoreError::Refused(format!("the event invoke config of {function} can't be used: {reason}"))
        };
        let config = match documents.document(KIND, &key).await? {
            None => EventInvokeConfig::default(),
            Some(document) => {
                Kept::read(&document).map_err(|error| unusable(error.message))?.config().map_err(unusable)?
            }
        };
        self.recent().remember(key, &config, changes, asked_at);
        Ok(config)
    }

    pub(super) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
