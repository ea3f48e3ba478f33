//! What is answered on which path.
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use pelton_engine::{FunctionStatus, MappingStatus, StatusHandle};
use serde_json::json;

use crate::connections::Patience;
use crate::lambda::{self, Front};

/// What prometheus-client writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub fn routes(status: StatusHandle, front: Option<Arc<Front>>) -> Router {
    let others = async move |ConnectInfo(patience): ConnectInfo<Patience>, request: Request| match &front {
        Some(front) if lambda::is_lambda(request.uri().path()) => lambda::answer(front, request, patience).await,
        _ => unknown(request.uri()),
    };
    Router::new()
        .route("/healthz", get(async || Json(json!({ "Status": "alive" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(mappings))
        .route("/status/functions", get(functions))
        .fallback(others)
        .method_not_allowed_fallback(not_allowed)
        .with_state(status)
}

/// Ready when every mapping has begun its work, or has said what keeps it from beginning.
async fn ready(State(status): State<StatusHandle>) -> Response {
    let begins = |mapping: &MappingStatus| mapping.state == "Creating" && mapping.last_error.is_none();
    let waiting: Vec<String> =
        status.mappings().into_iter().filter(begins).map(|mapping| mapping.event_source_arn).collect();
    if waiting.is_empty() {
        Json(json!({ "Status": "ready" })).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "Status": "starting", "EventSourceArns": waiting })))
            .into_response()
    }
}

async fn metrics(State(status): State<StatusHandle>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], status.metrics_text()).into_response()
}

async fn mappings(State(status): State<StatusHandle>) -> Json<Vec<MappingStatus>> {
    Json(status.mappings())
}

async fn functions(State(status): State<StatusHandle>) -> Json<Vec<FunctionStatus>> {
    Json(status.functions())
}

fn unknown(uri: &Uri) -> Response {
    let message = format!(
        "nothing is at {}: there are /healthz, /readyz, /metrics, /status, /status/functions, and Lambda's API, whose paths begin with a date",
        uri.path()
    );
    (StatusCode::NOT_FOUND, Json(json!({ "Message": message }))).into_response()
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("{method} is not allowed on {}: use GET", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "Message": message }))).into_response()
}
