//! A record as the function sees it: one element of `Records`, in AWS's key order (spec 3.2).
//!
//! The hot path of a stream, so it is written by hand: what is the same for all records of a shard is put together once,
//! and many records share one buffer.
use std::io;

use aws_sdk_kinesis::types::Record;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use pelton_core::{Arn, PartitionId};

/// Records share buffers of this size, so that a single one that is kept for long doesn't keep megabytes of others.
const BUFFER: usize = 64 * 1024;
/// What a record takes beside its key, sequence number and data, ARNs not counted.
const FRAME: usize = 300;

/// Writes the records of one shard.
#[derive(Debug)]
pub struct EventWriter {
    /// `","eventName":…`, up to the end.
    tail: Bytes,
    /// `},"eventSource":…,"eventID":"shardId-000000000000:`.
    middle: Bytes,
    buffer: BytesMut,
}

impl EventWriter {
    /// For a shard of a stream. `invoke_identity` is the function's execution role.
    ///
    /// # Errors
    /// None in practice: texts can always be written as JSON.
    pub fn new(stream: &Arn, shard: &PartitionId, invoke_identity: &str) -> serde_json::Result<Self> {
        let shard = serde_json::to_string(&shard.0)?;
        let shard = &shard[1..shard.len() - 1];
        let role = serde_json::to_string(invoke_identity)?;
        let region = serde_json::to_string(stream.region())?;
        let stream = serde_json::to_string(stream)?;
        Ok(Self {
            middle: Bytes::from(format!(r#"}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"{shard}:"#)),
            tail: Bytes::from(format!(
                r#"","eventName":"aws:kinesis:record","invokeIdentityArn":{role},"awsRegion":{region},"eventSourceARN":{stream}}}"#
            )),
            buffer: BytesMut::new(),
        })
    }

    /// The record's element of `Records`. The data is written in standard base64, byte for byte as it came.
    ///
    /// # Errors
    /// The sequence number isn't made of decimal digits, which no stream sends.
    pub fn write(&mut self, record: &Record) -> io::Result<Bytes> {
        let number = record.sequence_number();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("'{number}' is no sequence number")));
        }
        let key = record.partition_key.as_deref().unwrap_or_default();
        let data = record.data().as_ref();
        let encoded = data.len().div_ceil(3) * 4;
        // A control character in the key takes six bytes.
        let size = FRAME + self.middle.len() + self.tail.len() + key.len() * 6 + number.len() * 2 + encoded;
        if self.buffer.capacity() < size {
            self.buffer = BytesMut::with_capacity(size.max(BUFFER));
        }
        let out = &mut self.buffer;
        out.put_slice(br#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"#);
        put_text(out, key)?;
        out.put_slice(br#","sequenceNumber":""#);
        out.put_slice(number.as_bytes());
        out.put_slice(br#"","data":""#);
        let start = out.len();
        out.put_bytes(0, encoded);
        STANDARD.encode_slice(data, &mut out[start..]).map_err(io::Error::other)?;
        out.put_slice(br#"","approximateArrivalTimestamp":"#);
        put_time(out, record);
        out.put_slice(&self.middle);
        out.put_slice(number.as_bytes());
        out.put_slice(&self.tail);
        Ok(out.split().freeze())
    }
}

/// A JSON string.
fn put_text(out: &mut BytesMut, text: &str) -> io::Result<()> {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.put_u8(b'"');
        out.put_slice(text.as_bytes());
        out.put_u8(b'"');
        return Ok(());
    }
    Ok(serde_json::to_writer(out.writer(), text)?)
}

/// Epoch seconds with three decimals, as AWS writes them also when they are zeros.
fn put_time(out: &mut BytesMut, record: &Record) {
    let millis = record.approximate_arrival_timestamp().and_then(|time| time.to_millis().ok()).unwrap_or_default();
    let (sign, millis) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    let fraction = millis % 1_000;
    let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or_default();
    out.put_slice(sign.as_bytes());
    put_number(out, millis / 1_000);
    out.put_slice(&[b'.', digit(fraction / 100), digit(fraction / 10), digit(fraction)]);
}

fn put_number(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::{Blob, DateTime};
    use proptest::prelude::*;

    use super::*;

    const NUMBER: &str = "49590338271490256608559692538361571095921575989136588898";

    fn writer() -> EventWriter {
        let stream = "arn:aws:kinesis:us-east-1:111111111111:stream/my-stream".parse().unwrap();
        let role = "arn:aws:iam::111111111111:role/lambda-role";
        EventWriter::new(&stream, &PartitionId("shardId-000000000000".into()), role).unwrap()
    }

    fn record(key: &str, data: &[u8], millis: i64) -> Record {
        Record::builder()
            .sequence_number(NUMBER)
            .partition_key(key)
            .data(Blob::new(data))
            .approximate_arrival_timestamp(DateTime::from_millis(millis))
            .build()
            .unwrap()
    }

    fn json(record: &Record) -> String {
        String::from_utf8(writer().write(record).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_record_has_the_bytes_that_aws_writes() {
        assert_eq!(
            json(&record("test_0", b"hello", 1_545_084_650_987)),
            r#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"test_0","sequenceNumber":"49590338271490256608559692538361571095921575989136588898","data":"aGVsbG8=","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000000:49590338271490256608559692538361571095921575989136588898","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::111111111111:role/lambda-role","awsRegion":"us-east-1","eventSourceARN":"arn:aws:kinesis:us-east-1:111111111111:stream/my-stream"}"#
        );
    }

    #[test]
    fn the_arrival_time_always_has_three_decimals() {
        for (millis, text) in [
            (1_607_497_475_000, "1607497475.000"),
            (1_607_497_475_070, "1607497475.070"),
            (5, "0.005"),
            (0, "0.000"),
            (-1_500, "-1.500"),
        ] {
            let json = json(&record("k", b"", millis));
            assert!(json.contains(&format!(r#""data":"","approximateArrivalTimestamp":{text}}},"#)), "{json}");
        }
    }

    #[test]
    fn a_time_between_two_milliseconds_is_cut() {
        let mut record = record("k", b"", 0);
        record.approximate_arrival_timestamp = Some(DateTime::from_secs_and_nanos(1_607_497_475, 123_999_999));
        assert!(json(&record).contains(":1607497475.123}"));
    }

    #[test]
    fn a_sequence_number_that_is_none_is_refused() {
        for number in ["", "12a", "\"", "-1"] {
            let mut record = record("k", b"", 0);
            record.sequence_number = number.into();
            assert!(writer().write(&record).is_err(), "{number:?}");
        }
    }

    #[test]
    fn records_that_share_a_buffer_keep_apart() {
        let mut writer = writer();
        let records: Vec<Record> =
            (0..500).map(|i| record(&format!("key {i}"), &vec![b'x'; i * 7], i as i64)).collect();
        let events: Vec<Bytes> = records.iter().map(|record| writer.write(record).unwrap()).collect();
        for (record, event) in records.iter().zip(events) {
            assert_eq!(event, json(record));
        }
    }

    proptest! {
        #[test]
        fn any_key_and_any_data_arrive_as_they_were_put(
            key in "\\PC{0,40}|[\\x00-\\x7f]{0,40}",
            data in proptest::collection::vec(any::<u8>(), 0..200),
            millis in any::<i64>(),
        ) {
            let value: serde_json::Value = serde_json::from_str(&json(&record(&key, &data, millis))).unwrap();
            prop_assert_eq!(value["kinesis"]["partitionKey"].as_str(), Some(key.as_str()));
            let decoded = STANDARD.decode(value["kinesis"]["data"].as_str().unwrap()).unwrap();
            prop_assert_eq!(decoded, data);
            prop_assert!(value["kinesis"]["approximateArrivalTimestamp"].is_f64());
        }

        #[test]
        fn any_shard_and_role_give_json(shard in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", role in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let stream = "arn:aws:kinesis:us-east-1:111111111111:stream/my-stream".parse().unwrap();
            let mut writer = EventWriter::new(&stream, &PartitionId(shard.clone()), &role).unwrap();
            let event = writer.write(&record("k", b"d", 1)).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&event).unwrap();
            let id = format!("{shard}:{NUMBER}");
            prop_assert_eq!(value["eventID"].as_str(), Some(id.as_str()));
            prop_assert_eq!(value["invokeIdentityArn"].as_str(), Some(role.as_str()));
        }
    }
}
