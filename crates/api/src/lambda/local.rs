//! What Lambda's API tells of local functions, and that it doesn't change them. Of any other function, requests are passed
//! on as they came.
mod aliases;
mod create;
mod list;
mod view;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pelton_core::Arn;
use serde_json::{Value, json};

pub use aliases::{Page as AliasPage, is_alias};
pub use create::{Creates, create, name as name_to_create, read_long};
pub use list::{Query as ListQuery, list};
pub use view::revision_id;
use view::{Shown, configuration};

use super::answer::{Front, json as answer_with};
use super::body;
use super::error::ApiError;
use super::functions::{Functions, LocalFunction, Place};
use super::list::max_items;
use super::named::{LATEST, Named};
use super::operation::Operation;
use super::route::TagOperation;
use crate::connections::Patience;

const MOST_ITEMS: usize = 10_000;

/// Answers an operation on a function.
pub async fn answer(
    front: &Front,
    operation: Operation,
    name: &str,
    request: Request,
    patience: Patience,
) -> Result<Response, ApiError> {
    let functions = front.invocations.functions.as_ref();
    // Whether it is a local one is seen by its name alone.
    let Some(local) = Named::read(name, "", &mut Vec::new()).and_then(|named| functions.local(&named.name)) else {
        return front.upstream.pass_on(front.mappings.surroundings().upstream(), request, patience).await;
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut constraints = Vec::new();
    let named = Named::read(name, &query, &mut constraints).ok_or_else(|| ApiError::validation(&constraints))?;
    named.check(&functions.place())?;
    let policies = &front.policies;
    let shown = match operation {
        Operation::Get => function(front, &local, &named).await?,
        Operation::GetConfiguration => configured(front, &local, &named).await?,
        Operation::GetConcurrency => concurrency(&local).unwrap_or_else(|| json!({})),
        // None of them is signed.
        Operation::GetCodeSigningConfig => json!({}),
        Operation::ListVersions => versions(front, &local, &query).await?,
        Operation::ListAliases => aliases::list(front, &local, &query).await?,
        Operation::GetAlias(alias) => aliases::get(front, &local, &alias).await?,
        Operation::GetPolicy => policies.get(&local, &named).await?,
        Operation::AddPermission => {
            let added = policies.add(&local, &named, &body::read_fields(request).await?).await?;
            return Ok(answer_with(StatusCode::CREATED, &added));
        }
        Operation::RemovePermission(sid) => {
            policies.remove(&local, &named, &sid, of_query(&query, "RevisionId").as_deref()).await?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Operation::Other(operation) => return Err(refused(functions, operation, &local.name)),
        Operation::Unknown => {
            let (method, path) = (request.method(), request.uri().path());
            return Err(ApiError::unknown_operation(format!("Lambda has no operation {method} {path}.")));
        }
    };
    Ok(answer_with(StatusCode::OK, &shown))
}

/// Answers an operation on the tags of a local function, of which there are none.
pub fn tags(
    functions: &dyn Functions,
    operation: TagOperation,
    name: &str,
    is_qualified: bool,
) -> Result<Value, ApiError> {
    if is_qualified {
        let message = "Tags on function aliases and versions are not supported. Please specify a function ARN.";
        return Err(ApiError::invalid_parameter(message));
    }
    match operation {
        TagOperation::List => Ok(json!({ "Tags": {} })),
        TagOperation::Add => Err(refused(functions, "TagResource", name)),
        TagOperation::Remove => Err(refused(functions, "UntagResource", name)),
    }
}

/// The ARN of a local function.
pub fn arn(place: &Place, name: &str, qualifier: Option<&str>) -> Result<Arn, ApiError> {
    let Place { partition, region, account } = place;
    let resource = match qualifier {
        Some(qualifier) => format!("function:{name}:{qualifier}"),
        None => format!("function:{name}"),
    };
    Arn::new(partition, "lambda", region, account, &resource)
        .map_err(|error| ApiError::invalid_parameter(error.to_string()))
}

/// No function, or no version or alias of one, has this ARN.
pub fn not_found(arn: &Arn) -> ApiError {
    ApiError::not_found(format!("Function not found: {arn}"))
}

/// No alias has this ARN, in the words of those operations that are about aliases.
pub fn no_alias(arn: &Arn) -> ApiError {
    ApiError::not_found(format!("Cannot find alias arn: {arn}"))
}

/// `GetFunction`. There is no code that could be fetched.
async fn function(front: &Front, local: &LocalFunction, named: &Named) -> Result<Value, ApiError> {
    let mut shown = json!({ "Configuration": configured(front, local, named).await?, "Code": {} });
    if let Some(concurrency) = concurrency(local) {
        shown["Concurrency"] = concurrency;
    }
    Ok(shown)
}

/// `GetFunctionConfiguration`.
async fn configured(front: &Front, local: &LocalFunction, named: &Named) -> Result<Value, ApiError> {
    let functions = front.invocations.functions.as_ref();
    let arn = named.given_arn(functions)?;
    if !local.has(named.qualifier()) {
        return Err(not_found(&arn));
    }
    let revision = front.policies.revision(&named.bare_arn(functions)?).await?;
    Ok(configuration(local, &functions.place(), &arn, revision, Shown::Alone))
}

/// `ListVersionsByFunction`: `$LATEST` is all there is.
async fn versions(front: &Front, local: &LocalFunction, query: &str) -> Result<Value, ApiError> {
    of_query(query, "MaxItems").map(|text| max_items(&text, MOST_ITEMS)).transpose()?;
    if of_query(query, "Marker").is_some() {
        return Err(ApiError::invalid_parameter("Invalid value for Marker."));
    }
    let place = front.invocations.functions.place();
    let revision = front.policies.revision(&arn(&place, &local.name, None)?).await?;
    let arn = arn(&place, &local.name, Some(LATEST))?;
    Ok(json!({ "Versions": [configuration(local, &place, &arn, revision, Shown::InList)] }))
}

fn concurrency(local: &LocalFunction) -> Option<Value> {
    local.settings.reserved_concurrency.map(|reserved| json!({ "ReservedConcurrentExecutions": reserved }))
}

fn refused(functions: &dyn Functions, operation: &str, name: &str) -> ApiError {
    ApiError::invalid_parameter(format!(
        "{operation} is not possible for the function {name}, which Pelton runs itself: what it is and has is written in \
         {}. Change it there. Pelton reads the file again when it is saved.",
        functions.file_event_invoke_configs().file.display()
    ))
}

fn of_query(query: &str, wanted: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}
