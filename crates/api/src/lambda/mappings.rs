//! The mappings that were made through the API: what is kept of each, and how far the work on it has come.
//!
//! Everything that changes a mapping is a job, and one worker does one after another, whether or not the client still
//! waits. A job is done when the document is written; what then runs or stops follows as a [`Change`], in the same order.
mod changes;
mod entry;
mod job;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pelton_core::{Document, Documents, Mapping, MappingId, StoreError};
use pelton_engine::{MappingStatus, StatusHandle};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub use changes::{Change, Changes};
use entry::{Entry, Kept, Stage};
use job::Asked;
pub(super) use job::Job;
pub use work::Work;

use super::error::ApiError;
use super::list::Query;
use super::settings;
use super::surroundings::{FileMappings, Surroundings};
use super::view::{Condition, arn, view};

/// The documents' kind.
const KIND: &str = "event-source-mapping";
/// Jobs, and changes, that wait; further ones are refused, so that clients slow down.
const WAITING: usize = 256;

/// The mappings of the API. Cheap to clone.
#[derive(Clone)]
pub struct Mappings(Arc<Shared>);

struct Shared {
    /// `Err`: why nothing can be kept.
    documents: Result<Arc<dyn Documents>, String>,
    surroundings: Arc<dyn Surroundings>,
    status: StatusHandle,
    entries: Mutex<BTreeMap<MappingId, Entry>>,
    jobs: mpsc::Sender<Asked>,
    changes: mpsc::Sender<Change>,
}

/// The mappings as they were kept, and what is to be done with them.
pub struct Loaded {
    /// The mappings.
    pub mappings: Mappings,
    /// To be run beside the listener.
    pub work: Work,
    /// What is to be carried out, in this order; each is to be followed by [`Mappings::carried_out`].
    pub changes: Changes,
    /// What comes before that: the mappings that were kept.
    pub first: Vec<Change>,
}

impl Mappings {
    /// Reads what was kept. Without documents, because of what the text says, mappings of the file are shown, and none
    /// can be made.
    pub async fn load(
        documents: Result<Arc<dyn Documents>, String>,
        surroundings: Arc<dyn Surroundings>,
        status: StatusHandle,
    ) -> Result<Loaded, StoreError> {
        let kept = match &documents {
            Ok(documents) => documents.documents(KIND).await?,
            Err(_) => Vec::new(),
        };
        let region = surroundings.region();
        let mut entries = BTreeMap::new();
        for document in kept {
            match read(&document, &region) {
                Ok((id, entry)) => {
                    entries.insert(id, entry);
                }
                Err(reason) => {
                    tracing::error!(
                        mapping = document.key,
                        reason,
                        "a mapping that was made through the API can't be used"
                    );
                }
            }
        }
        let first = entries.iter().map(|(id, entry)| Change::new(*id, entry.wanted())).collect();
        let (jobs, receiver) = mpsc::channel(WAITING);
        let (sender, changes) = mpsc::channel(WAITING);
        let shared = Shared { documents, surroundings, status, entries: Mutex::new(entries), jobs, changes: sender };
        let mappings = Self(Arc::new(shared));
        let changes = Changes::new(changes);
        Ok(Loaded { work: Work::new(mappings.clone(), receiver), mappings, changes, first })
    }

    /// Hears what became of a change.
    pub async fn carried_out(&self, change: &Change, outcome: Result<(), String>) {
        let forget = {
            let mut entries = self.entries();
            let Some(entry) = entries.get_mut(&change.id) else { return };
            entry.pending = entry.pending.saturating_sub(change.calls);
            entry.failure = outcome.err();
            change.to.is_none() && entry.failure.is_none()
        };
        let (true, Ok(documents)) = (forget, &self.0.documents) else { return };
        match documents.delete_document(KIND, &change.id.to_string()).await {
            Ok(()) => {
                self.entries().remove(&change.id);
            }
            // It is marked as deleted: the next start, or another DeleteEventSourceMapping, tries again.
            Err(error) => {
                tracing::error!(mapping = %change.id, %error, "a deleted mapping could not be taken out of the store");
                if let Some(entry) = self.entries().get_mut(&change.id) {
                    entry.failure = Some(error.to_string());
                }
            }
        }
    }

    pub(super) fn get(&self, id: MappingId) -> Result<Value, ApiError> {
        let states = self.states();
        if let Some(entry) = self.entries().get(&id) {
            return Ok(show(entry, states.get(&id)));
        }
        let file = self.0.surroundings.file();
        let mapping = file.mappings.iter().find(|mapping| mapping.id == id).ok_or_else(ApiError::no_mapping)?;
        Ok(show_of_file(mapping, file.read_at, states.get(&id)))
    }

    pub(super) fn list(&self, query: &Query) -> Value {
        let (states, file, entries) = (self.states(), self.0.surroundings.file(), self.entries());
        let all = file.mappings.iter().chain(entries.values().map(|entry| &entry.mapping));
        let (chosen, marker) = query.page(all);
        let shown = chosen.into_iter().map(|mapping| match entries.get(&mapping.id) {
            Some(entry) => show(entry, states.get(&mapping.id)),
            None => show_of_file(mapping, file.read_at, states.get(&mapping.id)),
        });
        let shown: Vec<Value> = shown.collect();
        match marker {
            None => json!({ "EventSourceMappings": shown }),
            Some(marker) => json!({ "NextMarker": marker, "EventSourceMappings": shown }),
        }
    }

    pub(super) fn tags(&self, id: MappingId, resource: &str) -> Result<Value, ApiError> {
        let unknown = || no_resource(resource);
        if let Some(entry) = self.entries().get(&id) {
            let is_it = arn(&entry.mapping).eq_ignore_ascii_case(resource);
            return is_it.then(|| json!({ "Tags": entry.kept.tags })).ok_or_else(unknown);
        }
        let file = self.0.surroundings.file();
        let mapping = file.mappings.iter().find(|mapping| mapping.id == id).ok_or_else(unknown)?;
        arn(mapping).eq_ignore_ascii_case(resource).then(|| json!({ "Tags": mapping.tags })).ok_or_else(unknown)
    }

    /// Checks, short of the changes of others meanwhile, what an update would make.
    pub(super) fn preview(&self, id: MappingId, changes: &serde_json::Map<String, Value>) -> Result<Mapping, ApiError> {
        let before = self.entries().get(&id).map(|entry| entry.kept.settings.clone());
        let Some(before) = before else { return Err(self.unknown_or_of_the_file(id)) };
        Ok(settings::update(&before, changes.clone(), &self.region())?.1)
    }

    pub(super) fn region(&self) -> String {
        self.0.surroundings.region()
    }

    pub(super) fn surroundings(&self) -> &Arc<dyn Surroundings> {
        &self.0.surroundings
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<MappingId, Entry>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn states(&self) -> BTreeMap<MappingId, MappingStatus> {
        let parse = |status: MappingStatus| Some((MappingId(status.uuid.parse().ok()?), status));
        self.0.status.mappings().into_iter().filter_map(parse).collect()
    }

    /// Why a mapping that isn't the API's can't be changed.
    fn unknown_or_of_the_file(&self, id: MappingId) -> ApiError {
        let FileMappings { file, mappings, .. } = self.0.surroundings.file();
        match mappings.iter().any(|mapping| mapping.id == id) {
            false => ApiError::no_mapping(),
            true => ApiError::invalid_parameter(format!(
                "The event source mapping {id} is written in {}: change it there. Pelton reads the file again when it \
                 is saved.",
                file.display()
            )),
        }
    }
}

/// No mapping has this ARN.
fn no_resource(arn: &str) -> ApiError {
    ApiError::not_found(format!("Event source mapping not found: {arn}"))
}

fn read(document: &Document, region: &str) -> Result<(MappingId, Entry), String> {
    let id = MappingId(document.key.parse().map_err(|_| "its key is no UUID".to_owned())?);
    let kept: Kept = serde_json::from_str(&document.text).map_err(|error| error.to_string())?;
    let mut mapping = settings::kept(&kept.settings, region).map_err(|error| error.message)?;
    (mapping.id, mapping.tags) = (id, kept.tags.clone());
    let stage = match (kept.deleting, mapping.enabled) {
        (true, _) => Stage::Deleting,
        (false, true) => Stage::Enabled,
        (false, false) => Stage::Disabled,
    };
    Ok((id, Entry { kept, revision: document.revision, mapping, pending: 1, stage, failure: None }))
}

fn show(entry: &Entry, status: Option<&MappingStatus>) -> Value {
    let last_processing_result = match (&entry.failure, status) {
        (Some(failure), _) => format!("PROBLEM: {failure}"),
        (None, status) => result(status),
    };
    let condition = Condition {
        state: entry.state(status.map(|status| status.state.as_str())).to_owned(),
        last_modified: entry.kept.last_modified,
        last_processing_result,
    };
    view(&entry.mapping, &condition)
}

fn show_of_file(mapping: &Mapping, read_at: Timestamp, status: Option<&MappingStatus>) -> Value {
    let fallback = if mapping.enabled { "Creating" } else { "Disabled" };
    let condition = Condition {
        state: status.map_or(fallback, |status| status.state.as_str()).to_owned(),
        last_modified: read_at,
        last_processing_result: result(status),
    };
    view(mapping, &condition)
}

fn result(status: Option<&MappingStatus>) -> String {
    status.map_or("No records processed", |status| status.last_processing_result.as_str()).to_owned()
}
