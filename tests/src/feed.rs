//! A stream of either kind, for what both have in common.
use aws_sdk_dynamodb::types::AttributeValue;

use crate::{Backend, EventSource, Stream, Table};

/// The two kinds of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Kinesis stream.
    Kinesis,
    /// The stream of a DynamoDB table.
    DynamoDb,
}

impl Kind {
    /// The field of a failure record that holds the batch info.
    pub fn batch_info(self) -> &'static str {
        match self {
            Self::Kinesis => "KinesisBatchInfo",
            Self::DynamoDb => "DDBStreamBatchInfo",
        }
    }
}

/// A stream with one shard that takes texts under keys: as the data of records, or as the attribute `body` of items.
#[derive(Debug, Clone)]
pub enum Feed {
    /// Kinesis.
    Kinesis(Stream),
    /// DynamoDB.
    DynamoDb(Table),
}

impl EventSource for Feed {
    fn arn(&self) -> &str {
        match self {
            Self::Kinesis(stream) => stream.arn(),
            Self::DynamoDb(table) => table.arn(),
        }
    }
}

impl Backend {
    /// A stream of its own.
    pub async fn feed(&self, kind: Kind) -> Feed {
        match kind {
            Kind::Kinesis => Feed::Kinesis(self.stream(1).await),
            Kind::DynamoDb => Feed::DynamoDb(self.table().await),
        }
    }
}

impl Feed {
    /// Puts texts under one key. A text must differ from the one before it, or DynamoDB makes no record of it.
    pub async fn put(&self, key: &str, texts: impl IntoIterator<Item = impl ToString>) {
        self.put_all(texts.into_iter().map(|text| (key.to_owned(), text.to_string()))).await;
    }

    /// Puts texts, each under a key of its own, so that order is that of the shard only.
    pub async fn put_each(&self, texts: impl IntoIterator<Item = impl ToString>) {
        let keyed = texts.into_iter().map(|text| (uuid::Uuid::new_v4().to_string(), text.to_string()));
        self.put_all(keyed).await;
    }

    /// Puts keys and texts.
    pub async fn put_all(&self, records: impl IntoIterator<Item = (String, String)>) {
        match self {
            Self::Kinesis(stream) => {
                stream.put_all(records).await;
            }
            Self::DynamoDb(table) => {
                for (key, text) in records {
                    table.put(&key, [("body", AttributeValue::S(text))]).await;
                }
            }
        }
    }

    /// Deletes the stream, or its table.
    pub async fn delete(&self) {
        match self {
            Self::Kinesis(stream) => stream.delete().await,
            Self::DynamoDb(table) => table.delete().await,
        }
    }
}
