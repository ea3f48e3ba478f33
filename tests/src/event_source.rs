//! What a mapping can read.

/// A queue or a stream.
pub trait EventSource {
    /// What a mapping calls it.
    fn arn(&self) -> &str;
}

impl EventSource for str {
    fn arn(&self) -> &str {
        self
    }
}
