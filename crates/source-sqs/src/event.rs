//! A message as the function sees it: one element of `Records`, in AWS's key order (spec 3.1).
use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName as Name};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pelton_core::Arn;
use serde::Serialize as DeriveSerialize;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// What AWS writes for `md5OfMessageAttributes` when a message has no attributes: it depends on the batching window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentMd5 {
    /// Window 0: the key is absent.
    Absent,
    /// Window of a second or more: the key is there, with `null`.
    Null,
}

/// The message's element of `Records`, as JSON. `None` for a message without id or receipt handle, which no queue
/// sends.
pub fn event(message: &Message, queue: &Arn, absent_md5: AbsentMd5) -> Option<Result<Bytes, serde_json::Error>> {
    let md5 =
        message.md5_of_message_attributes().filter(|_| message.message_attributes().is_some_and(|it| !it.is_empty()));
    let element = Element {
        message_id: message.message_id()?,
        receipt_handle: message.receipt_handle()?,
        body: message.body().unwrap_or_default(),
        attributes: SystemAttributes(message.attributes()),
        message_attributes: message
            .message_attributes()
            .map(|attributes| attributes.iter().map(|(name, value)| (name.as_str(), Attribute::from(value))).collect())
            .unwrap_or_default(),
        md5_of_message_attributes: match (md5, absent_md5) {
            (Some(md5), _) => Some(Some(md5)),
            (None, AbsentMd5::Null) => Some(None),
            (None, AbsentMd5::Absent) => None,
        },
        md5_of_body: message.md5_of_body().unwrap_or_default(),
        event_source: "aws:sqs",
        event_source_arn: queue,
        aws_region: queue.region(),
    };
    Some(serde_json::to_vec(&element).map(Bytes::from))
}

#[derive(DeriveSerialize)]
#[serde(rename_all = "camelCase")]
struct Element<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: SystemAttributes<'a>,
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<Option<&'a str>>,
    md5_of_body: &'a str,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a Arn,
    aws_region: &'a str,
}

/// In AWS's order: what every message has, then what FIFO queues add, then whatever else came.
struct SystemAttributes<'a>(Option<&'a HashMap<Name, String>>);

impl Serialize for SystemAttributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const ORDER: [Name; 7] = [
            Name::ApproximateReceiveCount,
            Name::SentTimestamp,
            Name::SenderId,
            Name::ApproximateFirstReceiveTimestamp,
            Name::SequenceNumber,
            Name::MessageGroupId,
            Name::MessageDeduplicationId,
        ];
        let mut map = serializer.serialize_map(None)?;
        let Some(attributes) = self.0 else { return map.end() };
        for name in &ORDER {
            if let Some(value) = attributes.get(name) {
                map.serialize_entry(name.as_str(), value)?;
            }
        }
        let others: BTreeMap<&str, &String> = attributes
            .iter()
            .filter(|(name, _)| !ORDER.contains(name))
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        for (name, value) in others {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(DeriveSerialize)]
#[serde(rename_all = "camelCase")]
struct Attribute<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
    /// Always there on AWS, always empty: SQS has no list values.
    string_list_values: [(); 0],
    binary_list_values: [(); 0],
    data_type: &'a str,
}

impl<'a> From<&'a MessageAttributeValue> for Attribute<'a> {
    fn from(value: &'a MessageAttributeValue) -> Self {
        Self {
            string_value: value.string_value(),
            binary_value: value.binary_value().map(|bytes| STANDARD.encode(bytes)),
            string_list_values: [],
            binary_list_values: [],
            data_type: value.data_type(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::primitives::Blob;
    use proptest::prelude::*;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:111111111111:my-queue";

    fn message() -> aws_sdk_sqs::types::builders::MessageBuilder {
        Message::builder()
            .message_id("059f36b4-87a3-44ab-83d2-661975830a7d")
            .receipt_handle("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a")
            .body("{\"foo\":  1e3, \"b\": \"é\"}")
            .md5_of_body("e4e68fb7bd0e697a0ae8f1bb342846b3")
            .attributes(Name::SenderId, "AIDAIENQZJOLO23YVJ4VO")
            .attributes(Name::ApproximateFirstReceiveTimestamp, "1545082649185")
            .attributes(Name::SentTimestamp, "1545082649183")
            .attributes(Name::ApproximateReceiveCount, "1")
    }

    fn json(message: &Message, absent: AbsentMd5) -> String {
        String::from_utf8(event(message, &QUEUE.parse().unwrap(), absent).unwrap().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_plain_message() {
        assert_eq!(
            json(&message().build(), AbsentMd5::Absent),
            r#"{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a","body":"{\"foo\":  1e3, \"b\": \"é\"}","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082649183","SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185"},"messageAttributes":{},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:111111111111:my-queue","awsRegion":"us-east-1"}"#
        );
    }

    #[test]
    fn with_a_window_the_md5_of_no_attributes_is_null() {
        assert_eq!(
            json(&message().build(), AbsentMd5::Null),
            r#"{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a","body":"{\"foo\":  1e3, \"b\": \"é\"}","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082649183","SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185"},"messageAttributes":{},"md5OfMessageAttributes":null,"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:111111111111:my-queue","awsRegion":"us-east-1"}"#
        );
    }

    #[test]
    fn a_fifo_message_with_attributes_of_every_kind() {
        let text = |value: &str, kind: &str| {
            MessageAttributeValue::builder().data_type(kind).string_value(value).build().unwrap()
        };
        let binary =
            MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255])).build().unwrap();
        let message = message()
            .attributes(Name::AwsTraceHeader, "Root=1-5759e988-bd862e3fe1be46a994272793")
            .attributes(Name::DeadLetterQueueSourceArn, "arn:aws:sqs:us-east-1:111111111111:other")
            .attributes(Name::MessageGroupId, "g")
            .attributes(Name::SequenceNumber, "18849496460467696128")
            .attributes(Name::MessageDeduplicationId, "d")
            .message_attributes("WeeksOn", text("6", "Number"))
            .message_attributes("Title", text("The Whistler", "String"))
            .message_attributes("Raw", binary)
            .md5_of_message_attributes("d25a6aea97eb8f585bfa92d314504a92")
            .build();
        assert_eq!(
            json(&message, AbsentMd5::Null),
            r#"{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a","body":"{\"foo\":  1e3, \"b\": \"é\"}","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082649183","SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185","SequenceNumber":"18849496460467696128","MessageGroupId":"g","MessageDeduplicationId":"d","AWSTraceHeader":"Root=1-5759e988-bd862e3fe1be46a994272793","DeadLetterQueueSourceArn":"arn:aws:sqs:us-east-1:111111111111:other"},"messageAttributes":{"Raw":{"binaryValue":"AP8=","stringListValues":[],"binaryListValues":[],"dataType":"Binary"},"Title":{"stringValue":"The Whistler","stringListValues":[],"binaryListValues":[],"dataType":"String"},"WeeksOn":{"stringValue":"6","stringListValues":[],"binaryListValues":[],"dataType":"Number"}},"md5OfMessageAttributes":"d25a6aea97eb8f585bfa92d314504a92","md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:111111111111:my-queue","awsRegion":"us-east-1"}"#
        );
    }

    proptest! {
        #[test]
        fn any_body_arrives_as_it_was_sent(body in "\\PC{0,80}|[\\x00-\\x7f]{0,40}") {
            let text = json(&message().body(&body).build(), AbsentMd5::Absent);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value["body"].as_str(), Some(body.as_str()));
        }
    }
}
