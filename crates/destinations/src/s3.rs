//! An S3 bucket: one object a record (spec 8.2).
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use pelton_core::{Arn, Destination, DestinationError, ErrorKind, ExecutionRecord, Origin, Subject};

use crate::error::{failed, rejection};
use crate::identity;
use crate::omission::Kept;

/// A bucket, as a destination or for records that are too large for theirs.
#[derive(Debug)]
pub struct Bucket {
    client: Client,
    arn: Arn,
}

impl Bucket {
    pub fn new(client: Client, arn: Arn) -> Self {
        Self { client, arn }
    }

    /// Puts the record's JSON into the bucket. Repeated for the same record, it replaces the object.
    pub async fn keep(&self, record: &ExecutionRecord, json: String) -> Result<Kept, DestinationError> {
        let key = key(record).map_err(|error| {
            let message = format!("the record's timestamp '{}' can't be read: {error}", record.timestamp);
            failed(&self.arn, ErrorKind::Payload, message)
        })?;
        self.client
            .put_object()
            .bucket(self.arn.resource())
            .key(&key)
            .content_type("application/json")
            .body(ByteStream::from(json.into_bytes()))
            .send()
            .await
            .map_err(|error| rejection(&self.arn, "PutObject", &error))?;
        Ok(Kept { bucket: self.arn.resource().to_owned(), key })
    }
}

#[async_trait]
impl Destination for Bucket {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        let json = record.to_json_with_payload().map_err(|error| {
            failed(&self.arn, ErrorKind::Payload, format!("the record can't be written as JSON: {error}"))
        })?;
        self.keep(record, json).await.map(drop)
    }
}

/// `aws/lambda/<mapping>/<shard>/<YYYY/MM/DD>/<YYYY-MM-DDTHH.MM.SS>-<UUID>`; the source's name stands in place of the
/// shard where the record is of a batch of messages. That of an asynchronous invocation is
/// `aws/lambda/async/<function>/<YYYY/MM/DD>/<YYYY-MM-DDTHH.MM.SS>-<UUID>`. AWS's UUID is random; this one is the
/// record's, so that a repeated delivery leaves one object.
fn key(record: &ExecutionRecord) -> Result<String, jiff::Error> {
    let at: jiff::Timestamp = record.timestamp.parse()?;
    let (day, second) = (at.strftime("%Y/%m/%d"), at.strftime("%Y-%m-%dT%H.%M.%S"));
    let function = record.request_context.function_arn.resource();
    let place = match (&record.subject, &record.origin) {
        (Subject::Batch { info, .. }, _) => &info.shard.0,
        (Subject::Invocation { .. }, Origin::Mapping { source, .. }) => source.resource(),
        (Subject::Invocation { .. }, Origin::Event { .. }) => function.split(':').nth(1).unwrap_or(function),
    };
    Ok(format!("aws/lambda/{}/{place}/{day}/{second}-{}", record.group(), identity::id(record)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::omission::tests::{batch, record};
    use pelton_core::Condition;

    #[test]
    fn the_key_says_mapping_source_and_time() {
        let record = record(Condition::RetriesExhausted, "1", "2");
        let (mapping, id) = (record.group(), identity::id(&record));
        assert_eq!(key(&record).unwrap(), format!("aws/lambda/{mapping}/orders/2025/11/24/2025-11-24T23.11.12-{id}"));
    }

    #[test]
    fn the_key_of_a_batch_names_its_shard() {
        let record = batch(Condition::RetryAttemptsExhausted);
        let (mapping, id) = (record.group(), identity::id(&record));
        assert_eq!(
            key(&record).unwrap(),
            format!("aws/lambda/{mapping}/shardId-000000000000/2025/11/24/2025-11-24T23.11.12-{id}")
        );
    }

    #[test]
    fn the_keys_time_is_in_utc() {
        let mut record = record(Condition::RetriesExhausted, "1", "2");
        record.timestamp = "2025-01-01T01:30:00.000+02:00".into();
        assert!(key(&record).unwrap().contains("/2024/12/31/2024-12-31T23.30.00-"));
        record.timestamp = "yesterday".into();
        key(&record).unwrap_err();
    }
}
