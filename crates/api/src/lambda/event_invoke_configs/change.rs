//! Changes configs that were made through the API.
use std::sync::Arc;

use pelton_core::{Arn, Clock, Documents, SystemClock};

use super::super::error::ApiError;
use super::fields::Fields;
use super::kept::{KIND, Kept, kept_id};
use super::{EventInvokeConfigs, none, unavailable};

/// How often a change is made anew because another one was faster.
const TRIES: usize = 8;

impl EventInvokeConfigs {
    /// Puts a config, or changes the one there is, and gives what is kept then.
    pub(super) async fn write(&self, arn: &Arn, fields: &Fields, is_update: bool) -> Result<Kept, ApiError> {
        let (documents, key) = (self.documents()?, kept_id(arn));
        for _ in 0..TRIES {
            let document = documents.document(KIND, &key).await.map_err(|error| unavailable(&error))?;
            let revision = document.as_ref().map_or(0, |document| document.revision);
            let before = match (is_update, document) {
                (false, _) => None,
                (true, Some(document)) => Some(Kept::read(&document)?),
                (true, None) => return Err(none(arn)),
            };
            let kept = changed(before, fields);
            let text = serde_json::to_string(&kept).map_err(|error| ApiError::service(error.to_string()))?;
            let written = documents.put_document(KIND, &key, &text, revision).await;
            // Also after an error: the answer may be all that was lost.
            self.recent().forget();
            if written.map_err(|error| unavailable(&error))? {
                return Ok(kept);
            }
        }
        Err(ApiError::conflict(format!("The event invoke config of {arn} is being changed by others: try again.")))
    }

    pub(super) async fn forget(&self, arn: &Arn) -> Result<(), ApiError> {
        let (documents, key) = (self.documents()?, kept_id(arn));
        let document = documents.document(KIND, &key).await.map_err(|error| unavailable(&error))?;
        document.ok_or_else(|| none(arn))?;
        let deleted = documents.delete_document(KIND, &key).await;
        self.recent().forget();
        deleted.map_err(|error| unavailable(&error))
    }

    fn documents(&self) -> Result<Arc<dyn Documents>, ApiError> {
        self.0.documents.clone().map_err(|reason| {
            ApiError::unavailable(format!("Event invoke configs can't be made or changed through the API: {reason}"))
        })
    }
}

/// A put begins with nothing (spec 11.2).
fn changed(before: Option<Kept>, fields: &Fields) -> Kept {
    let last_modified = SystemClock.now();
    let mut kept = Kept {
        last_modified,
        ..before.unwrap_or(Kept {
            maximum_retry_attempts: None,
            maximum_event_age_in_seconds: None,
            on_success: None,
            on_failure: None,
            last_modified,
        })
    };
    kept.maximum_retry_attempts = fields.maximum_retry_attempts.or(kept.maximum_retry_attempts);
    let age = fields.maximum_event_age.map(|age| age.as_secs());
    kept.maximum_event_age_in_seconds = age.or(kept.maximum_event_age_in_seconds);
    if let Some(sides) = &fields.destinations {
        kept.on_success = sides.on_success.clone().flatten();
        kept.on_failure = sides.on_failure.clone().flatten();
    }
    kept
}
