//! Functions of tumbling windows, and how tests see what they were told.
#![allow(dead_code, clippy::unwrap_used, reason = "test support: each test file uses its own part")]
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{Mapping, StreamSettings};
use pelton_engine::lane_of;
use pelton_testkit::{FakeInvoker, Invocation, Reply};
use serde_json::{Value, json};

use super::stream::{Run, World, mapping, settings};
use super::until;

/// An invocation as a test sees it: `20 [1,2] <- {0}` is one of the window that begins 20 s into its minute, with the
/// records 1 and 2, and the state of record 0. The last ones of a window say `final` or `early`.
pub fn view(invocation: &Invocation) -> String {
    let event = &invocation.event;
    if event["window"].is_null() {
        return format!("plain [{}]", invocation.ids.join(","));
    }
    let start = &event["window"]["start"].as_str().unwrap()[17..19];
    let state: Vec<String> = ids_of(&event["state"]).iter().map(ToString::to_string).collect();
    let what = match (event["isFinalInvokeForWindow"].as_bool(), event["isWindowTerminatedEarly"].as_bool()) {
        (Some(false), Some(false)) => "",
        (Some(true), Some(false)) => " final",
        (Some(true), Some(true)) => " early",
        other => panic!("{other:?}"),
    };
    format!("{start} [{}] <- {{{}}}{what}", invocation.ids.join(","), state.join(","))
}

pub fn views(invoker: &FakeInvoker) -> Vec<String> {
    invoker.seen().iter().map(view).collect()
}

pub fn ids_of(value: &Value) -> Vec<String> {
    let ids = value["ids"].as_array().into_iter().flatten();
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

pub fn records_of(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().unwrap().iter();
    records.map(|record| record["messageId"].as_str().unwrap().to_owned()).collect()
}

/// The state that a function returns that gathers the ids of what it has processed.
pub fn gathered(event: &Value, processed: &[String]) -> Value {
    let ids = [ids_of(&event["state"]), processed.to_vec()].concat();
    json!({ "ids": ids })
}

pub fn gather(event: &Value) -> Reply {
    Reply::Returns(json!({ "state": gathered(event, &records_of(event)) }))
}

pub fn gathering() -> Arc<FakeInvoker> {
    Arc::new(FakeInvoker::deciding_on_event(gather))
}

pub fn is_final(event: &Value) -> bool {
    event["isFinalInvokeForWindow"] == json!(true)
}

/// Windows of ten seconds.
pub fn windows() -> StreamSettings {
    StreamSettings { tumbling_window: Duration::from_secs(10), ..settings() }
}

pub fn windowed(batch_size: usize) -> Mapping {
    Mapping { batch_size, ..mapping(windows()) }
}

pub fn put(world: &World, count: usize) {
    (0..count).for_each(|_| {
        world.stream.put(1, "key");
    });
}

/// Puts records that have arrived at these seconds of the minute before the test begins.
pub fn put_at(world: &World, seconds: impl IntoIterator<Item = u32>) {
    for second in seconds {
        world.stream.put_at(1, "key", world.at(&format!("2025-12-31T23:59:{second:02}Z")));
    }
}

pub async fn seen(invoker: &FakeInvoker, count: usize) {
    until(&format!("{count} invocations"), async || invoker.seen().len() >= count).await;
}

pub async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub async fn position(run: &Run, number: usize) {
    until(&format!("{number} is settled"), async || run.shard(1).position == number.to_string()).await;
}

/// More than 1 MB of it.
pub fn large(event: &Value, processed: &[String]) -> Value {
    let mut state = gathered(event, processed);
    state["filling"] = "x".repeat(1_100_000).into();
    state
}

/// A key for each lane.
pub fn keys(lanes: usize) -> Vec<String> {
    let key = |lane| (0..).map(|number| format!("key-{number}")).find(|key| lane_of(key, lanes) == lane).unwrap();
    (0..lanes).map(key).collect()
}

pub fn lanes(factor: usize) -> Mapping {
    Mapping { batch_size: 1, ..mapping(StreamSettings { parallelization_factor: factor, ..windows() }) }
}
