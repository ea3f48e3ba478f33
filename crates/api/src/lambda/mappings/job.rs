//! What changes mappings, and how it is asked for.
use std::collections::BTreeMap;

use pelton_core::MappingId;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::super::error::ApiError;
use super::super::settings::Made;
use super::Mappings;

#[derive(Debug)]
pub enum Job {
    Create(Box<Made>),
    Update(MappingId, Map<String, Value>),
    Delete(MappingId),
    /// With the ARN as it was written.
    Tag(MappingId, String, BTreeMap<String, String>),
    Untag(MappingId, String, Vec<String>),
}

/// A job, and who waits for it.
pub struct Asked {
    pub job: Job,
    pub reply: oneshot::Sender<Result<Value, ApiError>>,
}

impl Mappings {
    /// Has a job done. It is done also when the caller stops waiting.
    pub(crate) async fn ask(&self, job: Job) -> Result<Value, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.0.jobs.try_send(Asked { job, reply }).map_err(|_| ApiError::too_many())?;
        answer.await.unwrap_or_else(|_| Err(ApiError::unavailable("Pelton is stopping.")))
    }
}
