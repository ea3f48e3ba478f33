//! Makes a record fit into what its destination takes.
use async_trait::async_trait;
use pelton_core::{Arn, Destination, DestinationError, ErrorKind, ExecutionRecord};

use crate::error::{Rejection, failed};
use crate::omission::{Omission, without_payloads};
use crate::s3::Bucket;

/// What takes records up to a certain size.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// The destination's ARN.
    fn arn(&self) -> &Arn;

    /// How many bytes of JSON the destination takes for this record. A limit that is remembered, and smaller than
    /// `size`, is read again.
    async fn limit(&self, record: &ExecutionRecord, size: usize) -> Result<usize, DestinationError>;

    /// Sends the record, written as `json`.
    async fn send(&self, record: &ExecutionRecord, json: &str) -> Result<(), Rejection>;
}

/// A destination with a size limit. What is larger leaves its payloads out, after the whole record was put into the
/// overflow bucket if there is one.
pub struct Fitting<C> {
    channel: C,
    overflow: Option<Bucket>,
}

impl<C: Channel> Fitting<C> {
    pub fn new(channel: C, overflow: Option<Bucket>) -> Self {
        Self { channel, overflow }
    }

    async fn deliver_without_payloads(
        &self,
        record: &ExecutionRecord,
        whole: String,
        limit: Option<usize>,
    ) -> Result<(), DestinationError> {
        let size = whole.len();
        let kept = match &self.overflow {
            Some(bucket) => Some(bucket.keep(record, whole).await?),
            None => None,
        };
        let json =
            without_payloads(record, Omission::new(size, limit, kept)).map_err(|error| self.unwritable(&error))?;
        if let Some(limit) = limit.filter(|limit| json.len() > *limit) {
            let size = json.len();
            let message =
                format!("the record has {size} bytes even without its payloads, the destination takes {limit}");
            return Err(failed(self.channel.arn(), ErrorKind::Payload, message));
        }
        Ok(self.channel.send(record, &sendable(json)).await?)
    }

    fn unwritable(&self, error: &serde_json::Error) -> DestinationError {
        failed(self.channel.arn(), ErrorKind::Payload, format!("the record can't be written as JSON: {error}"))
    }
}

#[async_trait]
impl<C: Channel> Destination for Fitting<C> {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        let whole = sendable(record.to_json().map_err(|error| self.unwritable(&error))?);
        let limit = self.channel.limit(record, whole.len()).await?;
        if whole.len() > limit {
            // Nothing to leave out. The bucket would not make it smaller either.
            if !record.has_payloads() {
                let message = format!("the record has {} bytes, the destination takes {limit}", whole.len());
                return Err(failed(self.channel.arn(), ErrorKind::Payload, message));
            }
            return self.deliver_without_payloads(record, whole, Some(limit)).await;
        }
        match self.channel.send(record, &whole).await {
            Err(Rejection::TooLarge { limit, error }) => {
                // A refusal of something small must not be answered with something of the same size.
                if !record.has_payloads() {
                    return Err(error);
                }
                self.deliver_without_payloads(record, whole, limit).await
            }
            sent => Ok(sent?),
        }
    }
}

/// SQS, and what it feeds, refuse U+FFFE and U+FFFF. In JSON they stand inside strings only, where an escape means the
/// same.
pub fn sendable(json: String) -> String {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::omission::tests::{batch, record};
    use pelton_core::Condition;

    /// Says one limit and keeps another.
    struct Scripted {
        arn: Arn,
        said: usize,
        kept: usize,
        names_limit: bool,
        sent: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Channel for Scripted {
        fn arn(&self) -> &Arn {
            &self.arn
        }

        async fn limit(&self, _: &ExecutionRecord, _: usize) -> Result<usize, DestinationError> {
            Ok(self.said)
        }

        async fn send(&self, _: &ExecutionRecord, json: &str) -> Result<(), Rejection> {
            if json.len() > self.kept {
                let error = failed(&self.arn, ErrorKind::Payload, "too large".into());
                return Err(Rejection::TooLarge { limit: self.names_limit.then_some(self.kept), error });
            }
            self.sent.lock().unwrap().push(json.into());
            Ok(())
        }
    }

    fn fitting(said: usize, kept: usize, names_limit: bool) -> Fitting<Scripted> {
        let arn = "arn:aws:sqs:us-east-1:000000000000:records".parse().unwrap();
        Fitting::new(Scripted { arn, said, kept, names_limit, sent: Mutex::default() }, None)
    }

    fn sent(fitting: &Fitting<Scripted>) -> String {
        let [json] = fitting.channel.sent.lock().unwrap().clone().try_into().expect("one record is sent");
        json
    }

    #[tokio::test]
    async fn a_record_of_exactly_the_limit_is_sent_whole_and_one_byte_more_is_not() {
        let record = record(Condition::Success, &format!("\"{}\"", "x".repeat(2000)), "1");
        let whole = record.to_json().unwrap();
        let exact = fitting(whole.len(), whole.len(), true);
        exact.deliver(&record).await.unwrap();
        assert_eq!(sent(&exact), whole);

        let small = fitting(whole.len() - 1, usize::MAX, true);
        small.deliver(&record).await.unwrap();
        let omitted = sent(&small);
        assert!(
            omitted.contains(&format!("\"recordSize\":{},\"limit\":{}", whole.len(), whole.len() - 1)),
            "{omitted}"
        );
        assert!(!omitted.contains("Payload\""), "{omitted}");
    }

    #[tokio::test]
    async fn a_refusal_counts_more_than_the_limit_that_was_known() {
        let record = record(Condition::Success, &format!("\"{}\"", "x".repeat(2000)), "1");
        let named = fitting(10_000, 1_000, true);
        named.deliver(&record).await.unwrap();
        assert!(sent(&named).contains("\"limit\":1000"));
        let silent = fitting(10_000, 1_000, false);
        silent.deliver(&record).await.unwrap();
        assert!(sent(&silent).contains("refused it as too large"));
    }

    #[tokio::test]
    async fn what_never_fits_is_an_error_of_the_payload() {
        let record = record(Condition::Success, "1", "1");
        for (said, kept) in [(100, 100), (10_000, 100)] {
            let error = fitting(said, kept, true).deliver(&record).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Payload, "{error}");
            assert!(error.to_string().contains("even without its payloads, the destination takes 100"), "{error}");
        }
        let error = fitting(10_000, 100, false).deliver(&record).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Payload);
    }

    #[tokio::test]
    async fn a_batch_of_a_stream_has_no_payloads_to_leave_out() {
        let record = batch(Condition::RetryAttemptsExhausted);
        let whole = record.to_json().unwrap();
        let exact = fitting(whole.len(), whole.len(), true);
        exact.deliver(&record).await.unwrap();
        assert_eq!(sent(&exact), whole);

        let small = fitting(whole.len() - 1, usize::MAX, true);
        let error = small.deliver(&record).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Payload);
        let sizes = format!("the record has {} bytes, the destination takes {}", whole.len(), whole.len() - 1);
        assert!(error.to_string().ends_with(&sizes), "{error}");
        let refusing = fitting(usize::MAX, 100, false);
        assert_eq!(refusing.deliver(&record).await.unwrap_err().kind, ErrorKind::Payload);
        assert!(small.channel.sent.lock().unwrap().is_empty() && refusing.channel.sent.lock().unwrap().is_empty());
    }

    #[test]
    fn characters_that_queues_refuse_are_escaped() {
        assert_eq!(sendable("\"a\u{fffe}b\u{ffff}\"".into()), "\"a\\ufffeb\\uffff\"");
        assert_eq!(sendable("\"plain\"".into()), "\"plain\"");
    }
}
