//! Shards that are split and merged: children after their parents, nothing lost.
use std::time::Duration;

use pelton_tests::{
    Backend, Function, Pelton, Stream, eventually, mapping, on_both_backends, on_localstack, stream_mapping, texts,
};
use serde_json::json;

fn slow(text: &str) -> String {
    json!({ "n": text, "do": "sleep", "seconds": 0.2 }).to_string()
}

/// The shards that take records.
async fn open_shards(stream: &Stream) -> Vec<String> {
    let shards = stream.shards().await;
    let is_open = |shard: &&aws_sdk_kinesis::types::Shard| {
        shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_none()
    };
    shards.iter().filter(is_open).map(|shard| shard.shard_id.clone()).collect()
}

/// Waits until all records were processed: so many, of several processes.
async fn are_done(function: &Function, count: usize) -> Vec<String> {
    eventually(&format!("{count} records are processed"), || async {
        let seen = function.seen();
        texts(&seen).len() >= count && seen.iter().all(|seen| seen.end.is_some())
    })
    .await;
    texts(&function.seen())
}

async fn children_of_a_split_come_after_what_their_parent_still_holds(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new().with_concurrency(4));
    let parent = open_shards(&stream).await.remove(0);
    for i in 0..6 {
        stream.put(&format!("key-{i}"), slow(&format!("parent {i}"))).await;
    }
    stream.split(&parent).await;
    let children = open_shards(&stream).await;
    assert_eq!(children.len(), 2);
    for child in &children {
        for i in 0..2 {
            stream.put_to_shard(child, "key", slow(&format!("child {i}"))).await;
        }
    }
    // All three are in the first listing.
    let more = json!({ "BatchSize": 1 });
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, more)]).await;
    let texts = are_done(&function, 10).await;
    assert_eq!(texts[..6], (0..6).map(|i| slow(&format!("parent {i}"))).collect::<Vec<_>>(), "parents first");
    let seen = function.seen();
    let parent_ends = seen[5].end.unwrap();
    assert!(seen[6..].iter().all(|seen| seen.start >= parent_ends && seen.shard() != parent));
    for child in &children {
        let of_child: Vec<String> = seen.iter().filter(|it| it.shard() == child).flat_map(|it| it.texts()).collect();
        assert_eq!(of_child, [slow("child 0"), slow("child 1")]);
    }
    assert_eq!(texts.len(), 10, "each once");
    eventually("the parent is at its end", || async {
        let status = pelton.status(&stream);
        status["Shards"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["ShardId"] == parent.as_str() && it["Position"] == "SHARD_END")
    })
    .await;
}

async fn a_merged_child_comes_after_both_its_parents(backend: Backend) {
    // Whichever of the parents takes longer.
    for (of_one, of_other) in [(1, 4), (4, 1)] {
        let (stream, function) = (backend.stream(2).await, Function::new().with_concurrency(3));
        let [one, other] = open_shards(&stream).await.try_into().unwrap();
        for (shard, count) in [(&one, of_one), (&other, of_other)] {
            for i in 0..count {
                stream.put_to_shard(shard, "key", slow(&format!("{shard} {i}"))).await;
            }
        }
        stream.merge(&one, &other).await;
        let [child] = open_shards(&stream).await.try_into().unwrap();
        stream.put_to_shard(&child, "key", "child").await;
        // Nobody has read anything yet.
        let more = json!({ "BatchSize": 1 });
        let _pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, more)]).await;
        are_done(&function, 6).await;
        let seen = function.seen();
        assert_eq!((seen.len(), seen[5].texts()), (6, vec!["child".to_owned()]));
        assert!(seen[..5].iter().all(|it| it.end.unwrap() <= seen[5].start), "both parents are done with");
    }
}

async fn a_restart_in_the_middle_of_a_split_keeps_the_order(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new().with_concurrency(4));
    let parent = open_shards(&stream).await.remove(0);
    for i in 0..6 {
        stream.put("key", slow(&format!("parent {i}"))).await;
    }
    stream.split(&parent).await;
    for child in open_shards(&stream).await {
        stream.put_to_shard(&child, "key", "child").await;
    }
    let more = json!({ "BatchSize": 1 });
    let mut pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, more)]).await;
    function.is_invoked(2).await;
    pelton.restart().await;
    let texts = are_done(&function, 8).await;
    assert_eq!(texts[..6], (0..6).map(|i| slow(&format!("parent {i}"))).collect::<Vec<_>>());
    assert_eq!(texts[6..], ["child", "child"]);
}

/// Children begin at their beginning, whatever the mapping's StartingPosition is. Where closed shards are dropped at
/// once, too.
async fn with_latest_nothing_of_new_shards_is_missed(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let parent = open_shards(&stream).await.remove(0);
    // LocalStack's LATEST gives a stream's only record.
    for _ in 0..2 {
        stream.put("key", "before").await;
    }
    let latest = json!({ "StartingPosition": "LATEST" });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&stream, &function, latest)]).await;
    pelton.is_enabled(&stream).await;
    stream.put("key", "first").await;
    pelton.has_settled(&stream, 1).await;
    stream.split(&parent).await;
    for child in open_shards(&stream).await {
        stream.put_to_shard(&child, "key", format!("of {child}")).await;
    }
    let mut texts = are_done(&function, 3).await;
    texts[1..].sort();
    let mut expected: Vec<String> = open_shards(&stream).await.iter().map(|child| format!("of {child}")).collect();
    expected.insert(0, "first".into());
    assert_eq!(texts, expected);
    let [one, other] = open_shards(&stream).await.try_into().unwrap();
    stream.merge(&one, &other).await;
    stream.put("key", "merged").await;
    assert_eq!(are_done(&function, 4).await[3], "merged");
}

async fn a_mapping_that_comes_after_a_split_with_latest_reads_the_children_only(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let parent = open_shards(&stream).await.remove(0);
    stream.put("key", "before").await;
    stream.split(&parent).await;
    let latest = json!({ "StartingPosition": "LATEST" });
    let pelton = Pelton::start(&backend, &function, vec![mapping(&stream, &function, latest)]).await;
    pelton.is_enabled(&stream).await;
    stream.put("key", "after").await;
    assert_eq!(are_done(&function, 1).await, ["after"]);
}

/// AWS announces a split's children with the end of the parent, so nobody waits for the next listing.
async fn children_are_found_at_once(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, json!({}))]).await;
    pelton.is_enabled(&stream).await;
    stream.split(&open_shards(&stream).await[0]).await;
    stream.put("key", "0").await;
    pelton_testkit::eventually("the child is read", Duration::from_secs(10), || async { function.seen().len() == 1 })
        .await;
}

on_both_backends!(
    with_latest_nothing_of_new_shards_is_missed,
    a_mapping_that_comes_after_a_split_with_latest_reads_the_children_only,
    children_are_found_at_once,
);
// MiniStack forgets closed shards with all that is in them.
mod with_closed_shards {
    use super::*;
    on_localstack!(
        children_of_a_split_come_after_what_their_parent_still_holds,
        a_merged_child_comes_after_both_its_parents,
        a_restart_in_the_middle_of_a_split_keeps_the_order,
    );
}
