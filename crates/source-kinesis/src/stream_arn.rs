//! What a mapping's `EventSourceArn` names: a stream, or a consumer of one.
use pelton_core::Arn;

/// A stream, and the consumer that reads it if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamArn {
    /// `arn:aws:kinesis:us-east-1:000000000000:stream/orders`.
    pub stream: Arn,
    /// `arn:aws:kinesis:us-east-1:000000000000:stream/orders/consumer/billing:1700000000`: enhanced fan-out.
    pub consumer: Option<Arn>,
}

/// An ARN that names neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no Kinesis stream: write arn:aws:kinesis:REGION:ACCOUNT:stream/NAME, or the ARN of one of its consumers, \
     …:stream/NAME/consumer/CONSUMER:NUMBER"
)]
pub struct StreamArnError(pub Arn);

impl TryFrom<Arn> for StreamArn {
    type Error = StreamArnError;

    fn try_from(arn: Arn) -> Result<Self, StreamArnError> {
        let parts: Vec<&str> = arn.resource().split('/').collect();
        let stream = |name| Arn::new(arn.partition(), arn.service(), arn.region(), arn.account(), name);
        let found = match parts[..] {
            _ if arn.service() != "kinesis" || arn.region().is_empty() || arn.account().is_empty() => None,
            ["stream", name] if is_name(name) => Some(Self { stream: arn.clone(), consumer: None }),
            ["stream", name, "consumer", consumer] if is_name(name) && is_consumer(consumer) => {
                let stream = stream(&format!("stream/{name}")).ok();
                stream.map(|stream| Self { stream, consumer: Some(arn.clone()) })
            }
            _ => None,
        };
        found.ok_or(StreamArnError(arn))
    }
}

/// Names of streams and consumers: 1 to 128 of these characters (Kinesis API).
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it))
}

/// `CONSUMER:NUMBER`; the number is the time of its registration.
fn is_consumer(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, number)| {
        is_name(name) && !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(resource: &str) -> Result<StreamArn, StreamArnError> {
        StreamArn::try_from(Arn::new("aws", "kinesis", "us-east-1", "000000000000", resource).unwrap())
    }

    #[test]
    fn tells_a_stream_from_a_consumer_of_it() {
        let stream = read("stream/orders.v1").unwrap();
        assert_eq!(stream.consumer, None);
        let consumer = read("stream/orders.v1/consumer/billing:1700000000").unwrap();
        assert_eq!(consumer.stream, stream.stream);
        assert_eq!(consumer.consumer.unwrap().resource(), "stream/orders.v1/consumer/billing:1700000000");
    }

    #[test]
    fn refuses_what_is_neither() {
        let long = format!("stream/{}", "a".repeat(129));
        for resource in [
            "orders",
            "stream/",
            "stream/a/b",
            "stream/ä",
            "stream/orders/consumer/billing",
            "stream/orders/consumer/billing:",
            "stream/orders/consumer/billing:x",
            "stream/orders/consumer/:1",
            &long,
        ] {
            let error = read(resource).unwrap_err().to_string();
            assert!(error.contains(resource) && error.contains("stream/NAME"), "{error}");
        }
        let queue: Arn = "arn:aws:sqs:us-east-1:000000000000:stream/orders".parse().unwrap();
        assert!(StreamArn::try_from(queue).is_err());
    }
}
