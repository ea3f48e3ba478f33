//! S3 buckets.
use pelton_core::Subject;
use uuid::Uuid;

use crate::support::{BATCH_EVENT, Backend, CONDITIONS, batch_json, batches, on_both, record};

on_both!(one_object_a_record, one_object_a_batch_with_its_event, a_repeated_delivery_leaves_one_object);

async fn one_object_a_record(backend: &Backend) {
    for condition in CONDITIONS {
        let bucket = backend.bucket().await;
        let record = record(condition);
        backend.destination(&format!("arn:aws:s3:::{bucket}")).deliver(&record).await.unwrap();
        let [(key, text)]: [_; 1] = backend.objects(&bucket).await.into_iter().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(text, record.to_json().unwrap());
        let start = format!("aws/lambda/{}/orders/2025/11/24/2025-11-24T23.11.12-", record.group());
        let id = key.strip_prefix(&start).expect(&key);
        id.parse::<Uuid>().expect("the key ends with a UUID");
    }
}

async fn one_object_a_batch_with_its_event(backend: &Backend) {
    for record in batches() {
        let bucket = backend.bucket().await;
        backend.destination(&format!("arn:aws:s3:::{bucket}")).deliver(&record).await.unwrap();
        let [(key, text)]: [_; 1] = backend.objects(&bucket).await.into_iter().collect::<Vec<_>>().try_into().unwrap();
        let json = batch_json(&record);
        let payload = serde_json::to_string(BATCH_EVENT).unwrap();
        assert_eq!(text, format!("{},\"payload\":{payload}}}", json.strip_suffix('}').unwrap()));
        let Subject::Batch { info, .. } = &record.subject else { panic!("{record:?}") };
        let start = format!("aws/lambda/{}/{}/2025/11/24/2025-11-24T23.11.12-", record.group(), info.shard);
        let id = key.strip_prefix(&start).expect(&key);
        id.parse::<Uuid>().expect("the key ends with a UUID");
    }
}

async fn a_repeated_delivery_leaves_one_object(backend: &Backend) {
    let bucket = backend.bucket().await;
    let destination = backend.destination(&format!("arn:aws:s3:::{bucket}"));
    let records: Vec<_> = CONDITIONS.map(record).into_iter().chain(batches()).collect();
    for record in records.iter().chain(&records) {
        destination.deliver(record).await.unwrap();
    }
    assert_eq!(backend.objects(&bucket).await.len(), 4);
}
