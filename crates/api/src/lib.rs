//! Pelton's HTTP listener: health, metrics and status, and Lambda's API for event source mappings. Everything else of
//! Lambda's API is passed on.

mod connections;
mod error;
mod lambda;
mod routes;
mod serve;

pub use error::Error;
pub use lambda::{Change, FileMappings, Loaded, Mappings, Surroundings, Unanswered, Work};
#[doc(hidden)]
pub use lambda::read_request;
pub use serve::{LambdaApi, serve};
