//! Shared parts of the black-box tests: the built binary, functions, and backends, as a person would use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "used by tests only")]

mod backend;
mod campaign;
mod forwarder;
mod function;
mod lambda_server;
mod pelton;
mod queue;

pub use backend::Backend;
pub use campaign::{Campaign, seed};
pub use forwarder::Forwarder;
pub use function::{Function, Seen, largest_overlap};
pub use lambda_server::LambdaServer;
pub use pelton::{Pelton, binary, complete, mapping};
pub use queue::{Queue, body};

use std::future::Future;
use std::time::Duration;

/// Waits until `condition` holds, at most 30 s.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl FnMut() -> F) {
    pelton_testkit::eventually(what, Duration::from_secs(30), condition).await;
}

/// Makes a test of each function that takes a [`Backend`], on LocalStack and on MiniStack.
#[macro_export]
macro_rules! on_both_backends {
    ($($test:ident),* $(,)?) => {
        mod on_localstack {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::localstack().await).await;
            })*
        }
        $crate::on_ministack!($($test),*);
    };
}

/// Makes a test of each function that takes a [`Backend`], on LocalStack.
#[macro_export]
macro_rules! on_localstack {
    ($($test:ident),* $(,)?) => {
        mod on_localstack {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::localstack().await).await;
            })*
        }
    };
}

/// Makes a test of each function that takes a [`Backend`], on MiniStack.
#[macro_export]
macro_rules! on_ministack {
    ($($test:ident),* $(,)?) => {
        mod on_ministack {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::ministack().await).await;
            })*
        }
    };
}
