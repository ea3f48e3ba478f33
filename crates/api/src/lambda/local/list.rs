//! `ListFunctions`: local functions first, by name, then those of the upstream, page by page as the upstream has them.
//!
//! A marker of a page of local functions is one of ours; any other is the upstream's, and goes there as it is.
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::super::answer::{Front, json as answer};
use super::super::error::ApiError;
use super::super::functions::{Functions, LocalFunction};
use super::super::list::max_items;
use super::super::named::LATEST;
use super::view::{Shown, configuration};
use super::{MOST_ITEMS, of_query};
use crate::connections::Patience;

/// How many there are on a page, however large `MaxItems` is.
const LONGEST_PAGE: usize = 50;
/// What the markers of local functions begin with.
const OURS: &str = "pelton-local-function:";
/// The longest page that is taken from the upstream, in bytes.
const LONGEST_ANSWER: usize = 32 * 1_024 * 1_024;

/// What a list asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    marker: Option<String>,
    items: Option<usize>,
    has_versions: bool,
    /// Functions at the edge of that Region, of which none is local.
    is_of_the_edge: bool,
}

impl Query {
    pub fn read(query: &str) -> Result<Self, ApiError> {
        let get = |wanted: &str| of_query(query, wanted);
        let items = get("MaxItems").map(|text| max_items(&text, MOST_ITEMS)).transpose()?;
        let has_versions = match get("FunctionVersion") {
            None => false,
            Some(version) if version == "ALL" => true,
            Some(version) => {
                let version: String = version.chars().take(100).collect();
                return Err(ApiError::validation(&[format!(
                    "Value '{version}' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value \
                     set: [ALL]"
                )]));
            }
        };
        Ok(Self { marker: get("Marker"), items, has_versions, is_of_the_edge: get("MasterRegion").is_some() })
    }

    /// The local functions of this page, and whether more follow on the next.
    fn page(&self, mut locals: Vec<LocalFunction>) -> (Vec<LocalFunction>, bool) {
        match self.marker.as_deref().map(|marker| marker.strip_prefix(OURS)) {
            None => {}
            Some(Some(after)) => locals.retain(|local| local.name.as_str() > after),
            Some(None) => locals.clear(),
        }
        if self.is_of_the_edge {
            locals.clear();
        }
        locals.sort_by(|one, other| one.name.cmp(&other.name));
        let has_more = locals.len() > self.length();
        locals.truncate(self.length());
        (locals, has_more)
    }

    fn length(&self) -> usize {
        self.items.map_or(LONGEST_PAGE, |items| items.min(LONGEST_PAGE))
    }

    /// The same query for what of the page is the upstream's. `room` is what the local functions leave of it.
    fn for_upstream(&self, query: &str, room: usize) -> String {
        let is_ours = self.marker.as_ref().is_some_and(|marker| marker.starts_with(OURS));
        if !is_ours && room == self.length() {
            return query.to_owned();
        }
        let mut asked = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "Marker" if value.starts_with(OURS) => {}
                "MaxItems" if room < self.length() => {
                    asked.append_pair("MaxItems", &room.to_string());
                }
                _ => {
                    asked.append_pair(&name, &value);
                }
            }
        }
        asked.finish()
    }
}

/// Answers.
pub async fn list(front: &Front, query: &str, request: Request, patience: Patience) -> Result<Response, ApiError> {
    let functions = front.invocations.functions.as_ref();
    let endpoint = front.mappings.surroundings().upstream();
    let locals = functions.locals();
    if locals.is_empty() {
        return front.upstream.pass_on(endpoint, request, patience).await;
    }
    let asked = Query::read(query)?;
    let (chosen, has_more) = asked.page(locals);
    let room = asked.length() - chosen.len();
    let marker = chosen.last().map(|last| format!("{OURS}{}", last.name));
    let mut shown = Vec::new();
    for local in &chosen {
        shown.push(show(front, functions, local, asked.has_versions).await?);
    }
    let Some(endpoint) = endpoint else { return Ok(ours(shown, marker.filter(|_| has_more))) };
    if let Some(marker) = marker.filter(|_| has_more || room == 0) {
        return Ok(ours(shown, Some(marker)));
    }
    let request = for_upstream(request, &asked.for_upstream(query, room))?;
    let answered = front.upstream.pass_on(Some(endpoint.clone()), request, patience).await?;
    if answered.status() != StatusCode::OK {
        return Ok(answered);
    }
    let unreadable = |reason: &str| {
        ApiError::bad_gateway(format!(
            "The Lambda endpoint {endpoint} that Pelton passes requests on to answers ListFunctions with what can't be \
             read: {reason}"
        ))
    };
    let body = axum::body::to_bytes(answered.into_body(), LONGEST_ANSWER).await;
    let body = body.map_err(|error| unreadable(&error.to_string()))?;
    let page: Value = serde_json::from_slice(&body).map_err(|error| unreadable(&error.to_string()))?;
    let page = merged(page, shown, functions).ok_or_else(|| unreadable("it has no Functions."))?;
    Ok(answer(StatusCode::OK, &page))
}

/// A page without any of the upstream's.
fn ours(shown: Vec<Value>, marker: Option<String>) -> Response {
    let page = match marker {
        None => json!({ "Functions": shown }),
        Some(marker) => json!({ "NextMarker": marker, "Functions": shown }),
    };
    answer(StatusCode::OK, &page)
}

async fn show(
    front: &Front,
    functions: &dyn Functions,
    local: &LocalFunction,
    is_qualified: bool,
) -> Result<Value, ApiError> {
    let place = functions.place();
    let bare = super::arn(&place, &local.name, None)?;
    let revision = front.policies.revision(&bare).await?;
    let arn = if is_qualified { super::arn(&place, &local.name, Some(LATEST))? } else { bare };
    Ok(configuration(local, &place, &arn, revision, Shown::InList))
}

/// Puts local functions before those of the upstream's page, of which those that they hide are left out.
fn merged(mut page: Value, mut shown: Vec<Value>, functions: &dyn Functions) -> Option<Value> {
    let theirs = page.get_mut("Functions")?.as_array_mut()?;
    theirs.retain(|function| {
        let name = function.get("FunctionName").and_then(Value::as_str);
        !name.is_some_and(|name| functions.is_local(name))
    });
    shown.append(theirs);
    *theirs = shown;
    Some(page)
}

/// The request with another query, and for an answer that can be read.
fn for_upstream(request: Request, query: &str) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    let target = match query {
        "" => parts.uri.path().to_owned(),
        query => format!("{}?{query}", parts.uri.path()),
    };
    let target: PathAndQuery = target.parse().map_err(|_| ApiError::invalid_content("The query can't be read."))?;
    parts.uri = Uri::from(target);
    parts.headers.remove(header::ACCEPT_ENCODING);
    Ok(Request::from_parts(parts, Body::new(body)))
}
