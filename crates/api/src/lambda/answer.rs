//! Answers a request of Lambda's API.
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use uuid::Uuid;

use super::access::Access;
use super::error::ApiError;
use super::event_invoke_configs::EventInvokeConfigs;
use super::invoke::{self, Invocations};
use super::list::Query;
use super::local::{self, Creates};
use super::mappings::{Job, Mappings};
use super::policies::Policies;
use super::resource::{self, Resource};
use super::route::{ConfigOperation, Id, Route, TagOperation, route};
use super::settings;
use super::upstream::Upstream;
use super::{body, surroundings::Unanswered};
use crate::connections::Patience;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

const NOT_ALONE: &str = "Pelton serves Lambda's API without authentication, and so only where nobody else can reach it: \
                         let Listen name a loopback address, or write AllowUnauthenticated: true into its file.";
const FROM_A_PAGE: &str = "Pelton doesn't answer requests that a web page makes.";

/// What stands behind Lambda's API.
pub struct Front {
    pub mappings: Mappings,
    pub invocations: Invocations,
    pub event_invoke_configs: EventInvokeConfigs,
    pub policies: Policies,
    pub creates: Creates,
    pub upstream: Upstream,
    /// Who may use the API. `None`: whoever can reach the listener.
    pub access: Option<Access>,
    /// Whether it is served without authentication although others can reach the listener.
    pub is_allowed: bool,
}

/// Answers. Every answer has a request id.
pub async fn answer(front: &Front, request: Request, patience: Patience) -> Response {
    let answered = decide(front, request, patience).await;
    let mut response = answered.unwrap_or_else(|error| refuse(&error));
    if !response.headers().contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string())
    {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn decide(front: &Front, request: Request, patience: Patience) -> Result<Response, ApiError> {
    if !front.is_allowed && front.access.is_none() {
        return Err(ApiError::denied(NOT_ALONE));
    }
    // A page on any site can make its visitor's browser send requests to this machine.
    if is_from_a_page(request.headers()) {
        return Err(ApiError::denied(FROM_A_PAGE));
    }
    let mappings = &front.mappings;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let route = route(request.method(), request.uri().path());
    let request = match &front.access {
        Some(access) => access.admit(front, &route, request).await?,
        None => request,
    };
    match route {
        Route::Dots => Err(ApiError::bad_path()),
        Route::Unknown => {
            let (method, path) = (request.method(), request.uri().path());
            Err(ApiError::unknown_operation(format!("Lambda has no operation {method} {path}.")))
        }
        Route::ListMappings => Ok(json(StatusCode::OK, &mappings.list(&Query::read(&query)?))),
        Route::GetMapping(id) => Ok(json(StatusCode::OK, &mappings.get(known(id)?)?)),
        Route::CreateMapping => {
            let made = settings::create(body::read_fields(request).await?, &mappings.region())?;
            exists(mappings, &made.mapping, true).await?;
            Ok(json(StatusCode::ACCEPTED, &mappings.ask(Job::Create(Box::new(made))).await?))
        }
        Route::UpdateMapping(id) => {
            let (id, changes) = (known(id)?, body::read_fields(request).await?);
            let mapping = mappings.preview(id, &changes)?;
            if changes.contains_key("FunctionName") {
                exists(mappings, &mapping, false).await?;
            }
            Ok(json(StatusCode::ACCEPTED, &mappings.ask(Job::Update(id, changes)).await?))
        }
        Route::DeleteMapping(id) => Ok(json(StatusCode::ACCEPTED, &mappings.ask(Job::Delete(known(id)?)).await?)),
        Route::Tags(operation, arn) => match resource::read(&arn)? {
            Resource::Function { region, name, is_qualified } if is_here(front, &region, &name) => {
                let functions = front.invocations.functions.as_ref();
                Ok(json(StatusCode::OK, &local::tags(functions, operation, &name, is_qualified)?))
            }
            Resource::Function { .. } | Resource::Other => {
                front.upstream.pass_on(mappings.surroundings().upstream(), request, patience).await
            }
            Resource::Mapping(id) => {
                let job = match operation {
                    TagOperation::List => return Ok(json(StatusCode::OK, &mappings.tags(id, &arn)?)),
                    TagOperation::Add => {
                        let fields = body::read_fields(request).await?;
                        let tags = fields.get("Tags").map(resource::tags).transpose()?.unwrap_or_default();
                        if tags.is_empty() {
                            let message = "An error occurred and the request cannot be processed.";
                            return Err(ApiError::invalid_parameter(message));
                        }
                        Job::Tag(id, arn, tags)
                    }
                    TagOperation::Remove => Job::Untag(id, arn, resource::tag_keys(&query)?),
                };
                mappings.ask(job).await?;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
        },
        Route::Invoke(name) => invoke::invoke(front, &name, request, patience).await,
        Route::InvokeAsync(name) => invoke::invoke_async(front, &name, request, patience).await,
        Route::EventInvokeConfig(operation, name) => {
            let configs = &front.event_invoke_configs;
            let shown = match operation {
                ConfigOperation::Get => configs.get(&name, &query).await?,
                ConfigOperation::Put | ConfigOperation::Update => {
                    let fields = body::read_fields(request).await?;
                    configs.set(&name, &query, &fields, operation == ConfigOperation::Update).await?
                }
                ConfigOperation::Delete => {
                    configs.delete(&name, &query).await?;
                    return Ok(StatusCode::NO_CONTENT.into_response());
                }
            };
            Ok(json(StatusCode::OK, &shown))
        }
        Route::ListEventInvokeConfigs(name) => {
            Ok(json(StatusCode::OK, &front.event_invoke_configs.list(&name, &query).await?))
        }
        Route::ListFunctions => local::list(front, &query, request, patience).await,
        Route::CreateFunction => local::create(front, request, patience).await,
        Route::Function(operation, name) => local::answer(front, operation, &name, request, patience).await,
        Route::Upstream => front.upstream.pass_on(mappings.surroundings().upstream(), request, patience).await,
    }
}

fn known(id: Id) -> Result<pelton_core::MappingId, ApiError> {
    id.ok_or_else(ApiError::no_mapping)
}

/// Whether a function of a Region is a local one.
fn is_here(front: &Front, region: &str, name: &str) -> bool {
    let functions = &front.invocations.functions;
    functions.is_local(name) && functions.place().region == region
}

fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site")
}

/// Function, then source, as AWS asks for them (spec 12.1).
async fn exists(mappings: &Mappings, mapping: &pelton_core::Mapping, source: bool) -> Result<(), ApiError> {
    let unanswered = |Unanswered(reason)| ApiError::unavailable(reason);
    let surroundings = mappings.surroundings();
    if !surroundings.has_function(mapping).await.map_err(unanswered)? {
        return Err(ApiError::invalid_parameter("Function does not exist"));
    }
    if source && !surroundings.has_source(mapping).await.map_err(unanswered)? {
        let message = match mapping.stream {
            Some(_) => format!("Stream not found: {}", mapping.event_source),
            None => {
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS \
                     Error Message: The specified queue does not exist."
                    .to_owned()
            }
        };
        return Err(ApiError::invalid_parameter(message));
    }
    Ok(())
}

/// An answer with a body.
pub fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refuse(error: &ApiError) -> Response {
    let mut response = json(error.status, &error.body());
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.kind));
    response
}
