//! The Lambda Runtime API (version 2018-06-01) of one worker. Only translates between HTTP and the worker, which decides.
use std::convert::Infallible;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, MAXIMUM_RESPONSE_BYTES, reported_error};

/// What a process says to its worker.
#[derive(Debug)]
pub enum Call {
    /// `GET invocation/next`. The worker keeps the sender until there is something to do.
    Next(oneshot::Sender<Delivery>),
    /// `POST invocation/{id}/response` or `…/error`.
    Outcome { request_id: String, outcome: Result<Bytes, Failure>, verdict: oneshot::Sender<Verdict> },
    /// `POST init/error`.
    InitError { error: Bytes, verdict: oneshot::Sender<Verdict> },
}

/// An invocation as the process sees it.
#[derive(Debug)]
pub struct Delivery {
    pub request_id: String,
    pub function_arn: String,
    pub deadline_milliseconds: i64,
    pub trace_id: String,
    /// JSON, in characters that a header may hold.
    pub client_context: Option<String>,
    pub payload: Bytes,
}

/// What the worker makes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// No such invocation is running here: never was, or has ended.
    UnknownRequest,
    /// Not the time for this call.
    WrongState,
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>) -> std::io::Result<Infallible> {
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{request_id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{request_id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "NotFound", "no such path in the Runtime API") })
        .method_not_allowed_fallback(|| async {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this path has another method")
        })
        .with_state(calls);
    let listener = listener.tap_io(|connection| {
        // Only a matter of speed: the end of a large event must not wait for an acknowledgement.
        let _slower = connection.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Err(std::io::Error::other("the server ended by itself"))
}

/// A path that is no UTF-8 names no request.
type RequestId = Result<Path<String>, PathRejection>;

async fn next(State(calls): State<mpsc::Sender<Call>>) -> Response {
    let (sender, delivery) = oneshot::channel();
    if calls.send(Call::Next(sender)).await.is_err() {
        return gone();
    }
    let Ok(delivery) = delivery.await else { return verdict(Verdict::WrongState) };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", delivery.request_id),
        ("lambda-runtime-deadline-ms", delivery.deadline_milliseconds.to_string()),
        ("lambda-runtime-invoked-function-arn", delivery.function_arn),
        ("lambda-runtime-trace-id", delivery.trace_id),
    ];
    let mut response = (headers, delivery.payload).into_response();
    if let Some(Ok(client_context)) = delivery.client_context.map(HeaderValue::try_from) {
        response.headers_mut().insert("lambda-runtime-client-context", client_context);
    }
    response
}

async fn response(State(calls): State<mpsc::Sender<Call>>, request_id: RequestId, body: Body) -> Response {
    match read(body).await {
        Ok(Some(payload)) => report(&calls, request_id, Ok(payload)).await,
        Ok(None) => {
            let answer = report(&calls, request_id, Err(Failure::ResponseTooLarge)).await;
            if answer.status().is_success() { too_large() } else { answer }
        }
        Err(_) => cut_off(),
    }
}

async fn error(
    State(calls): State<mpsc::Sender<Call>>,
    request_id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read(body).await {
        Ok(Some(body)) => match reported_error(body, error_type(&headers)) {
            Ok(error) => report(&calls, request_id, Err(Failure::Reported(error))).await,
            // The runtime won't report again, so the invocation ends here although the report is refused.
            Err(wrapped) => {
                let answer = report(&calls, request_id, Err(Failure::Reported(wrapped))).await;
                if answer.status().is_success() { not_json() } else { answer }
            }
        },
        Ok(None) => {
            let answer = report(&calls, request_id, Err(Failure::ResponseTooLarge)).await;
            if answer.status().is_success() { too_large() } else { answer }
        }
        Err(_) => cut_off(),
    }
}

async fn init_error(State(calls): State<mpsc::Sender<Call>>, headers: HeaderMap, body: Body) -> Response {
    let body = match read(body).await {
        Ok(Some(body)) => body,
        Ok(None) => return too_large(),
        Err(_) => return cut_off(),
    };
    let (error, was_json) = match reported_error(body, error_type(&headers)) {
        Ok(error) => (error, true),
        Err(wrapped) => (wrapped, false),
    };
    let (sender, answer) = oneshot::channel();
    if calls.send(Call::InitError { error, verdict: sender }).await.is_err() {
        return gone();
    }
    match answer.await {
        Ok(Verdict::Accepted) if !was_json => not_json(),
        Ok(answer) => verdict(answer),
        Err(_) => gone(),
    }
}

async fn report(calls: &mpsc::Sender<Call>, request_id: RequestId, outcome: Result<Bytes, Failure>) -> Response {
    let Ok(Path(request_id)) = request_id else { return verdict(Verdict::UnknownRequest) };
    let (sender, answer) = oneshot::channel();
    if calls.send(Call::Outcome { request_id, outcome, verdict: sender }).await.is_err() {
        return gone();
    }
    answer.await.map_or_else(|_| gone(), verdict)
}

/// Reads a body; `None` if it is too large. It is then still read to its end, but not kept, because a client that is
/// cut off while it sends would never see the answer.
async fn read(body: Body) -> Result<Option<Bytes>, axum::Error> {
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let mut fits = true;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        fits = fits && bytes.len() + chunk.len() <= MAXIMUM_RESPONSE_BYTES;
        if fits {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = BytesMut::new();
        }
    }
    Ok(fits.then(|| bytes.freeze()))
}

fn error_type(headers: &HeaderMap) -> Option<&str> {
    headers.get("lambda-runtime-function-error-type")?.to_str().ok()
}

fn verdict(verdict: Verdict) -> Response {
    match verdict {
        Verdict::Accepted => (StatusCode::ACCEPTED, Json(json!({"status": "OK"}))).into_response(),
        Verdict::UnknownRequest => refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
        Verdict::WrongState => {
            refuse(StatusCode::FORBIDDEN, "InvalidStateTransition", "State transition is not allowed")
        }
    }
}

fn too_large() -> Response {
    let message = format!("Exceeded maximum allowed payload size ({MAXIMUM_RESPONSE_BYTES} bytes).");
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn not_json() -> Response {
    refuse(StatusCode::BAD_REQUEST, "InvalidRequestFormat", "the error object is not JSON")
}

fn cut_off() -> Response {
    refuse(StatusCode::BAD_REQUEST, "TruncatedBody", "the body ended before its time")
}

fn gone() -> Response {
    refuse(StatusCode::GONE, "RuntimeGone", "this process is no longer supervised")
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response {
    (status, Json(json!({"errorType": error_type, "errorMessage": message}))).into_response()
}

#[cfg(test)]
mod tests;
