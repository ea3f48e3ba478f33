//! Tumbling windows (spec 17): which window a record belongs to, what the function is told, what its answer must hold.
//! Pure.
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use pelton_core::{Arn, OpenWindow, PartitionId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::batcher::MAXIMUM_PAYLOAD_BYTES;

/// The most bytes of state that a window may gather: 1 MB. A larger one ends its window early.
const MAXIMUM_STATE_BYTES: usize = 1_048_576;
/// The most that the last invocation of a window can be given: an event without records.
const LARGEST_STATE_BYTES: usize = MAXIMUM_PAYLOAD_BYTES - 1_024;

/// What is left free of an event for its state and for what else a window adds to it; nothing without a window.
pub(crate) fn reserve(length: Duration) -> usize {
    const FRAME: usize = 1_024;
    if length.is_zero() { 0 } else { MAXIMUM_STATE_BYTES + FRAME }
}

/// The first state of every window.
pub(crate) const NO_STATE: &str = "{}";

/// The first instant of the window that an arrival time falls into. Windows begin at multiples of their length since
/// 1970.
pub(crate) fn start_of(arrived_at: Timestamp, length: Duration) -> Timestamp {
    let length = i64::try_from(length.as_secs()).unwrap_or(i64::MAX).max(1);
    let second = arrived_at.as_second();
    // Rounded towards the past, also for fractions of a second before 1970, which no stream has.
    Timestamp::from_second(second - second.rem_euclid(length)).unwrap_or(arrived_at)
}

/// The first instant after a window.
pub(crate) fn end_of(start: Timestamp, length: Duration) -> Timestamp {
    start.saturating_add(length).unwrap_or(start)
}

/// A window that has just begun.
pub(crate) fn open(start: Timestamp) -> OpenWindow {
    OpenWindow { start, state: NO_STATE.into() }
}

/// Whether a window has gathered more state than it may.
pub(crate) fn is_too_large(window: &OpenWindow) -> bool {
    window.state.len() > MAXIMUM_STATE_BYTES
}

/// What makes an invocation one of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The window with its state so far.
    pub window: &'a OpenWindow,
    /// `TumblingWindowInSeconds`.
    pub length: Duration,
    /// The shard.
    pub shard: &'a PartitionId,
    /// The stream.
    pub stream: &'a Arn,
    /// Whether this is the window's last invocation.
    pub is_final: bool,
    /// Whether it ends before its time.
    pub is_early: bool,
}

/// The event: `Records`, and what AWS adds for a window, in AWS's order.
pub(crate) fn event(records: Bytes, call: Call<'_>) -> Bytes {
    let time = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (start, end) = (time(call.window.start), time(end_of(call.window.start, call.length)));
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let tail = format!(
        ",\"window\":{{\"start\":\"{start}\",\"end\":\"{end}\"}},\"state\":{},\"shardId\":{},\"eventSourceARN\":{},\
         \"isFinalInvokeForWindow\":{},\"isWindowTerminatedEarly\":{}}}",
        call.window.state,
        text(&call.shard.0),
        text(&call.stream.to_string()),
        call.is_final,
        call.is_early
    );
    let mut event = BytesMut::with_capacity(records.len() + tail.len());
    // Without the brace that closes `{"Records":[…]}`.
    event.put_slice(&records[..records.len().saturating_sub(1)]);
    event.put_slice(tail.as_bytes());
    event.freeze()
}

/// The state in a function's answer. An answer without one is a failed invocation; the text says what it lacks.
pub fn state_of(payload: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        state: Option<Box<RawValue>>,
    }
    let lacks = |what: &str| format!("a function of a tumbling window must return an object with its state: {what}");
    let answer: Answer = serde_json::from_slice(payload).map_err(|error| lacks(&error.to_string()))?;
    match answer.state.map(|state| state.get().to_owned()) {
        // It could never be handed to the window's last invocation.
        Some(state) if state.len() > LARGEST_STATE_BYTES => {
            Err(format!("the state of {} bytes is larger than an event can hold", state.len()))
        }
        Some(state) if state.starts_with('{') => Ok(state),
        Some(_) => Err(lacks("state is not an object")),
        None => Err(lacks("there is no state")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_begin_at_multiples_of_their_length() {
        let start = |text: &str, seconds| start_of(at(text), Duration::from_secs(seconds));
        assert_eq!(start("2020-12-09T07:05:59.999Z", 120), at("2020-12-09T07:04:00Z"));
        assert_eq!(start("2020-12-09T07:06:00Z", 120), at("2020-12-09T07:06:00Z"));
        assert_eq!(end_of(at("2020-12-09T07:04:00Z"), Duration::from_secs(120)), at("2020-12-09T07:06:00Z"));
    }

    #[test]
    fn the_event_has_lambdas_keys_in_lambdas_order() {
        let window = OpenWindow { start: at("2020-12-09T07:04:00Z"), state: "{\"sum\": 1}".into() };
        let call = Call {
            window: &window,
            length: Duration::from_secs(120),
            shard: &PartitionId("shardId-000000000006".into()),
            stream: &"arn:aws:kinesis:us-east-1:123456789012:stream/lambda-stream".parse().unwrap(),
            is_final: false,
            is_early: false,
        };
        assert_eq!(
            event(Bytes::from_static(b"{\"Records\":[{}]}"), call),
            "{\"Records\":[{}],\"window\":{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"2020-12-09T07:06:00Z\"},\"state\":\
             {\"sum\": 1},\"shardId\":\"shardId-000000000006\",\"eventSourceARN\":\"arn:aws:kinesis:us-east-1:123456789012:\
             stream/lambda-stream\",\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false}"
        );
    }

    #[test]
    fn an_answer_needs_a_state() {
        assert_eq!(state_of(b"{\"state\": {\"sum\":  2}, \"batchItemFailures\": []}").unwrap(), "{\"sum\":  2}");
        for answer in ["", "null", "{}", "[]", "\"x\"", "{\"state\":null}", "{\"state\":5}", "{\"state\":\"{}\"}", "{"]
        {
            let error = state_of(answer.as_bytes()).unwrap_err();
            assert!(error.contains("must return an object with its state"), "{answer}: {error}");
        }
    }
}
