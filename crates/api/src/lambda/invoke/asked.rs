//! What the path and the headers of an invocation ask for. Pure.
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pelton_core::TraceHeader;
use serde_json::{Map, Value};

use super::super::error::ApiError;
use super::super::named::Named;

const INVOCATION_TYPE: &str = "x-amz-invocation-type";
const LOG_TYPE: &str = "x-amz-log-type";
const CLIENT_CONTEXT: &str = "x-amz-client-context";
const TRACE_ID: &str = "x-amzn-trace-id";
/// The longest client context, in Base64.
const LONGEST_CLIENT_CONTEXT: usize = 3_583;

/// `X-Amz-Invocation-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// An invocation, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub named: Named,
    pub kind: Kind,
    pub wants_log: bool,
    /// In Base64. `Err`: it can't be used, which matters to what is answered here alone.
    pub client_context: Result<Option<String>, ApiError>,
    pub trace: TraceHeader,
}

impl Asked {
    /// Reads an `Invoke`.
    pub fn read(name: &str, request: &Request) -> Result<Self, ApiError> {
        let mut constraints = Vec::new();
        let headers = request.headers();
        let kinds = [("Event", Kind::Event), ("RequestResponse", Kind::RequestResponse), ("DryRun", Kind::DryRun)];
        let kind = one_of(headers, INVOCATION_TYPE, "invocationType", &kinds, &mut constraints);
        let log_types = [("None", false), ("Tail", true)];
        let wants_log = one_of(headers, LOG_TYPE, "logType", &log_types, &mut constraints);
        let named = Named::read(name, request.uri().query().unwrap_or_default(), &mut constraints);
        let Some(named) = named.filter(|_| constraints.is_empty()) else {
            return Err(ApiError::validation(&constraints));
        };
        Ok(Self {
            named,
            kind: kind.unwrap_or(Kind::RequestResponse),
            wants_log: wants_log.unwrap_or_default(),
            client_context: client_context(headers),
            trace: trace(headers),
        })
    }

    /// Reads an `InvokeAsync`, which has nothing but a name.
    pub fn event(name: &str, request: &Request) -> Result<Self, ApiError> {
        let mut constraints = Vec::new();
        let named = Named::read(name, "", &mut constraints).ok_or_else(|| ApiError::validation(&constraints))?;
        let trace = trace(request.headers());
        Ok(Self { named, kind: Kind::Event, wants_log: false, client_context: Ok(None), trace })
    }
}

/// The value of a header that has only so many; an empty one is none.
fn one_of<T: Copy>(
    headers: &HeaderMap,
    header: &str,
    field: &str,
    values: &[(&str, T)],
    constraints: &mut Vec<String>,
) -> Option<T> {
    let given = headers.get(header).filter(|given| !given.is_empty())?;
    let found = values.iter().find(|(name, _)| given.as_bytes() == name.as_bytes()).map(|(_, value)| *value);
    if found.is_none() {
        let shown: String = String::from_utf8_lossy(given.as_bytes()).chars().take(100).collect();
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        constraints.push(format!(
            "Value '{shown}' at '{field}' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
            names.join(", ")
        ));
    }
    found
}

fn client_context(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(given) = headers.get(CLIENT_CONTEXT).filter(|given| !given.is_empty()) else { return Ok(None) };
    if given.len() > LONGEST_CLIENT_CONTEXT {
        return Err(ApiError::invalid_content(format!(
            "Client context must be at most {LONGEST_CLIENT_CONTEXT} bytes long, and has {}.",
            given.len()
        )));
    }
    let decoded = STANDARD.decode(given.as_bytes()).ok();
    let is_object = decoded.is_some_and(|json| serde_json::from_slice::<Map<String, Value>>(&json).is_ok());
    let text = given.to_str().ok().filter(|_| is_object);
    let text =
        text.ok_or_else(|| ApiError::invalid_content("Client context must be a valid Base64-encoded JSON object."))?;
    Ok(Some(text.to_owned()))
}

fn trace(headers: &HeaderMap) -> TraceHeader {
    TraceHeader::received(headers.get(TRACE_ID).map(HeaderValue::as_bytes).and_then(|it| std::str::from_utf8(it).ok()))
}
