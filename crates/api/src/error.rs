//! Why the listener ended.

/// The listener can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed.
    #[error("the listener for health, metrics and status failed: {0}")]
    Serve(#[from] std::io::Error),
}
