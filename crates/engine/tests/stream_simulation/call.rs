//! One invocation, as its event tells of it.
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

/// What the function is asked.
#[derive(Debug, Clone)]
pub struct Call {
    /// Sequence numbers.
    pub ids: Vec<u64>,
    /// The shard, which only windows tell.
    pub shard: Option<usize>,
    /// The first instant of the window.
    pub window: Option<Timestamp>,
    /// Sequence numbers that the state holds.
    pub state: Vec<u64>,
    pub is_final: bool,
    pub is_early: bool,
}

impl Call {
    pub fn of(event: &Value) -> Self {
        let records = event["Records"].as_array().into_iter().flatten();
        let state = event["state"]["ids"].as_array().into_iter().flatten();
        let shard = event["shardId"].as_str().and_then(|shard| shard.strip_prefix("shard-"));
        Self {
            ids: records.filter_map(|it| it["messageId"].as_str()?.parse().ok()).collect(),
            shard: shard.and_then(|shard| shard.parse().ok()),
            window: event["window"]["start"].as_str().and_then(|start| start.parse().ok()),
            state: state.filter_map(Value::as_u64).collect(),
            is_final: event["isFinalInvokeForWindow"] == Value::Bool(true),
            is_early: event["isWindowTerminatedEarly"] == Value::Bool(true),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.ids)?;
        if let Some(start) = self.window {
            write!(formatter, " of window {start} <- {:?}", self.state)?;
        }
        let ends = [(self.is_final, ", final"), (self.is_early, ", early")];
        ends.iter().filter(|(does, _)| *does).try_for_each(|(_, text)| formatter.write_str(text))
    }
}
