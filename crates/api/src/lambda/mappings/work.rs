//! Does the jobs, one after another.
use std::collections::BTreeMap;
use std::sync::Arc;

use pelton_core::{Clock, Documents, Mapping, MappingId, StoreError, SystemClock};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::super::error::ApiError;
use super::super::resource;
use super::super::settings::{self, Made};
use super::super::view::arn;
use super::entry::{Entry, Kept, Stage};
use super::job::{Asked, Job};
use super::{Change, KIND, Mappings, no_resource, show};

const CANNOT_UPDATE: &str = "Cannot update the event source mapping because it is in use.";
const CANNOT_DELETE: &str = "Cannot delete the event source mapping because it is in use.";

/// The worker.
pub struct Work {
    mappings: Mappings,
    jobs: mpsc::Receiver<Asked>,
}

impl Work {
    pub(super) fn new(mappings: Mappings, jobs: mpsc::Receiver<Asked>) -> Self {
        Self { mappings, jobs }
    }

    /// Works for as long as the future lives. Between two jobs nothing is half done.
    pub async fn run(mut self) {
        while let Some(Asked { job, reply }) = self.jobs.recv().await {
            // Nobody may wait for it any more.
            let _ = reply.send(self.mappings.carry_out(job).await);
        }
    }
}

impl Mappings {
    async fn carry_out(&self, job: Job) -> Result<Value, ApiError> {
        let documents = match &self.0.documents {
            Ok(documents) => documents.clone(),
            Err(reason) => {
                return Err(ApiError::unavailable(format!(
                    "Mappings can't be made or changed through the API: {reason}"
                )));
            }
        };
        match job {
            Job::Create(made) => self.create(&documents, *made).await,
            Job::Update(id, changes) => self.update(&documents, id, changes).await,
            Job::Delete(id) => self.delete(&documents, id).await,
            Job::Tag(id, resource, tags) => self.change_tags(&documents, id, &resource, |kept| kept.extend(tags)).await,
            Job::Untag(id, resource, keys) => {
                self.change_tags(&documents, id, &resource, |kept| kept.retain(|key, _| !keys.contains(key))).await
            }
        }
    }

    async fn create(&self, documents: &Arc<dyn Documents>, made: Made) -> Result<Value, ApiError> {
        self.refuse_duplicate(&made.mapping, None)?;
        // What can't be carried out soon isn't taken.
        let permit = self.0.changes.try_reserve().map_err(|_| ApiError::too_many())?;
        let id = MappingId(Uuid::new_v4());
        let mapping = Mapping { id, ..made.mapping };
        let kept = Kept { settings: made.settings, tags: made.tags, last_modified: now(), deleting: false };
        if let Err(error) = documents.put_document(KIND, &id.to_string(), &text(&kept)?, 0).await {
            // It may be there all the same, and would come to life with the next start.
            let _ = documents.delete_document(KIND, &id.to_string()).await;
            return Err(unavailable(&error));
        }
        let stage = if mapping.enabled { Stage::Creating } else { Stage::Disabled };
        let entry = Entry { kept, revision: 1, mapping: mapping.clone(), pending: 1, stage, failure: None };
        let answer = show(&entry, None);
        self.entries().insert(id, entry);
        permit.send(Change::new(id, Some(mapping)));
        Ok(answer)
    }

    async fn update(
        &self,
        documents: &Arc<dyn Documents>,
        id: MappingId,
        changes: Map<String, Value>,
    ) -> Result<Value, ApiError> {
        let before = self.entry(id)?;
        if before.kept.deleting {
            return Err(ApiError::in_use(CANNOT_UPDATE));
        }
        let (settings, mapping) = settings::update(&before.kept.settings, changes, &self.region())?;
        let mapping = Mapping { id, tags: before.kept.tags.clone(), ..mapping };
        if mapping.function_arn != before.mapping.function_arn {
            self.refuse_duplicate(&mapping, Some(id))?;
        }
        let permit = self.0.changes.try_reserve().map_err(|_| ApiError::too_many())?;
        let stage = match (before.mapping.enabled, mapping.enabled) {
            (false, true) => Stage::Enabling,
            (true, false) => Stage::Disabling,
            _ => Stage::Updating,
        };
        let kept = Kept { settings, last_modified: now(), ..before.kept.clone() };
        self.write(documents, id, &before, &kept, CANNOT_UPDATE).await?;
        let answer = self.replace(id, Entry { kept, mapping: mapping.clone(), stage, ..before });
        permit.send(Change::new(id, Some(mapping)));
        Ok(answer)
    }

    async fn delete(&self, documents: &Arc<dyn Documents>, id: MappingId) -> Result<Value, ApiError> {
        let before = self.entry(id)?;
        if before.kept.deleting && before.pending > 0 {
            return Err(ApiError::in_use(CANNOT_DELETE));
        }
        let permit = self.0.changes.try_reserve().map_err(|_| ApiError::too_many())?;
        let kept = Kept { deleting: true, ..before.kept.clone() };
        self.write(documents, id, &before, &kept, CANNOT_DELETE).await?;
        let answer = self.replace(id, Entry { kept, stage: Stage::Deleting, ..before });
        permit.send(Change::new(id, None));
        Ok(answer)
    }

    async fn change_tags(
        &self,
        documents: &Arc<dyn Documents>,
        id: MappingId,
        resource: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<Value, ApiError> {
        let before = match self.entry(id) {
            Ok(entry) if arn(&entry.mapping).eq_ignore_ascii_case(resource) => entry,
            Err(error) if error != ApiError::no_mapping() => return Err(error),
            _ => return Err(no_resource(resource)),
        };
        let mut tags = before.kept.tags.clone();
        change(&mut tags);
        resource::check_tags(&tags)?;
        let kept = Kept { tags: tags.clone(), ..before.kept.clone() };
        self.write(documents, id, &before, &kept, CANNOT_UPDATE).await?;
        if let Some(entry) = self.entries().get_mut(&id) {
            (entry.kept, entry.mapping.tags) = (kept, tags);
            entry.revision += 1;
        }
        Ok(json!({}))
    }

    fn entry(&self, id: MappingId) -> Result<Entry, ApiError> {
        let entry = self.entries().get(&id).cloned();
        entry.ok_or_else(|| self.unknown_or_of_the_file(id))
    }

    async fn write(
        &self,
        documents: &Arc<dyn Documents>,
        id: MappingId,
        before: &Entry,
        kept: &Kept,
        in_use: &str,
    ) -> Result<(), ApiError> {
        let written = documents.put_document(KIND, &id.to_string(), &text(kept)?, before.revision).await;
        match written.map_err(|error| unavailable(&error))? {
            true => Ok(()),
            // Another process that shares the store has changed it, or this one's answer was lost.
            false => {
                self.read_again(documents, id).await?;
                Err(ApiError::in_use(in_use))
            }
        }
    }

    /// Takes over what the store has, so that a repeated call can succeed.
    async fn read_again(&self, documents: &Arc<dyn Documents>, id: MappingId) -> Result<(), ApiError> {
        let document = documents.document(KIND, &id.to_string()).await.map_err(|error| unavailable(&error))?;
        let found = document.and_then(|document| super::read(&document, &self.region()).ok());
        if let (Some((_, found)), Some(entry)) = (found, self.entries().get_mut(&id)) {
            (entry.kept, entry.revision, entry.mapping) = (found.kept, found.revision, found.mapping);
        }
        Ok(())
    }

    /// Puts an entry, one change further, in the place of the one before.
    fn replace(&self, id: MappingId, changed: Entry) -> Value {
        let (states, mut entries) = (self.states(), self.entries());
        // Changes may have been carried out while the document was written.
        let pending = entries.get(&id).map_or(0, |entry| entry.pending) + 1;
        let entry = Entry { pending, revision: changed.revision + 1, failure: None, ..changed };
        let answer = show(&entry, states.get(&id));
        entries.insert(id, entry);
        answer
    }

    fn refuse_duplicate(&self, mapping: &Mapping, but: Option<MappingId>) -> Result<(), ApiError> {
        let is_same = |other: &&Mapping| {
            Some(other.id) != but
                && other.event_source == mapping.event_source
                && other.function_arn == mapping.function_arn
        };
        let file = self.0.surroundings.file().mappings;
        let entries = self.entries();
        let mut all = file.iter().chain(entries.values().map(|entry| &entry.mapping));
        let Some(other) = all.find(is_same) else { return Ok(()) };
        let (source, function, id) = (&mapping.event_source, mapping.function.name(), other.id);
        let subject = match mapping.stream {
            Some(_) => {
                format!("The event source arn (\" {source} \") and function (\" {function} \") provided mapping")
            }
            None => format!("An event source mapping with SQS arn (\" {source} \") and function (\" {function} \")"),
        };
        Err(ApiError::conflict(format!(
            "{subject} already exists. Please update or delete the existing mapping with UUID {id}"
        )))
    }
}

fn now() -> jiff::Timestamp {
    SystemClock.now()
}

fn text(kept: &Kept) -> Result<String, ApiError> {
    serde_json::to_string(kept).map_err(|error| ApiError::unavailable(error.to_string()))
}

fn unavailable(error: &StoreError) -> ApiError {
    tracing::error!(%error, "a mapping could not be kept");
    ApiError::unavailable(format!("The mapping could not be kept: {error}"))
}
