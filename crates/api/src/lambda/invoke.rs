//! `Invoke` and `InvokeAsync`: local functions run here, events wait here, and the rest is passed on.
mod asked;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pelton_core::{Arn, Call, ErrorKind, EventId, FunctionName, InvokeError, StoreError};
use pelton_engine::{EventDoor, NewEvent};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use asked::{Asked, Kind};

use super::answer::{Front, REQUEST_ID};
use super::body;
use super::error::ApiError;
use super::functions::{Functions, LocalFunction};
use super::named::Named;
use super::payload::payload;
use super::present::Present;
use crate::connections::Patience;

/// The longest payload of a synchronous invocation.
const LONGEST_PAYLOAD: usize = 6 * 1_024 * 1_024;
/// The longest payload of an asynchronous one.
const LONGEST_EVENT: usize = 1_024 * 1_024;
/// How many functions may have invoked one another before one: a circle ends here, as in Lambda.
const MOST_HOPS: u32 = 16;

const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Where invocations go.
pub struct Invocations {
    pub functions: Arc<dyn Functions>,
    /// `Err`: why no event can be kept.
    events: Result<EventDoor, String>,
    present: Present,
    under_way: TaskTracker,
}

impl Invocations {
    pub fn new(functions: Arc<dyn Functions>, events: Result<EventDoor, String>, under_way: TaskTracker) -> Self {
        Self { present: Present::new(functions.clone()), functions, events, under_way }
    }
}

/// `Invoke`.
pub async fn invoke(front: &Front, name: &str, request: Request, patience: Patience) -> Result<Response, ApiError> {
    let asked = Asked::read(name, &request)?;
    let Invocations { functions, .. } = &front.invocations;
    let local = functions.local(&asked.named.name);
    match (asked.kind, local) {
        (Kind::Event, _) => accept(&front.invocations, asked, request, patience).await,
        (Kind::RequestResponse | Kind::DryRun, None) => {
            front.upstream.pass_on(front.mappings.surroundings().upstream(), request, patience).await
        }
        (Kind::RequestResponse, Some(local)) => run(&front.invocations, &local, asked, request, patience).await,
        (Kind::DryRun, Some(local)) => {
            existing(functions.as_ref(), &local, &asked.named)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
    }
}

/// `InvokeAsync`, which `Event` came to replace.
pub async fn invoke_async(
    front: &Front,
    name: &str,
    request: Request,
    patience: Patience,
) -> Result<Response, ApiError> {
    let asked = Asked::event(name, &request)?;
    accept(&front.invocations, asked, request, patience).await
}

/// Runs a local function and waits for it.
async fn run(
    invocations: &Invocations,
    local: &LocalFunction,
    asked: Asked,
    request: Request,
    patience: Patience,
) -> Result<Response, ApiError> {
    let body = read(request).await?;
    let arn = existing(invocations.functions.as_ref(), local, &asked.named)?;
    let payload = payload(body)?;
    if asked.trace.hops() > MOST_HOPS {
        return Err(ApiError::recursion(format!(
            "More than {MOST_HOPS} functions have invoked one another in a row, and {arn} would be the next: the trace \
             header tells of a circle, which ends here."
        )));
    }
    // The function is told the ARN that it was invoked by, without a qualifier if there was none.
    let function = name_of(&asked.named.given_arn(invocations.functions.as_ref())?)?;
    let request_id = Uuid::new_v4();
    let call = Call {
        payload,
        request_id: Some(request_id),
        trace_header: Some(asked.trace.next_hop().to_string()),
        client_context: asked.client_context?,
        wants_log: asked.wants_log,
    };
    let invoked = {
        let _under_way = invocations.under_way.token();
        let _waiting = Waiting::begin(patience);
        local.invoker.call(&function, call).await
    };
    let response = invoked.map_err(|error| refusal(&error))?;
    let mut answer = empty(StatusCode::OK);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let log = response.log_tail.filter(|_| asked.wants_log).map(|log| STANDARD.encode(log));
    for (name, value) in [
        (REQUEST_ID, Some(request_id.to_string())),
        (TRACE_ID, Some(asked.trace.to_string())),
        (EXECUTED_VERSION, Some(response.executed_version)),
        (FUNCTION_ERROR, response.function_error),
        (LOG_RESULT, log),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    *answer.body_mut() = Body::from(response.payload);
    Ok(answer)
}

/// Takes an event in. It is durable before it is answered.
async fn accept(
    invocations: &Invocations,
    asked: Asked,
    request: Request,
    patience: Patience,
) -> Result<Response, ApiError> {
    let Invocations { functions, events, present, .. } = invocations;
    let body = read(request).await?;
    let _waiting = Waiting::begin(patience);
    if body.len() > LONGEST_EVENT {
        return Err(ApiError::payload_too_large(format!(
            "{} byte payload is too large for the Event invocation type (limit {LONGEST_EVENT} bytes)",
            body.len()
        )));
    }
    let arn = match functions.local(&asked.named.name) {
        Some(local) => existing(functions.as_ref(), &local, &asked.named)?,
        None => {
            asked.named.check(&functions.place())?;
            let arn = asked.named.arn(functions.as_ref())?;
            // Names that no function can have aren't asked for.
            name_of(&arn)?;
            match present.has(&asked.named.given_arn(functions.as_ref())?).await? {
                true => arn,
                false => return Err(not_found(&arn)),
            }
        }
    };
    let payload = payload(body)?;
    let door = events.as_ref().map_err(|reason| {
        ApiError::unavailable(format!("Pelton takes no asynchronous invocations, because it can't keep them: {reason}"))
    })?;
    let id = EventId(Uuid::new_v4());
    let Asked { client_context, trace, .. } = asked;
    let event = NewEvent { id, function: name_of(&arn)?, payload, client_context: client_context?, trace };
    door.accept(event).await.map_err(|error| not_kept(&arn, &error))?;
    let mut answer = empty(StatusCode::ACCEPTED);
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(answer)
}

/// The ARN of a local function, if it has the qualifier that was asked for.
fn existing(functions: &dyn Functions, local: &LocalFunction, named: &Named) -> Result<Arn, ApiError> {
    named.check(&functions.place())?;
    let arn = named.arn(functions)?;
    match local.has(named.qualifier()) {
        true => Ok(arn),
        false => Err(not_found(&arn)),
    }
}

fn not_found(arn: &Arn) -> ApiError {
    ApiError::not_found(format!("Function not found: {arn}"))
}

fn name_of(arn: &Arn) -> Result<FunctionName, ApiError> {
    arn.to_string().parse().map_err(|_| not_found(arn))
}

/// The body of an invocation.
pub async fn read(request: Request) -> Result<Bytes, ApiError> {
    body::read(request, LONGEST_PAYLOAD).await.map_err(|unread| match unread {
        body::Unread::TooLarge => ApiError::payload_too_large(format!(
            "Request must be smaller than {LONGEST_PAYLOAD} bytes for the InvokeFunction operation"
        )),
        unread => unread.into(),
    })
}

fn refusal(error: &InvokeError) -> ApiError {
    match error.kind {
        ErrorKind::Throttled { .. } => ApiError::throttled(),
        _ => {
            tracing::warn!(%error, "a function could not be invoked");
            ApiError::service(format!("The function could not be invoked: {}", error.message))
        }
    }
}

/// Stores name paths and endpoints in their errors: those are for the log.
fn not_kept(function: &Arn, error: &StoreError) -> ApiError {
    tracing::error!(%function, %error, "an asynchronous invocation could not be kept, and was refused");
    ApiError::unavailable(match error {
        StoreError::Unavailable(_) => {
            "The event could not be kept, because the queue of asynchronous invocations can't be reached or is too busy: \
             invoke again."
        }
        StoreError::Refused(_) | StoreError::LeaseLost { .. } => {
            "The event could not be kept, because the queue of asynchronous invocations refuses it: Pelton's log says why."
        }
    })
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// While it lives, the client may be silent: it has said all.
struct Waiting(Patience);

impl Waiting {
    fn begin(patience: Patience) -> Self {
        patience.set(true);
        Self(patience)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
