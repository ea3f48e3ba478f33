//! What arrived at a destination.
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::time::Instant;

use crate::text;

/// Characters of a payload that are shown.
const LINE: usize = 90;

/// Reads execution records from a queue until as many as expected are there, and a moment longer to notice too many.
pub async fn read(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    expected: usize,
    limit: Duration,
) -> anyhow::Result<Vec<Value>> {
    let mut records = Vec::new();
    let deadline = Instant::now() + limit;
    loop {
        let enough = records.len() >= expected;
        let call = sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let received = call.wait_time_seconds(i32::from(!enough)).send().await.context("reading a destination")?;
        if received.messages().is_empty() && (enough || Instant::now() >= deadline) {
            return Ok(records);
        }
        for message in received.messages() {
            records.push(unwrap(serde_json::from_str(message.body().unwrap_or_default())?)?);
            let delete =
                sqs.delete_message().queue_url(url).receipt_handle(message.receipt_handle().unwrap_or_default());
            delete.send().await.context("deleting a record that was read")?;
        }
    }
}

/// A topic and a bus put an envelope around what they are given.
fn unwrap(body: Value) -> anyhow::Result<Value> {
    match (&body["Message"], &body["detail"]) {
        (Value::String(message), _) => Ok(serde_json::from_str(message)?),
        (_, detail @ Value::Object(_)) => Ok(detail.clone()),
        _ => Ok(body),
    }
}

/// A record, with its payloads cut down to what fits on a line.
pub fn shown(record: &Value) -> String {
    let context = &record["requestContext"];
    let messages = record["requestPayload"]["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = messages.first().map(|message| text(message, "body")).unwrap_or_default();
    let attempts = context["approximateInvokeCount"].as_u64().unwrap_or_default();
    [
        format!("      condition        {} at attempt {attempts}", text(context, "condition")),
        format!("      requestId        {}", text(context, "requestId")),
        match messages.len() {
            1 => format!("      requestPayload   one message: {}", short(first)),
            many => format!("      requestPayload   {many} messages, the first: {}", short(first)),
        },
        format!("      responseContext  {}", record["responseContext"]),
        format!("      responsePayload  {}", short(&record["responsePayload"].to_string())),
    ]
    .join("\n")
}

fn short(text: &str) -> String {
    if text.chars().count() > LINE {
        format!("{}…", text.chars().take(LINE).collect::<String>())
    } else {
        text.into()
    }
}
