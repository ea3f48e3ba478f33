//! What is seen of streams: status, metrics, and `pelton status`.
use pelton_tests::{
    Backend, EventSource as _, Feed, Function, Kind, Pelton, binary, eventually, on_both_backends, on_every_stream,
    stream_mapping,
};
use serde_json::json;

use super::{keys, numbered};

/// The value of a metric of a source.
fn metric(text: &str, name: &str, source: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(source))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn status_and_metrics_show_the_shard(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, json!({}))]).await;
    pelton.is_enabled(&feed).await;
    let status = pelton.status(&feed);
    assert_eq!(
        (&status["State"], &status["LastProcessingResult"]),
        (&json!("Enabled"), &json!("No records processed"))
    );
    feed.put_each(numbered(0..4)).await;
    pelton.has_settled(&feed, 4).await;
    let last = function.seen().last().unwrap().sequence_numbers().last().unwrap().to_string();
    eventually("the position shows", || async { pelton.status(&feed)["Shards"][0]["Position"] == last.as_str() }).await;
    eventually("it is caught up", || async { pelton.status(&feed)["Shards"][0]["IteratorAgeMilliseconds"] == 0 }).await;
    let status = pelton.status(&feed);
    let [shard] = &status["Shards"].as_array().unwrap()[..] else { panic!("{status}") };
    assert!(shard["ShardId"].as_str().unwrap().starts_with("shardId-"));
    assert!(shard["Owner"].as_str().is_some_and(|owner| !owner.is_empty()));
    let expected = [
        "ShardId",
        "Owner",
        "Position",
        "MillisBehindLatest",
        "IteratorAgeMilliseconds",
        "Unsettled",
        "InFlight",
        "Attempts",
        "OpenWindows",
    ];
    assert_eq!(keys(shard), expected);
    assert_eq!(
        (&shard["MillisBehindLatest"], &shard["Unsettled"], &shard["Attempts"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(status["LastProcessingResult"], "OK");
    assert_eq!((&status["Polled"], &status["Invoked"], &status["Failed"]), (&json!(4), &json!(4), &json!(0)));
    let metrics = pelton.get("/metrics").1;
    for (name, value) in [
        ("PolledEventCount_total", 4.0),
        ("InvokedEventCount_total", 4.0),
        ("pelton_delivered_events_total", 4.0),
        ("pelton_shard_behind_latest_seconds", 0.0),
        ("pelton_shard_iterator_age_seconds", 0.0),
        ("pelton_leases_taken_total", 1.0),
        ("pelton_leases_lost_total", 0.0),
        ("pelton_batch_retries_total", 0.0),
        ("pelton_trimmed_positions_total", 0.0),
        ("pelton_problem", 0.0),
    ] {
        assert_eq!(metric(&metrics, name, feed.arn()), Some(value), "{name}");
    }
    assert!(metric(&metrics, "IteratorAge_seconds_count", feed.arn()).is_some_and(|count| count >= 1.0));
    let line = metrics.lines().find(|line| line.starts_with("pelton_shard_behind_latest_seconds{")).unwrap();
    assert!(line.contains(&format!("ShardId=\"{}\"", shard["ShardId"].as_str().unwrap())), "{line}");
}

async fn a_record_that_waits_shows_as_age_and_as_unsettled(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each([json!({ "do": "fail", "times": 2 }).to_string(), "1".to_owned()]).await;
    let more = json!({ "BatchSize": 1 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    eventually("it is tried again", || async { pelton.status(&feed)["Shards"][0]["Attempts"] == 2 }).await;
    let shard = pelton.status(&feed)["Shards"][0].clone();
    assert_eq!((&shard["Unsettled"], &shard["Position"]), (&json!(2), &json!("TRIM_HORIZON")), "{shard}");
    assert!(shard["IteratorAgeMilliseconds"].as_u64().is_some_and(|age| age > 0), "{shard}");
    pelton.has_settled(&feed, 2).await;
    assert_eq!(metric(&pelton.get("/metrics").1, "pelton_batch_retries_total", feed.arn()), Some(2.0));
}

async fn pelton_status_prints_the_mapping(backend: Backend) {
    let (stream, function) = (backend.stream(2).await, Function::new());
    let feed = Feed::Kinesis(stream.clone());
    feed.put_each(numbered(0..3)).await;
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, json!({}))]).await;
    pelton.has_settled(&feed, 3).await;
    let mut command = std::process::Command::new(binary());
    let output = command.args(["status", &pelton.url]).env_clear().output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = printed.lines().find(|line| line.contains(&stream.name)).unwrap_or_else(|| panic!("{printed}"));
    assert!(line.contains("Enabled") && line.contains(" 3 "), "{printed}");
}

on_every_stream!(status_and_metrics_show_the_shard, a_record_that_waits_shows_as_age_and_as_unsettled);
on_both_backends!(pelton_status_prints_the_mapping);
