//! Logs: readable on a terminal, JSON everywhere else. On stderr, so that stdout stays for what a command prints.
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged without `PELTON_LOG`: Pelton itself and what its functions print, not the SDK's and HTTP's chatter.
const DEFAULT_FILTER: &str = "info,aws_config=warn,aws_smithy_runtime=warn,hyper=warn";

/// Starts logging. `PELTON_LOG` (or `RUST_LOG`) sets the filter, such as `debug` or `pelton_engine=trace`.
pub fn start() {
    let filter = std::env::var("PELTON_LOG").or_else(|_| std::env::var("RUST_LOG"));
    let filter = EnvFilter::try_new(filter.as_deref().unwrap_or(DEFAULT_FILTER))
        .unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
