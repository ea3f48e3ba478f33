//! What the adapters to AWS share: SDK configuration for a region and service, and what an SDK error asks of the caller.

mod error;
mod settings;

pub use error::{Failure, classify};
pub use settings::{Aws, AwsError, Service, Settings};
