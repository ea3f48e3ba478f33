//! What every stream promises, a rollover included.
use async_trait::async_trait;
use pelton_testkit::stream_suite::{StreamUnderTest, stream_suite};

use crate::server::Server;
use crate::support::source;

struct Scripted(Server);

#[async_trait]
impl StreamUnderTest for Scripted {
    async fn put(&self, key: &str) {
        self.0.put(&self.0.open_shards()[0], key);
    }

    async fn reshard(&self) -> bool {
        for shard in self.0.open_shards() {
            self.0.roll_over(&shard, &format!("{shard}-child"));
        }
        true
    }
}

#[tokio::test]
async fn the_source_passes_the_stream_suite() {
    let server = Server::start().await;
    server.open("shardId-1", None);
    let source = source(&server);
    stream_suite(&source, &Scripted(server)).await;
}
