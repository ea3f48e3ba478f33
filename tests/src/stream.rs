//! A Kinesis stream of a test.
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ConsumerStatus, PutRecordsRequestEntry, Shard, StreamStatus};

use crate::{Backend, EventSource};

/// Records of one PutRecords.
const RECORDS_OF_A_CALL: usize = 500;

/// One stream.
#[derive(Debug, Clone)]
pub struct Stream {
    /// To call it with.
    pub client: aws_sdk_kinesis::Client,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
}

impl EventSource for Stream {
    fn arn(&self) -> &str {
        &self.arn
    }
}

impl Backend {
    /// A Kinesis stream of its own, with this many shards, ready to take records.
    pub async fn stream(&self, shards: i32) -> Stream {
        self.create_stream(&Self::name("s"), shards).await
    }

    /// A stream with a name.
    pub async fn create_stream(&self, name: &str, shards: i32) -> Stream {
        let client = self.kinesis.clone();
        let stream = Stream { client, name: name.to_owned(), arn: Self::arn("kinesis", &format!("stream/{name}")) };
        // LocalStack starts its Kinesis at the first call, and makes a few streams at a time only.
        crate::eventually(&format!("{name} is created"), || async {
            let create = self.kinesis.create_stream().stream_name(name).shard_count(shards);
            match create.send().await {
                Ok(_) => true,
                Err(error) if error.as_service_error().is_some_and(|error| error.is_limit_exceeded_exception()) => {
                    false
                }
                Err(error) => panic!("{name} can't be created: {error:?}"),
            }
        })
        .await;
        stream.is_active().await;
        stream
    }
}

impl Stream {
    /// Puts a record, and gives its sequence number.
    pub async fn put(&self, key: &str, data: impl AsRef<[u8]>) -> String {
        let put = self.client.put_record().stream_name(&self.name).partition_key(key);
        put.data(Blob::new(data.as_ref())).send().await.unwrap().sequence_number
    }

    /// Puts keys and data, up to 500 a call, and gives their sequence numbers.
    pub async fn put_all<D: AsRef<[u8]>>(&self, records: impl IntoIterator<Item = (String, D)>) -> Vec<String> {
        let entry = |(key, data): (String, D)| {
            let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data.as_ref()));
            entry.build().unwrap()
        };
        let entries: Vec<PutRecordsRequestEntry> = records.into_iter().map(entry).collect();
        let mut numbers = Vec::new();
        for chunk in entries.chunks(RECORDS_OF_A_CALL) {
            let put = self.client.put_records().stream_name(&self.name).set_records(Some(chunk.to_vec()));
            let answer = put.send().await.unwrap();
            assert_eq!(answer.failed_record_count().unwrap_or_default(), 0, "{answer:?}");
            numbers.extend(answer.records.into_iter().map(|record| record.sequence_number.unwrap()));
        }
        numbers
    }

    /// Its shards, closed ones too where the backend keeps them, ordered by their ids.
    pub async fn shards(&self) -> Vec<Shard> {
        let mut shards = self.client.list_shards().stream_name(&self.name).send().await.unwrap().shards.unwrap();
        shards.sort_by(|one, other| one.shard_id.cmp(&other.shard_id));
        shards
    }

    /// Puts a record into a shard that takes records, whatever its key, and gives its sequence number.
    pub async fn put_to_shard(&self, shard: &str, key: &str, data: impl AsRef<[u8]>) -> String {
        let shards = self.shards().await;
        let range = shards.iter().find(|it| it.shard_id == shard).unwrap().hash_key_range.as_ref().unwrap();
        let put = self.client.put_record().stream_name(&self.name).partition_key(key).data(Blob::new(data.as_ref()));
        let put = put.explicit_hash_key(&range.starting_hash_key).send().await.unwrap();
        assert_eq!(put.shard_id, shard);
        put.sequence_number
    }

    /// Splits a shard in the middle of its hash keys.
    pub async fn split(&self, shard: &str) {
        let shards = self.shards().await;
        let range = shards.iter().find(|it| it.shard_id == shard).unwrap().hash_key_range.as_ref().unwrap();
        let number = |text: &str| text.parse::<u128>().unwrap();
        let (first, last) = (number(&range.starting_hash_key), number(&range.ending_hash_key));
        let middle = first + (last - first) / 2 + 1;
        let split = self.client.split_shard().stream_name(&self.name).shard_to_split(shard);
        split.new_starting_hash_key(middle.to_string()).send().await.unwrap();
        self.is_active().await;
    }

    /// Merges two neighbours.
    pub async fn merge(&self, shard: &str, adjacent: &str) {
        let merge = self.client.merge_shards().stream_name(&self.name).shard_to_merge(shard);
        merge.adjacent_shard_to_merge(adjacent).send().await.unwrap();
        self.is_active().await;
    }

    /// Registers a consumer for enhanced fan-out, and gives its ARN when it can subscribe.
    pub async fn consumer(&self) -> String {
        let register = self.client.register_stream_consumer().stream_arn(&self.arn);
        let registered = register.consumer_name(Backend::name("consumer")).send().await.unwrap();
        let arn = registered.consumer.unwrap().consumer_arn;
        crate::eventually(&format!("{arn} is active"), || async {
            let answer = self.client.describe_stream_consumer().consumer_arn(&arn).send().await.unwrap();
            answer.consumer_description.unwrap().consumer_status == ConsumerStatus::Active
        })
        .await;
        arn
    }

    /// Deletes it with its consumers, and waits until it is gone.
    pub async fn delete(&self) {
        let delete = self.client.delete_stream().stream_name(&self.name).enforce_consumer_deletion(true);
        delete.send().await.unwrap();
        crate::eventually(&format!("{} is gone", self.name), || async { self.status().await.is_none() }).await;
    }

    async fn status(&self) -> Option<StreamStatus> {
        let answer = self.client.describe_stream_summary().stream_name(&self.name).send().await.ok()?;
        Some(answer.stream_description_summary?.stream_status)
    }

    async fn is_active(&self) {
        let limit = Duration::from_secs(30);
        pelton_testkit::eventually(&format!("{} is active", self.name), limit, || async {
            self.status().await == Some(StreamStatus::Active)
        })
        .await;
    }
}
