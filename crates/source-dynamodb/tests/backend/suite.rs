//! What every stream promises.
use async_trait::async_trait;
use aws_sdk_dynamodb::types::StreamViewType;
use pelton_testkit::stream_suite::{StreamUnderTest, stream_suite};

use crate::support::{Backend, Table, on_both, text};

on_both!(the_source_passes_the_stream_suite);

struct Stream {
    table: Table,
    /// DynamoDB Local cuts arrival times to whole minutes.
    has_timestamps: bool,
}

#[async_trait]
impl StreamUnderTest for Stream {
    async fn put(&self, key: &str) {
        self.table.put(key, "name", text("value")).await;
    }

    fn has_timestamps(&self) -> bool {
        self.has_timestamps
    }
}

async fn the_source_passes_the_stream_suite(backend: &Backend) {
    let table = backend.table(StreamViewType::NewAndOldImages).await;
    let source = backend.source(&table.stream);
    let has_timestamps = backend.region != "ddblocal";
    stream_suite(&source, &Stream { table, has_timestamps }).await;
}
