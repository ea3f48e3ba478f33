//! `MaximumRecordAgeInSeconds` (spec 5.4). 60 s is the least, so all cases share one wait.
use std::time::Duration;

use pelton_tests::{
    Backend, EventSource as _, Feed, Function, Kind, Pelton, Queue, body, on_ministack, stream_mapping, texts,
};
use serde_json::{Value, json};

use super::{keys, numbered, numbers, on_failure};

/// Longer than the record age, with the whole seconds that DynamoDB's times have.
const WAIT: Duration = Duration::from_secs(62);

/// A stream with one record that will be too old, and five that will be fresh.
struct Mixed {
    kind: Kind,
    feed: Feed,
    function: Function,
    given_up: Queue,
}

/// A stream whose one record fails until it is too old.
struct Failing {
    kind: Kind,
    feed: Feed,
    function: Function,
    given_up: Queue,
    pelton: Pelton,
}

fn is_expired(record: &Value, kind: Kind) {
    let info = kind.batch_info();
    assert_eq!(keys(record), ["requestContext", "version", "timestamp", info], "no responseContext: {record}");
    let context = &record["requestContext"];
    assert_eq!(keys(context), ["requestId", "functionArn", "condition", "approximateInvokeCount"]);
    assert_eq!(context["condition"], "RecordAgeExceeded");
    assert_eq!(context["requestId"].as_str().unwrap().len(), 36);
    assert_eq!(record[info]["batchSize"], 1);
}

async fn mixed(backend: &Backend, kind: Kind) -> Mixed {
    let feed = backend.feed(kind).await;
    feed.put_each(numbered(0..1)).await;
    Mixed { kind, feed, function: Function::new(), given_up: backend.queue(90).await }
}

async fn failing(backend: &Backend, kind: Kind) -> Failing {
    let (feed, function, given_up) = (backend.feed(kind).await, Function::new(), backend.queue(90).await);
    feed.put_each([json!({ "do": "fail" }).to_string()]).await;
    let more = json!({ "MaximumRecordAgeInSeconds": 60, "DestinationConfig": on_failure(&given_up.arn) });
    let pelton = Pelton::start(backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    Failing { kind, feed, function, given_up, pelton }
}

/// The old one is reported and never sent to the function; the fresh ones behind it in the same read are delivered.
async fn splits_the_old_from_the_fresh(backend: &Backend, mixed: Mixed) {
    let Mixed { kind, feed, function, given_up } = mixed;
    feed.put_each(numbered(1..6)).await;
    let more = json!({
        "BatchSize": 10, "MaximumRecordAgeInSeconds": 60, "MaximumRetryAttempts": 0,
        "DestinationConfig": on_failure(&given_up.arn),
    });
    let pelton = Pelton::start(backend, &function, vec![stream_mapping(&feed, &function, more)]).await;
    let record = body(&given_up.take(1).await[0]);
    is_expired(&record, kind);
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    pelton.has_settled(&feed, 6).await;
    let seen = function.seen();
    assert_eq!((texts(&seen), seen.len()), (numbers(1..6), 1));
    assert_eq!(pelton.status(&feed)["Dropped"], 1);
}

async fn is_given_up_at_60_seconds(failing: Failing) {
    let Failing { kind, feed, function, given_up, pelton } = failing;
    let record = body(&given_up.take(1).await[0]);
    is_expired(&record, kind);
    pelton.has_settled(&feed, 1).await;
    let seen = function.seen();
    // Spec 5.3: AWS says 8, the attempt that gave up included. Pauses are drawn at random.
    assert_eq!(record["requestContext"]["approximateInvokeCount"], seen.len() + 1);
    assert!((4..12).contains(&seen.len()), "{} invocations", seen.len());
    let record = &seen[0].records()[0];
    let arrival = record["kinesis"]["approximateArrivalTimestamp"].as_f64();
    let arrival = arrival.or_else(|| record["dynamodb"]["ApproximateCreationDateTime"].as_f64()).unwrap();
    assert!(seen.iter().all(|seen| seen.start - arrival < 60.5), "none is invoked when it is too old");
    assert_eq!(pelton.status(&feed)["Dropped"], 1, "{}", feed.arn());
}

async fn records_over_60_seconds_old_are_given_up(backend: Backend) {
    let mut mixed_feeds = Vec::new();
    let mut failing_feeds = Vec::new();
    for kind in [Kind::Kinesis, Kind::DynamoDb] {
        mixed_feeds.push(mixed(&backend, kind).await);
        failing_feeds.push(failing(&backend, kind).await);
    }
    tokio::time::sleep(WAIT).await;
    for mixed in mixed_feeds {
        splits_the_old_from_the_fresh(&backend, mixed).await;
    }
    for failing in failing_feeds {
        is_given_up_at_60_seconds(failing).await;
    }
}

on_ministack!(records_over_60_seconds_old_are_given_up);
