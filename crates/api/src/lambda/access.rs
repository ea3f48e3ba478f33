//! Who may ask for what: requests are signed with an access key, whose actions, or a function's policy, must allow them.
use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use bytes::Bytes;
use pelton_config::{AccessKey, Authentication, Principal};
use pelton_core::{Arn, Clock as _, SystemClock};
use pelton_sigv4::{Claim, SignatureError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wildmatch::WildMatch;

use super::answer::Front;
use super::error::ApiError;
use super::invoke;
use super::named::Named;
use super::resource::{self, Resource};
use super::route::{ConfigOperation, Route, TagOperation};
use super::{body, local, view};

/// How many bodies of the longest kind are held at a time, each until it is refused or passed on.
const LONG_AT_ONCE: usize = 4;

/// The keys, and what each may be used for.
pub struct Access {
    keys: HashMap<String, AccessKey>,
    long: Arc<Semaphore>,
}

/// A long body, and its place among the others: it is free when the last of the body is gone.
struct Held {
    body: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// What a request needs.
struct Needed {
    /// Such as `lambda:InvokeFunction`. `None`: one that isn't known here, and so every action.
    action: Option<String>,
    /// As messages show it.
    resource: String,
    /// The function whose policy can allow it.
    function: Option<Arn>,
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        Self::unauthenticated(error.kind(), error.to_string())
    }
}

impl Access {
    /// Takes the keys of a configuration.
    pub fn new(authentication: Authentication) -> Self {
        let keys = authentication.access_keys.into_iter().map(|key| (key.id.clone(), key)).collect();
        Self { keys, long: Arc::new(Semaphore::new(LONG_AT_ONCE)) }
    }

    /// The request, if it is its key's holder's, and that may ask for it. Its body has come as a whole by then.
    pub async fn admit(&self, front: &Front, route: &Route, request: Request) -> Result<Request, ApiError> {
        let (head, body) = request.into_parts();
        // What no body could mend is refused before one is waited for.
        let claim = Claim::read(&head)?;
        let key = self.keys.get(claim.key_id()).ok_or(SignatureError::UnknownKey)?;
        claim.check_time(SystemClock.now())?;
        let body = self.read(route, &head.headers, body).await?;
        claim.verify(&head, &body, key.secret.expose())?;
        self.authorize(front, key, needed(front, route, &head), &head.headers).await?;
        Ok(Request::from_parts(head, Body::from(body)))
    }

    async fn read(&self, route: &Route, headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
        let request = Request::new(body);
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let has_no_body = !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING);
        let is_short = has_no_body || length.is_some_and(|length: usize| length <= body::LONGEST);
        match route {
            Route::Invoke(_) | Route::InvokeAsync(_) => invoke::read(request).await,
            // Packages are in these, or in what is passed on.
            Route::CreateFunction | Route::Function(..) | Route::Upstream if !is_short => {
                let place = self.long.clone().acquire_owned().await;
                let place = place.map_err(|error| ApiError::service(error.to_string()))?;
                let body = local::read_long(request).await?;
                Ok(Bytes::from_owner(Held { body, _place: place }))
            }
            _ => Ok(body::read(request, body::LONGEST).await?),
        }
    }

    async fn authorize(
        &self,
        front: &Front,
        key: &AccessKey,
        needed: Needed,
        headers: &HeaderMap,
    ) -> Result<(), ApiError> {
        if may(&key.actions, needed.action.as_deref()) {
            return Ok(());
        }
        if let (Some(action), Some(function)) = (&needed.action, &needed.function) {
            let source = |name| headers.get(name).and_then(|value| value.to_str().ok());
            let (arn, account) = (source("x-amz-source-arn"), source("x-amz-source-account"));
            let allowed = front.policies.allow(&key.principal, action, function, arn, account).await;
            if allowed.map_err(|error| ApiError::unavailable(error.to_string()))? {
                return Ok(());
            }
        }
        let user = match &key.principal {
            Principal::Iam(arn) => arn.to_string(),
            Principal::Service(service) => service.clone(),
        };
        let (action, resource) = (needed.action.as_deref().unwrap_or("lambda:*"), needed.resource);
        Err(ApiError::denied(format!(
            "User: {user} is not authorized to perform: {action} on resource: {resource} because no identity-based policy \
             allows the {action} action"
        )))
    }
}

/// Whether one of the patterns allows an action; `None`: every one.
fn may(patterns: &[String], action: Option<&str>) -> bool {
    patterns.iter().any(|pattern| match action {
        Some(action) => WildMatch::new_case_insensitive(pattern).matches(action),
        None => pattern == "*" || pattern.eq_ignore_ascii_case("lambda:*"),
    })
}

fn needed(front: &Front, route: &Route, head: &Parts) -> Needed {
    let any = |action: Option<&str>| Needed {
        action: action.map(|action| format!("lambda:{action}")),
        resource: "*".to_owned(),
        function: None,
    };
    let of_function = |action: Option<&str>, name: &str| {
        let query = head.uri.query().unwrap_or_default();
        let named = Named::read(name, query, &mut Vec::new());
        let arn = named.and_then(|named| named.given_arn(front.invocations.functions.as_ref()).ok());
        match arn {
            Some(arn) => Needed { resource: arn.to_string(), function: Some(arn), ..any(action) },
            None => any(action),
        }
    };
    let of_mapping = |action, id: &super::route::Id| match id {
        Some(id) => Needed { resource: view::arn_of(*id, &front.invocations.functions.place()), ..any(Some(action)) },
        None => any(Some(action)),
    };
    match route {
        Route::CreateMapping => any(Some("CreateEventSourceMapping")),
        Route::ListMappings => any(Some("ListEventSourceMappings")),
        Route::GetMapping(id) => of_mapping("GetEventSourceMapping", id),
        Route::UpdateMapping(id) => of_mapping("UpdateEventSourceMapping", id),
        Route::DeleteMapping(id) => of_mapping("DeleteEventSourceMapping", id),
        Route::Tags(operation, arn) => {
            let action = match operation {
                TagOperation::Add => "TagResource",
                TagOperation::Remove => "UntagResource",
                TagOperation::List => "ListTags",
            };
            // Only what is an ARN is shown.
            match resource::read(arn) {
                Ok(Resource::Mapping(_) | Resource::Function { .. } | Resource::Other) => {
                    Needed { resource: arn.clone(), ..any(Some(action)) }
                }
                Err(_) => any(Some(action)),
            }
        }
        Route::Invoke(name) => of_function(Some("InvokeFunction"), name),
        Route::InvokeAsync(name) => of_function(Some("InvokeAsync"), name),
        Route::EventInvokeConfig(operation, name) => {
            let action = match operation {
                ConfigOperation::Put => "PutFunctionEventInvokeConfig",
                ConfigOperation::Update => "UpdateFunctionEventInvokeConfig",
                ConfigOperation::Get => "GetFunctionEventInvokeConfig",
                ConfigOperation::Delete => "DeleteFunctionEventInvokeConfig",
            };
            of_function(Some(action), name)
        }
        Route::ListEventInvokeConfigs(name) => of_function(Some("ListFunctionEventInvokeConfigs"), name),
        Route::ListFunctions => any(Some("ListFunctions")),
        Route::CreateFunction => any(Some("CreateFunction")),
        Route::Function(operation, name) => of_function(operation.action(), name),
        Route::Unknown | Route::Dots | Route::Upstream => any(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_allow_what_they_match() {
        let may =
            |patterns: &[&str], action| may(&patterns.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), action);
        for (patterns, action, expected) in [
            (&["lambda:*"][..], Some("lambda:InvokeFunction"), true),
            (&["lambda:Invoke*"], Some("lambda:InvokeFunction"), true),
            (&["LAMBDA:invokefunction"], Some("lambda:InvokeFunction"), true),
            (&["lambda:Get*", "lambda:List*"], Some("lambda:ListTags"), true),
            (&["lambda:Get*"], Some("lambda:InvokeFunction"), false),
            (&["lambda:GetFunctio?"], Some("lambda:GetFunction"), true),
            (&["lambda:*"], None, true),
            (&["*"], None, true),
            (&["lambda:Get*", "lambda:Invoke*"], None, false),
            (&[], Some("lambda:GetFunction"), false),
        ] {
            assert_eq!(may(patterns, action), expected, "{patterns:?} {action:?}");
        }
    }
}
