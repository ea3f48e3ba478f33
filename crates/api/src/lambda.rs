//! Lambda's REST API: event source mappings and their tags are answered here, everything else by the upstream.
//!
//! ```text
//!  answer.rs   request ──▶ route.rs ──▶ body.rs ──▶ settings.rs ──▶ mappings.rs ──▶ view.rs ──▶ answer
//!                 │                                                    │  ▲
//!                 └──▶ upstream.rs (all other paths)                   │  └── Documents
//!                                                                      └────▶ Change, for whoever runs mappings
//! ```

mod answer;
mod body;
mod error;
mod functions;
mod list;
mod mappings;
mod resource;
mod route;
mod settings;
mod surroundings;
mod upstream;
mod view;

pub(crate) use answer::{Front, answer};
pub use functions::{FileEventInvokeConfig, FileEventInvokeConfigs, Functions, LocalFunction, LocalSettings, Place};
pub use mappings::{Change, Changes, Loaded, Mappings, Work};
pub(crate) use route::is_lambda;
pub use surroundings::{FileMappings, Surroundings, Unanswered};
pub(crate) use upstream::Upstream;

/// Everything that reads a request, for the fuzz target, which stands outside the workspace; no part of the interface.
#[doc(hidden)]
pub fn read_request(method: &str, path: &str, query: &str, body: &[u8]) {
    let method = axum::http::Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let route = route::route(&method, path);
    let _ = (list::Query::read(query), resource::tag_keys(query));
    if let route::Route::Tags(_, resource) = &route {
        let _ = resource::read(resource);
    }
    let Ok(fields) = body::fields(body) else { return };
    if let Ok(made) = settings::create(fields.clone(), "us-east-1") {
        let _ = settings::update(&made.settings, fields, "us-east-1");
    }
}
