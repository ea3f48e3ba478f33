//! Resource-based policies of local functions: who may use them besides those whom the configuration lets.
//!
//! Each policy is a document, kept in the form that AWS shows. A change is written in the place of the revision that was
//! read, so that none is lost, whichever process makes it; a policy that has become empty is kept for its revision.
mod allows;
mod fields;
mod policy;

use std::sync::Arc;

use pelton_config::Principal;
use pelton_core::{Arn, Document, Documents, StoreError};
use serde_json::{Map, Value, json};

use allows::allows;
pub use fields::Fields;
use fields::check_sid;
use policy::Policy;

use super::error::ApiError;
use super::event_invoke_configs::{id, kept_id};
use super::functions::{Functions, LocalFunction};
use super::local;
use super::named::{LATEST, Named, at_home};

/// The documents' kind.
const KIND: &str = "policy";
/// How often a change is made anew because another one was faster.
const TRIES: usize = 8;

/// The policies of all local functions. Cheap to clone.
#[derive(Clone)]
pub struct Policies(Arc<Shared>);

struct Shared {
    /// `Err`: why nothing can be kept.
    documents: Result<Arc<dyn Documents>, String>,
    functions: Arc<dyn Functions>,
}

/// What a function's document says.
struct Read {
    policy: Policy,
    /// Of the document; 0 if there is none yet.
    revision: u64,
}

impl Policies {
    /// Reads nothing yet. Without documents, because of what the text says, there are no policies, and none can be made.
    pub fn new(documents: Result<Arc<dyn Documents>, String>, functions: Arc<dyn Functions>) -> Self {
        Self(Arc::new(Shared { documents, functions }))
    }

    /// Whether the policy of a local function lets a caller do something, such as `lambda:InvokeFunction`. `function` is
    /// its ARN as it was called: with a qualifier only if it was called with one; each has a policy of its own. On whose
    /// behalf the caller calls, by its own account, counts for services alone.
    ///
    /// The answer is never older than the call.
    ///
    /// # Errors
    /// If the store can't be read, or what it has can't be used.
    pub async fn allow(
        &self,
        caller: &Principal,
        action: &str,
        function: &Arn,
        source_arn: Option<&str>,
        source_account: Option<&str>,
    ) -> Result<bool, StoreError> {
        let function = at_home(function.clone(), self.functions());
        if !self.functions().is_local(id(&function).0) {
            return Ok(false);
        }
        let Read { policy, .. } = self.read(&function).await?;
        Ok(allows(&policy, caller, action, &function, source_arn, source_account))
    }

    /// `GetPolicy`.
    pub(super) async fn get(&self, function: &LocalFunction, named: &Named) -> Result<Value, ApiError> {
        let arn = named.given_arn(self.functions())?;
        let Read { policy, revision } = self.read(&arn).await.map_err(|error| unavailable(&error))?;
        if !function.has(named.qualifier()) || policy.statements.is_empty() {
            return Err(ApiError::not_found("The resource you requested does not exist."));
        }
        let revision_id = local::revision_id(function, &arn, revision);
        Ok(json!({ "Policy": policy.text()?, "RevisionId": revision_id }))
    }

    /// `AddPermission`.
    pub(super) async fn add(
        &self,
        function: &LocalFunction,
        named: &Named,
        fields: &Map<String, Value>,
    ) -> Result<Value, ApiError> {
        let mut constraints = Vec::new();
        let fields = Fields::read(fields, &mut constraints)?;
        let Some(fields) = fields.filter(|_| constraints.is_empty()) else {
            return Err(ApiError::validation(&constraints));
        };
        if named.given_qualifier() == Some(LATEST) {
            return Err(ApiError::invalid_parameter("We currently do not support adding policies for $LATEST."));
        }
        let arn = self.existing(function, named)?;
        let (sid, revision_id) = (fields.sid.clone(), fields.revision_id.clone());
        let statement = fields.statement(arn.clone())?;
        let text = statement.text()?;
        self.change(function, &arn, |Read { mut policy, revision }| {
            check_revision(function, &arn, revision, revision_id.as_deref())?;
            if policy.statements.iter().any(|other| other.sid == sid) {
                return Err(ApiError::conflict(format!(
                    "The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the \
                     existing statement."
                )));
            }
            policy.statements.push(statement.clone());
            Ok(policy)
        })
        .await?;
        Ok(json!({ "Statement": text }))
    }

    /// `RemovePermission`.
    pub(super) async fn remove(
        &self,
        function: &LocalFunction,
        named: &Named,
        sid: &str,
        revision_id: Option<&str>,
    ) -> Result<(), ApiError> {
        let mut constraints = Vec::new();
        check_sid(sid, &mut constraints);
        if !constraints.is_empty() {
            return Err(ApiError::validation(&constraints));
        }
        let arn = self.existing(function, named)?;
        self.change(function, &arn, |Read { mut policy, revision }| {
            if policy.statements.is_empty() {
                return Err(ApiError::not_found("No policy is associated with the given resource."));
            }
            let before = policy.statements.len();
            policy.statements.retain(|statement| statement.sid != sid);
            if policy.statements.len() == before {
                let message = format!("Statement {sid} is not found in resource policy.");
                return Err(ApiError::not_found(message));
            }
            check_revision(function, &arn, revision, revision_id)?;
            Ok(policy)
        })
        .await
    }

    /// The revision of a function's policy, which is part of the function's own.
    pub(super) async fn revision(&self, arn: &Arn) -> Result<u64, ApiError> {
        let Ok(documents) = &self.0.documents else { return Ok(0) };
        let document = documents.document(KIND, &kept_id(arn)).await.map_err(|error| unavailable(&error))?;
        Ok(document.map_or(0, |document| document.revision))
    }

    async fn change(
        &self,
        function: &LocalFunction,
        arn: &Arn,
        changed: impl Fn(Read) -> Result<Policy, ApiError>,
    ) -> Result<(), ApiError> {
        let documents = self.0.documents.as_ref().map_err(|reason| {
            ApiError::unavailable(format!("Policies can't be made or changed through the API: {reason}"))
        })?;
        let key = kept_id(arn);
        for _ in 0..TRIES {
            let read = self.read(arn).await.map_err(|error| unavailable(&error))?;
            let revision = read.revision;
            let text = changed(read)?.text()?;
            if documents.put_document(KIND, &key, &text, revision).await.map_err(|error| unavailable(&error))? {
                return Ok(());
            }
        }
        Err(ApiError::conflict(format!("The policy of {} is being changed by others: try again.", function.name)))
    }

    /// `arn` with or without a qualifier; one without has the policy of `$LATEST`, as in AWS.
    async fn read(&self, arn: &Arn) -> Result<Read, StoreError> {
        let Ok(documents) = &self.0.documents else { return Ok(Read { policy: Policy::default(), revision: 0 }) };
        let document = documents.document(KIND, &kept_id(arn)).await?;
        let Some(Document { revision, text, .. }) = document else {
            return Ok(Read { policy: Policy::default(), revision: 0 });
        };
        match serde_json::from_str(&text) {
            Ok(policy) => Ok(Read { policy, revision }),
            Err(error) => Err(StoreError::Refused(format!("the policy of {arn} can't be used: {error}"))),
        }
    }

    /// The ARN, if the version or alias that it names is there.
    fn existing(&self, function: &LocalFunction, named: &Named) -> Result<Arn, ApiError> {
        let arn = named.given_arn(self.functions())?;
        let qualifier = named.qualifier();
        match function.has(qualifier) {
            true => Ok(arn),
            false if local::is_alias(qualifier) => Err(local::no_alias(&arn)),
            false => Err(local::not_found(&arn)),
        }
    }

    fn functions(&self) -> &dyn Functions {
        self.0.functions.as_ref()
    }
}

fn check_revision(function: &LocalFunction, arn: &Arn, revision: u64, wanted: Option<&str>) -> Result<(), ApiError> {
    match wanted {
        Some(wanted) if wanted != local::revision_id(function, arn, revision) => Err(ApiError::precondition_failed(
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
             retrieve the latest Revision Id",
        )),
        _ => Ok(()),
    }
}

fn unavailable(error: &StoreError) -> ApiError {
    tracing::error!(%error, "policies could not be read or kept");
    let message = format!("Policies can't be read or kept: {error}");
    match error {
        StoreError::Unavailable(_) | StoreError::LeaseLost { .. } => ApiError::unavailable(message),
        StoreError::Refused(_) => ApiError::service(message),
    }
}
