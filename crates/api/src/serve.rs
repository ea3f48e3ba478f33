//! Serves until it is told to stop.
use std::sync::Arc;
use std::time::Duration;

use pelton_config::Authentication;
use pelton_engine::{EventDoor, StatusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::{Connections, Patience};
use crate::lambda::{Access, Creates, Front, Invocations, Upstream};
use crate::routes::routes;
use crate::{Error, EventInvokeConfigs, Functions, Mappings, Policies, Work};

/// What answers under way may take when the listener stops. A client that has sent half a request must not hold it.
const GRACE: Duration = Duration::from_secs(1);

/// Lambda's API.
pub struct LambdaApi {
    /// The mappings.
    pub mappings: Mappings,
    /// What changes them.
    pub work: Work,
    /// The functions there are.
    pub functions: Arc<dyn Functions>,
    /// Where asynchronous invocations go. `Err`: why none can be kept, and which setting would change that.
    pub events: Result<EventDoor, String>,
    /// How they are retried.
    pub event_invoke_configs: EventInvokeConfigs,
    /// The resource-based policies of local functions.
    pub policies: Policies,
    /// Tracks the local functions that run for clients who wait. Wait for it before those functions are stopped.
    pub under_way: TaskTracker,
    /// Whose requests it takes. `None`: everybody's.
    pub authentication: Option<Authentication>,
    /// Whether it is served on an address that others can reach, although it asks for no credentials.
    pub allow_unauthenticated: bool,
}

/// Serves `/healthz`, `/readyz`, `/metrics`, `/status` and Lambda's API on the listener until `shutdown`, then finishes
/// what is being answered, for at most a second.
///
/// Without authentication, Lambda's API is for this machine only, unless `allow_unauthenticated` says otherwise. The
/// other paths ask for no credentials.
pub async fn serve(
    listener: TcpListener,
    status: StatusHandle,
    lambda: Option<LambdaApi>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let is_alone = listener.local_addr()?.ip().is_loopback();
    let (front, work) = match lambda {
        None => (None, None),
        Some(api) => {
            let front = Front {
                mappings: api.mappings,
                invocations: Invocations::new(api.functions, api.events, api.under_way),
                event_invoke_configs: api.event_invoke_configs,
                policies: api.policies,
                creates: Creates::default(),
                upstream: Upstream::new(),
                access: api.authentication.map(Access::new),
                is_allowed: is_alone || api.allow_unauthenticated,
            };
            (Some(Arc::new(front)), Some(api.work))
        }
    };
    let stop = shutdown.clone().cancelled_owned();
    let service = routes(status, front).into_make_service_with_connect_info::<Patience>();
    let serving = axum::serve(Connections::new(listener), service).with_graceful_shutdown(stop);
    let working = async {
        if let Some(work) = work {
            work.run().await;
        }
        std::future::pending::<()>().await;
    };
    let too_long = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = async { serving.await } => Ok(served?),
        () = working => Ok(()),
        () = too_long => Ok(()),
    }
}
