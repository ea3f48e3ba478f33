//! A backend and a Lambda API that go wrong in a fifth of all calls, and a backend that hangs.
use std::time::Duration;

use pelton_testkit::fault_proxy::{FaultProxy, Rule};
use pelton_tests::{Backend, Campaign, Function, Pelton, mapping, on_both_backends, on_ministack, seed};
use serde_json::json;

async fn a_fifth_of_all_calls_fails_on_a_standard_queue(backend: Backend) {
    survives(Campaign::standard(&backend, seed()).await).await;
}

async fn a_fifth_of_all_calls_fails_on_a_fifo_queue(backend: Backend) {
    survives(Campaign::fifo(&backend, seed()).await).await;
}

async fn survives(campaign: Campaign) {
    let mut pelton = campaign.start().await;
    campaign.is_over().await;
    campaign.nothing_is_lost().await;
    campaign.faults_happened();
    assert!(pelton.is_alive());
    assert_eq!(pelton.get("/healthz").0, 200);
}

/// Longer than the time limit of a receive, which is longer than the longest poll.
const LIMIT: Duration = Duration::from_secs(50);

async fn a_backend_that_accepts_and_never_answers_is_survived(backend: Backend) {
    let proxy = FaultProxy::start(&backend.endpoint, 0, vec![Rule::everything(0)]).await.unwrap();
    let (queue, function) = (backend.queue(5).await, Function::new());
    let mut pelton = Pelton::run(json!({
        "Endpoint": proxy.endpoint, "Functions": [function.entry()],
        "EventSourceMappings": [mapping(&queue, &function, json!({}))],
    }))
    .await;
    queue.send("before").await;
    queue.is_drained().await;
    proxy.hang(true);
    queue.send_all((0..20).map(|i| i.to_string())).await;
    pelton_testkit::eventually("a problem shows", LIMIT, || async { pelton.result(&queue).starts_with("PROBLEM: ") })
        .await;
    assert!(pelton.is_alive());
    assert_eq!(pelton.get("/healthz").0, 200);
    proxy.hang(false);
    queue.is_drained().await;
    let bodies: Vec<_> =
        function.seen().iter().flat_map(|it| it.bodies().into_iter().map(str::to_owned).collect::<Vec<_>>()).collect();
    for i in 0..20 {
        assert!(bodies.contains(&i.to_string()), "{i}");
    }
    pelton_tests::eventually("the mapping is fine", || async { pelton.result(&queue) == "OK" }).await;
}

on_both_backends!(a_fifth_of_all_calls_fails_on_a_standard_queue);
// LocalStack 4.9 refuses to delete a FIFO message whose function took longer than the visibility timeout: it compares
// the time since the receive with the last timeout that was set, so that an extension by as much doesn't count.
mod with_extensions_that_count {
    use super::*;
    on_ministack!(a_fifth_of_all_calls_fails_on_a_fifo_queue, a_backend_that_accepts_and_never_answers_is_survived,);
}
