//! What every queue-like source promises, on real queues.
use std::time::Duration;

use pelton_source_sqs::{Client, SqsSource};
use pelton_testkit::conformance::{VISIBILITY, queue_suite};
use pelton_tests::{Backend, on_both_backends};

async fn the_sqs_source_passes_the_queue_suite(backend: Backend) {
    let queue = backend.queue(u32::try_from(VISIBILITY.as_secs()).unwrap()).await;
    let arn = queue.arn.parse().unwrap();
    let source = SqsSource::new(Client::new(&backend.config), arn, Duration::ZERO, Duration::from_secs(20));
    let send = |body: String| {
        let queue = queue.clone();
        async move {
            queue.send(body).await;
        }
    };
    queue_suite(&source, send).await;
}

on_both_backends!(the_sqs_source_passes_the_queue_suite);
