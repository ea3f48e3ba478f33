//! Waiting that shutdown cuts short.
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Waits for a time, or less if the token is cancelled. True if it was the time.
pub(crate) async fn idle(wait: Duration, shutdown: &CancellationToken) -> bool {
    shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
}
