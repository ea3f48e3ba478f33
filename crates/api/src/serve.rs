//! Serves until it is told to stop.
use std::time::Duration;

use pelton_engine::StatusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::connections::Connections;
use crate::routes::routes;

/// What answers under way may take when the listener stops. A client that has sent half a request must not hold it.
const GRACE: Duration = Duration::from_secs(1);

/// Serves `/healthz`, `/readyz`, `/metrics` and `/status` on the listener until `shutdown`, then finishes what is being
/// answered, for at most a second.
pub async fn serve(listener: TcpListener, status: StatusHandle, shutdown: CancellationToken) -> Result<(), Error> {
    let stop = shutdown.clone().cancelled_owned();
    let serving = axum::serve(Connections::new(listener), routes(status)).with_graceful_shutdown(stop);
    let too_long = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = async { serving.await } => Ok(served?),
        () = too_long => Ok(()),
    }
}
