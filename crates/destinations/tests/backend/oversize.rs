//! Records that are larger than their destination takes.
use aws_sdk_sqs::types::QueueAttributeName;
use pelton_core::{Condition, ErrorKind, ExecutionRecord, Subject};
use serde_json::{Value, json};

use crate::support::{Backend, Queue, batch_json, batches, large_record, name, on_both, record_of};

on_both!(
    leaves_the_payloads_out,
    keeps_the_whole_record_in_the_overflow_bucket,
    nothing_is_sent_while_the_overflow_bucket_refuses,
    the_queues_limit_is_followed,
    a_batch_leaves_nothing_out,
    a_topic_and_a_bus_take_256_kib,
);

/// The small record that must arrive in place of a large one.
fn expected(record: &ExecutionRecord, limit: usize) -> Value {
    let whole = record.to_json().unwrap();
    let mut expected: Value = serde_json::from_str(&whole).unwrap();
    let members = expected.as_object_mut().unwrap();
    members.remove("requestPayload");
    members.remove("responsePayload");
    let reason = format!("the record has {} bytes, the destination takes {limit}", whole.len());
    members.insert("payloadsOmitted".into(), json!({ "reason": reason, "recordSize": whole.len(), "limit": limit }));
    expected
}

async fn small_queue(backend: &Backend) -> Queue {
    backend.queue_with(&name(), &[(QueueAttributeName::MaximumMessageSize, "2048")]).await
}

async fn leaves_the_payloads_out(backend: &Backend) {
    let queue = small_queue(backend).await;
    let record = large_record(3000);
    backend.destination(&queue.arn).deliver(&record).await.unwrap();
    let body: Value = serde_json::from_str(&backend.body(&queue).await).unwrap();
    assert_eq!(body, expected(&record, 2048));
}

async fn keeps_the_whole_record_in_the_overflow_bucket(backend: &Backend) {
    let (queue, bucket) = (small_queue(backend).await, backend.bucket().await);
    let destination = backend.destination_with_overflow(&queue.arn, &bucket);
    let fits = record_of(Condition::Success, "{}");
    destination.deliver(&fits).await.unwrap();
    assert_eq!(backend.body(&queue).await, fits.to_json().unwrap());
    assert!(backend.objects(&bucket).await.is_empty(), "what fits isn't kept");

    let record = large_record(3000);
    destination.deliver(&record).await.unwrap();
    let body: Value = serde_json::from_str(&backend.body(&queue).await).unwrap();
    let key = body["payloadsOmitted"]["s3"]["key"].as_str().expect("the record says where it is");
    let mut expected = expected(&record, 2048);
    expected["payloadsOmitted"]["s3"] = json!({ "bucket": bucket, "key": key });
    assert_eq!(body, expected);
    let objects = backend.objects(&bucket).await;
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[key], record.to_json().unwrap());
}

async fn nothing_is_sent_while_the_overflow_bucket_refuses(backend: &Backend) {
    let (queue, missing) = (small_queue(backend).await, name());
    let destination = backend.destination_with_overflow(&queue.arn, &missing);
    let error = destination.deliver(&large_record(3000)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.to_string().starts_with(&format!("arn:aws:s3:::{missing}: PutObject failed: ")), "{error}");
    backend.messages(&queue, 0).await;
}

async fn the_queues_limit_is_followed(backend: &Backend) {
    let queue = small_queue(backend).await;
    let destination = backend.destination(&queue.arn);
    let change = async |bytes: &str| {
        let set = backend.clients.sqs.set_queue_attributes().queue_url(&queue.url);
        set.attributes(QueueAttributeName::MaximumMessageSize, bytes).send().await.unwrap();
    };
    let record = large_record(3000);
    destination.deliver(&record).await.unwrap();
    assert!(backend.body(&queue).await.contains("payloadsOmitted"));

    change("8192").await;
    destination.deliver(&record).await.unwrap();
    assert_eq!(backend.body(&queue).await, record.to_json().unwrap(), "raised");

    // The limit that is remembered is 8192 now, so it is the queue's refusal that counts.
    change("1024").await;
    destination.deliver(&record).await.unwrap();
    let body: Value = serde_json::from_str(&backend.body(&queue).await).unwrap();
    assert_eq!(body, expected(&record, 1024), "lowered");
}

/// The record of a batch holds its range only, so there is nothing to keep elsewhere.
async fn a_batch_leaves_nothing_out(backend: &Backend) {
    let (queue, bucket) = (backend.queue().await, backend.bucket().await);
    let [mut record, _] = batches();
    let Subject::Batch { event, .. } = &mut record.subject else { panic!("{record:?}") };
    *event = format!("{{\"Records\":[\"{}\"]}}", "x".repeat(2_000_000)).into();
    backend.destination_with_overflow(&queue.arn, &bucket).deliver(&record).await.unwrap();
    assert_eq!(backend.body(&queue).await, batch_json(&record));
    assert!(backend.objects(&bucket).await.is_empty());

    backend.destination(&format!("arn:aws:s3:::{bucket}")).deliver(&record).await.unwrap();
    let objects: Vec<_> = backend.objects(&bucket).await.into_values().collect();
    assert_eq!(objects, [record.to_json_with_payload().unwrap()]);
    assert!(objects[0].len() > 2_000_000);
}

async fn a_topic_and_a_bus_take_256_kib(backend: &Backend) {
    let topic = backend.clients.sns.create_topic().name(name()).send().await.unwrap().topic_arn.unwrap();
    let bus = backend.clients.eventbridge.create_event_bus().name(name()).send().await.unwrap().event_bus_arn.unwrap();
    for arn in [topic, bus] {
        let bucket = backend.bucket().await;
        let destination = backend.destination_with_overflow(&arn, &bucket);
        // Resources, source and detail type count for a bus.
        destination.deliver(&large_record(260_900)).await.unwrap();
        assert!(backend.objects(&bucket).await.is_empty(), "{arn}");
        let record = large_record(262_144);
        destination.deliver(&record).await.unwrap();
        let objects = backend.objects(&bucket).await;
        assert_eq!(objects.into_values().collect::<Vec<_>>(), [record.to_json().unwrap()], "{arn}");
    }
}
