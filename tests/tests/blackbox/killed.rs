//! `kill -9` in the middle of the campaign of `faults`.
use std::time::Duration;

use pelton_tests::{Backend, Campaign, on_ministack, seed};

const KILLS: usize = 20;

async fn killed_at_20_random_moments_on_a_standard_queue(backend: Backend) {
    let seed = seed();
    survives(Campaign::standard(&backend, seed).await, seed).await;
}

async fn killed_at_20_random_moments_on_a_fifo_queue(backend: Backend) {
    let seed = seed();
    survives(Campaign::fifo(&backend, seed).await, seed).await;
}

async fn survives(campaign: Campaign, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for kill in 0..KILLS {
        let mut pelton = campaign.start().await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..400))).await;
        assert_ne!(campaign.queue.counts().await, (0, 0), "kill {kill} comes in the middle");
        pelton.kill();
    }
    let mut pelton = campaign.start().await;
    campaign.is_over().await;
    campaign.nothing_is_lost().await;
    assert!(pelton.is_alive());
}

on_ministack!(killed_at_20_random_moments_on_a_standard_queue, killed_at_20_random_moments_on_a_fifo_queue);
