//! S3 buckets.
use uuid::Uuid;

use crate::support::{Backend, CONDITIONS, on_both, record};

on_both!(one_object_a_record, a_repeated_delivery_leaves_one_object);

async fn one_object_a_record(backend: &Backend) {
    for condition in CONDITIONS {
        let bucket = backend.bucket().await;
        let record = record(condition);
        backend.destination(&format!("arn:aws:s3:::{bucket}")).deliver(&record).await.unwrap();
        let [(key, text)]: [_; 1] = backend.objects(&bucket).await.into_iter().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(text, record.to_json().unwrap());
        let start = format!("aws/lambda/{}/orders/2025/11/24/2025-11-24T23.11.12-", record.mapping);
        let id = key.strip_prefix(&start).expect(&key);
        id.parse::<Uuid>().expect("the key ends with a UUID");
    }
}

async fn a_repeated_delivery_leaves_one_object(backend: &Backend) {
    let bucket = backend.bucket().await;
    let destination = backend.destination(&format!("arn:aws:s3:::{bucket}"));
    let records = CONDITIONS.map(record);
    for record in records.iter().chain(&records) {
        destination.deliver(record).await.unwrap();
    }
    assert_eq!(backend.objects(&bucket).await.len(), 2);
}
