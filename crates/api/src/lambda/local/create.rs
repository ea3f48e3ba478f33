//! `CreateFunction`: passed on, unless it would make a function that a local one hides.
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::super::answer::Front;
use super::super::body::{self, Unread};
use super::super::error::ApiError;
use super::super::named::Named;
use crate::connections::Patience;

/// The longest body: that of AWS, where a package of 50 MB is in it, in Base64.
const LONGEST: usize = 70_167_211;
/// How many are held at a time: a name may stand behind the package, so each is held as a whole.
const AT_ONCE: usize = 4;

/// The places of those that are held.
pub struct Creates(Semaphore);

impl Default for Creates {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "FunctionName")]
    function_name: Value,
}

/// Answers.
pub async fn create(front: &Front, request: Request, patience: Patience) -> Result<Response, ApiError> {
    let functions = front.invocations.functions.as_ref();
    let endpoint = front.mappings.surroundings().upstream();
    if functions.locals().is_empty() {
        return front.upstream.pass_on(endpoint, request, patience).await;
    }
    let _place = front.creates.0.acquire().await.map_err(|error| ApiError::service(error.to_string()))?;
    let (parts, body) = request.into_parts();
    let body = read_long(Request::new(body)).await?;
    match name(&body).filter(|name| functions.is_local(name)) {
        Some(name) => Err(ApiError::conflict(format!("Function already exist: {name}"))),
        None => front.upstream.pass_on(endpoint, Request::from_parts(parts, Body::from(body)), patience).await,
    }
}

/// A body in which a package can be.
pub async fn read_long(request: Request) -> Result<Bytes, ApiError> {
    body::read(request, LONGEST).await.map_err(|unread| match unread {
        Unread::TooLarge => ApiError::payload_too_large(format!("Request must be smaller than {LONGEST} bytes")),
        unread => unread.into(),
    })
}

/// The bare name, if one can be read; what else is wrong is the upstream's to say.
pub fn name(body: &[u8]) -> Option<String> {
    let fields: Fields = serde_json::from_slice(body).ok()?;
    Named::read(fields.function_name.as_str()?, "", &mut Vec::new()).map(|named| named.name)
}
