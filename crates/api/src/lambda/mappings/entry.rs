//! One mapping of the API.
use std::collections::BTreeMap;

use jiff::Timestamp;
use pelton_core::Mapping;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is kept of a mapping, in its document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Kept {
    /// The fields of its create, with those of its updates in their places; without `Tags`.
    pub settings: Map<String, Value>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    pub last_modified: Timestamp,
    /// A delete was accepted, and isn't carried out to its end.
    #[serde(default)]
    pub deleting: bool,
}

/// What the last accepted call asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Creating,
    Enabling,
    Enabled,
    Disabling,
    Disabled,
    Updating,
    Deleting,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Enabling => "Enabling",
            Self::Enabled => "Enabled",
            Self::Disabling => "Disabling",
            Self::Disabled => "Disabled",
            Self::Updating => "Updating",
            Self::Deleting => "Deleting",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub kept: Kept,
    /// Of its document.
    pub revision: u64,
    pub mapping: Mapping,
    /// Changes that are not carried out yet.
    pub pending: u32,
    pub stage: Stage,
    /// Why the last change could not be carried out.
    pub failure: Option<String>,
}

impl Entry {
    /// What should run.
    pub fn wanted(&self) -> Option<Mapping> {
        (!self.kept.deleting).then(|| self.mapping.clone())
    }

    /// `State`, by what the engine says of the mapping, if it knows it.
    pub fn state<'a>(&self, engine: Option<&'a str>) -> &'a str {
        let disabled = if self.kept.deleting { Stage::Deleting } else { Stage::Disabled };
        match engine {
            _ if self.pending > 0 || self.kept.deleting => self.stage.name(),
            _ if self.failure.is_some() || !self.mapping.enabled => disabled.name(),
            // The engine begins every mapping in the same way; why it began shows here.
            None | Some("Creating") => self.stage.name(),
            Some(state) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(stage: Stage, enabled: bool, pending: u32) -> Entry {
        let settings = serde_json::json!({
            "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q", "FunctionName": "f", "Enabled": enabled,
        });
        let settings = settings.as_object().unwrap().clone();
        let mapping = pelton_config::check_mapping(&settings, "us-east-1").unwrap();
        let (tags, last_modified) = (BTreeMap::new(), Timestamp::UNIX_EPOCH);
        let kept = Kept { settings, tags, last_modified, deleting: stage == Stage::Deleting };
        Entry { kept, revision: 1, mapping, pending, stage, failure: None }
    }

    #[test]
    fn states_settle_as_in_aws() {
        for (stage, enabled, pending, engine, shown) in [
            (Stage::Creating, true, 1, None, "Creating"),
            (Stage::Creating, true, 0, Some("Creating"), "Creating"),
            (Stage::Creating, true, 0, Some("Enabled"), "Enabled"),
            (Stage::Disabled, false, 1, None, "Disabled"),
            (Stage::Disabling, false, 1, Some("Enabled"), "Disabling"),
            (Stage::Disabling, false, 0, Some("Disabled"), "Disabled"),
            (Stage::Enabling, true, 1, Some("Disabled"), "Enabling"),
            (Stage::Enabling, true, 0, Some("Creating"), "Enabling"),
            (Stage::Enabling, true, 0, Some("Enabled"), "Enabled"),
            (Stage::Updating, true, 1, Some("Disabled"), "Updating"),
            (Stage::Updating, true, 0, Some("Creating"), "Updating"),
            (Stage::Updating, false, 1, Some("Disabled"), "Updating"),
            (Stage::Updating, false, 0, Some("Disabled"), "Disabled"),
            (Stage::Enabled, true, 0, Some("Creating"), "Enabled"),
            (Stage::Deleting, true, 1, Some("Enabled"), "Deleting"),
            (Stage::Deleting, true, 0, Some("Disabled"), "Deleting"),
        ] {
            assert_eq!(entry(stage, enabled, pending).state(engine), shown, "{stage:?} {pending} {engine:?}");
        }
        let failed = Entry { failure: Some("no".into()), ..entry(Stage::Creating, true, 0) };
        assert_eq!(failed.state(None), "Disabled");
    }
}
