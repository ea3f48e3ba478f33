//! Pelton's HTTP listener: health, metrics and status, and Lambda's API for event source mappings. Everything else of
//! Lambda's API is passed on.

mod connections;
mod error;
mod lambda;
mod routes;
mod serve;

pub use error::Error;
#[doc(hidden)]
pub use lambda::read_request;
pub use lambda::{
    Change, Changes, EventInvokeConfigs, FileEventInvokeConfig, FileEventInvokeConfigs, FileMappings, Functions,
    Loaded, LocalFunction, LocalSettings, Mappings, Place, Policies, Surroundings, Unanswered, Work,
};
pub use serve::{LambdaApi, serve};
