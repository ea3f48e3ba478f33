//! Lambda's REST API: event source mappings and their tags, invocations and how they are retried, and what is asked of
//! local functions are answered here, everything else by the upstream.
//!
//! ```text
//!  access.rs      │ signature, actions, policy
//!  answer.rs   request ──▶ route.rs ──▶ body.rs ──▶ settings.rs ──▶ mappings.rs ──▶ view.rs ──▶ answer
//!                 │            │                                       │  ▲
//!                 │            │                                       │  └── Documents
//!                 │            │                                       └────▶ Change, for whoever runs mappings
//!                 │            ├──▶ named.rs ──▶ event_invoke_configs.rs ──▶ Documents
//!                 │            └──▶ named.rs ──▶ payload.rs ──▶ invoke.rs ──▶ EventDoor, or a local Invoker
//!                 ├──▶ local.rs ──▶ policies.rs ──▶ Documents
//!                 └──▶ upstream.rs (all other paths, and functions that are not local)
//! ```

mod access;
mod answer;
mod body;
mod error;
mod event_invoke_configs;
mod functions;
mod invoke;
mod list;
mod local;
mod mappings;
mod named;
mod operation;
mod payload;
mod policies;
mod present;
mod resource;
mod route;
mod settings;
mod surroundings;
mod upstream;
mod view;

pub(crate) use access::Access;
pub(crate) use answer::{Front, answer};
pub use event_invoke_configs::EventInvokeConfigs;
pub use functions::{FileEventInvokeConfig, FileEventInvokeConfigs, Functions, LocalFunction, LocalSettings, Place};
pub(crate) use invoke::Invocations;
pub(crate) use local::Creates;
pub use mappings::{Change, Changes, Loaded, Mappings, Work};
pub use policies::Policies;
pub(crate) use route::is_lambda;
pub use surroundings::{FileMappings, Surroundings, Unanswered};
pub(crate) use upstream::Upstream;

/// Everything that reads a request, for the fuzz target, which stands outside the workspace; no part of the interface.
#[doc(hidden)]
pub fn read_request(method: &str, path: &str, query: &str, body: &[u8]) {
    let method = axum::http::Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let route = route::route(&method, path);
    let _ = (list::Query::read(query), resource::tag_keys(query));
    match &route {
        route::Route::Tags(_, resource) => {
            let _ = resource::read(resource);
        }
        route::Route::Invoke(name) | route::Route::EventInvokeConfig(_, name) | route::Route::Function(_, name) => {
            let _ = named::Named::read(name, query, &mut Vec::new());
        }
        _ => {}
    }
    // In an invocation, what is a query elsewhere stands in headers.
    if let Ok(value) = axum::http::HeaderValue::from_str(query) {
        let headers = ["x-amz-invocation-type", "x-amz-log-type", "x-amz-client-context", "x-amzn-trace-id"];
        for header in headers {
            let request = axum::extract::Request::builder().header(header, value.clone());
            if let Ok(request) = request.body(axum::body::Body::empty()) {
                let _ = (invoke::Asked::read(path, &request), invoke::Asked::event(path, &request));
            }
        }
    }
    let _ = (local::ListQuery::read(query), local::AliasPage::read(query), local::name_to_create(body));
    let _ = payload::payload(bytes::Bytes::copy_from_slice(body));
    let Ok(fields) = body::fields(body) else { return };
    let _ = event_invoke_configs::Fields::read(&fields, false, &mut Vec::new());
    let function = pelton_core::Arn::new("aws", "lambda", "us-east-1", "000000000000", "function:f");
    if let (Ok(function), Ok(Some(fields))) = (function, policies::Fields::read(&fields, &mut Vec::new())) {
        let _ = fields.statement(function);
    }
    if let Ok(made) = settings::create(fields.clone(), "us-east-1") {
        let _ = settings::update(&made.settings, fields, "us-east-1");
    }
}
