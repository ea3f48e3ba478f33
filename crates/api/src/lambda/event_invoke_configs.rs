//! Event invoke configs: those of the file, and those that were made through the API (spec 11).
//!
//! What the API makes is a document each, written in the place of the revision that was read, so that of two changes at
//! a time, in this process or another, the later one is made on top of the earlier.
mod change;
mod destinations;
mod fields;
mod kept;
mod lookup;

use std::sync::{Arc, Mutex};

use pelton_core::{Arn, Documents, StoreError};
use serde_json::{Map, Value, json};

pub use fields::Fields;
use kept::{KIND, Kept, Shown};
pub use kept::{id, kept_id};
use lookup::Recent;

use super::error::ApiError;
use super::functions::{FileEventInvokeConfig, Functions};
use super::list::max_items;
use super::named::{Named, at_home};

const MOST_ITEMS: usize = 50;

/// The event invoke configs of all functions. Cheap to clone.
#[derive(Clone)]
pub struct EventInvokeConfigs(Arc<Shared>);

struct Shared {
    /// `Err`: why nothing can be kept.
    documents: Result<Arc<dyn Documents>, String>,
    functions: Arc<dyn Functions>,
    recent: Mutex<Recent>,
}

impl EventInvokeConfigs {
    /// Reads nothing yet. Without documents, because of what the text says, configs of the file are shown, and none can
    /// be made.
    pub fn new(documents: Result<Arc<dyn Documents>, String>, functions: Arc<dyn Functions>) -> Self {
        Self(Arc::new(Shared { documents, functions, recent: Mutex::default() }))
    }

    pub(super) async fn get(&self, name: &str, query: &str) -> Result<Value, ApiError> {
        let arn = self.named(name, query)?;
        Ok(self.shown(&arn).await?.ok_or_else(|| none(&arn))?.view())
    }

    pub(super) async fn list(&self, name: &str, query: &str) -> Result<Value, ApiError> {
        let get = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).filter(|it| !it.is_empty())
        };
        let (items, after) = (get("MaxItems"), get("Marker"));
        let items = items.map_or(Ok(MOST_ITEMS), |text| max_items(&text, MOST_ITEMS))?;
        let named = read(name, "")?;
        named.check(&self.0.functions.place())?;
        let arn = named.bare_arn(self.functions())?;
        self.require(&arn, None).await?;
        let mut all = self.of_file(&named.name, &arn);
        for document in self.documents_of(&arn).await? {
            if !all.iter().any(|shown| shown.qualifier() == document.qualifier()) {
                all.push(document);
            }
        }
        all.retain(|shown| after.as_deref().is_none_or(|after| shown.qualifier() > after));
        all.sort_by(|one, other| one.qualifier().cmp(other.qualifier()));
        let has_more = all.len() > items;
        all.truncate(items);
        let configs: Vec<Value> = all.iter().map(Shown::view).collect();
        match all.last().filter(|_| has_more) {
            None => Ok(json!({ "FunctionEventInvokeConfigs": configs })),
            Some(last) => Ok(json!({ "NextMarker": last.qualifier(), "FunctionEventInvokeConfigs": configs })),
        }
    }

    /// Puts, or with `is_update` changes, what the fields of a body say.
    pub(super) async fn set(
        &self,
        name: &str,
        query: &str,
        fields: &Map<String, Value>,
        is_update: bool,
    ) -> Result<Value, ApiError> {
        let mut constraints = Vec::new();
        let named = Named::read(name, query, &mut constraints);
        let fields = Fields::read(fields, is_update, &mut constraints)?;
        let Some(named) = named.filter(|_| constraints.is_empty()) else {
            return Err(ApiError::validation(&constraints));
        };
        if fields.say_nothing() {
            let message = "You must specify at least one of error handling or destination setting.";
            return Err(ApiError::invalid_parameter(message));
        }
        named.check(&self.0.functions.place())?;
        let arn = named.arn(self.functions())?;
        self.require(&named.given_arn(self.functions())?, Some(named.qualifier())).await?;
        self.refuse_file(&arn)?;
        destinations::check(&fields, &arn, self.functions()).await?;
        let kept = self.write(&arn, &fields, is_update).await?;
        Ok(Shown::of(&arn, kept).view())
    }

    pub(super) async fn delete(&self, name: &str, query: &str) -> Result<(), ApiError> {
        let arn = self.named(name, query)?;
        self.refuse_file(&arn)?;
        self.forget(&arn).await
    }

    fn functions(&self) -> &dyn Functions {
        self.0.functions.as_ref()
    }

    /// The qualified ARN of a request that has nothing but names.
    fn named(&self, name: &str, query: &str) -> Result<Arn, ApiError> {
        let named = read(name, query)?;
        named.check(&self.0.functions.place())?;
        named.arn(self.functions())
    }

    /// Refuses a function, or a version or alias of one, that isn't there.
    async fn require(&self, arn: &Arn, qualifier: Option<&str>) -> Result<(), ApiError> {
        let is_there = match self.functions().local(id(arn).0) {
            Some(local) => qualifier.is_none_or(|qualifier| local.has(qualifier)),
            None => super::present::has_upstream(self.functions(), arn).await?,
        };
        match is_there {
            true => Ok(()),
            false => Err(ApiError::not_found("The function doesn't exist.")),
        }
    }

    async fn shown(&self, arn: &Arn) -> Result<Option<Shown>, ApiError> {
        let (name, qualifier) = id(arn);
        if let Some(shown) = self.of_file(name, arn).into_iter().find(|shown| shown.qualifier() == qualifier) {
            return Ok(Some(shown));
        }
        let Ok(documents) = &self.0.documents else { return Ok(None) };
        let document = documents.document(KIND, &kept_id(arn)).await.map_err(|error| unavailable(&error))?;
        document.map(|document| Ok(Shown::of(arn, Kept::read(&document)?))).transpose()
    }

    /// What the file has of a function.
    fn of_file(&self, name: &str, arn: &Arn) -> Vec<Shown> {
        let file = self.functions().file_event_invoke_configs();
        let of_it = file.configs.into_iter().filter(|config| config.name == name);
        of_it
            .filter_map(|FileEventInvokeConfig { qualifier, config, .. }| {
                Some(Shown::of(&kept::with_qualifier(arn, &qualifier)?, Kept::of(&config, file.read_at)))
            })
            .collect()
    }

    /// What was made of a function.
    async fn documents_of(&self, arn: &Arn) -> Result<Vec<Shown>, ApiError> {
        let Ok(documents) = &self.0.documents else { return Ok(Vec::new()) };
        let all = documents.documents(KIND).await.map_err(|error| unavailable(&error))?;
        let of_it = all.iter().filter_map(|document| Some((kept::qualifier_of(arn, &document.key)?, document)));
        of_it.map(|(qualifier, document)| Ok(Shown::of(&qualifier, Kept::read(document)?))).collect()
    }

    fn refuse_file(&self, arn: &Arn) -> Result<(), ApiError> {
        let file = self.functions().file_event_invoke_configs();
        let (name, qualifier) = id(arn);
        match file.configs.iter().any(|config| config.name == name && config.qualifier == qualifier) {
            false => Ok(()),
            true => Err(ApiError::invalid_parameter(format!(
                "The event invoke config of {arn} is written in {}: change it there. Pelton reads the file again when it \
                 is saved.",
                file.file.display()
            ))),
        }
    }

    /// [`at_home`], for an ARN that didn't come through [`Named`].
    fn home(&self, arn: &Arn) -> Arn {
        at_home(arn.clone(), self.functions())
    }
}

fn read(name: &str, query: &str) -> Result<Named, ApiError> {
    let mut constraints = Vec::new();
    Named::read(name, query, &mut constraints).ok_or_else(|| ApiError::validation(&constraints))
}

fn none(arn: &Arn) -> ApiError {
    ApiError::not_found(format!("The function {arn} doesn't have an EventInvokeConfig"))
}

fn unavailable(error: &StoreError) -> ApiError {
    tracing::error!(%error, "event invoke configs could not be read or kept");
    ApiError::unavailable(format!("Event invoke configs can't be read or kept: {error}"))
}
