//! Shared parts of the black-box tests: the built binary, functions, and backends, as a person would use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "used by tests only")]

mod backend;
mod campaign;
mod event_source;
mod feed;
mod forwarder;
mod function;
mod javascript;
mod lambda_server;
mod pelton;
mod queue;
mod refuser;
mod request;
mod sam_endpoint;
mod stream;
mod stream_campaign;
mod table;

pub use backend::Backend;
pub use campaign::{Campaign, seed};
pub use event_source::EventSource;
pub use feed::{Feed, Kind};
pub use forwarder::Forwarder;
pub use function::{Function, Seen, data, largest_overlap, sequence_number, texts};
pub use javascript::javascript;
pub use lambda_server::LambdaServer;
pub use pelton::{Pelton, binary, complete, mapping, state_in, stream_mapping};
pub use queue::{Queue, body};
pub use refuser::Refuser;
pub use request::Answer;
pub use sam_endpoint::SamEndpoint;
pub use stream::Stream;
pub use stream_campaign::StreamCampaign;
pub use stream_campaign::leases::{ShardRow, holders, shard_rows};
pub use stream_campaign::witness::{Invocation, Witness};
pub use table::Table;

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

/// Makes a test of each function that takes a [`Backend`] and a [`Kind`] of stream, on Kinesis of LocalStack and of
/// MiniStack, and on DynamoDB Local and DynamoDB of MiniStack.
#[macro_export]
macro_rules! on_every_stream {
    ($($test:ident),* $(,)?) => {
        mod kinesis_on_localstack {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::localstack().await, $crate::Kind::Kinesis).await;
            })*
        }
        mod dynamodb_on_dynamodb_local {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::localstack().await, $crate::Kind::DynamoDb).await;
            })*
        }
        mod kinesis_on_ministack {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::ministack().await, $crate::Kind::Kinesis).await;
            })*
        }
        mod dynamodb_on_ministack {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::ministack().await, $crate::Kind::DynamoDb).await;
            })*
        }
    };
}

/// Makes a test of each function that takes a [`Backend`] and a [`Kind`] of stream, on Kinesis of MiniStack, the faster
/// of the two, and on DynamoDB Local, Amazon's own: for what depends on the kind of the stream and not on the backend.
#[macro_export]
macro_rules! on_both_kinds {
    ($($test:ident),* $(,)?) => {
        mod kinesis {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::ministack().await, $crate::Kind::Kinesis).await;
            })*
        }
        mod dynamodb {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::Backend::localstack().await, $crate::Kind::DynamoDb).await;
            })*
        }
    };
}
