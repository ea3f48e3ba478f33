//! Pelton's HTTP listener: health, metrics, status. It changes nothing and asks for no credentials.

mod connections;
mod error;
mod routes;
mod serve;

pub use error::Error;
pub use serve::serve;
