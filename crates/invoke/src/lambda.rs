//! The Lambda Invoke API.
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::StalledStreamProtectionConfig;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use pelton_core::{Call, FunctionName, InvokeError, Invoker, Response, TraceHeader};
use uuid::Uuid;

mod refusal;

/// Lambda's longest function timeout is 15 minutes (quota "Function timeout"); the margin is for cold starts.
const LONGEST_INVOCATION: Duration = Duration::from_secs(15 * 60 + 60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// Calls functions by the Lambda Invoke API, InvocationType RequestResponse, at whatever endpoint the client has.
///
/// That Lambda chooses the request id, whatever the call says. Makes one attempt a call: retrying is the engine's part,
/// because only the engine knows what another attempt costs.
pub struct LambdaInvoker {
    client: Client,
}

impl LambdaInvoker {
    /// Takes endpoint, region and credentials from the client; retries and timeouts are set here.
    pub fn new(client: Client) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(LONGEST_INVOCATION)
            .operation_attempt_timeout(LONGEST_INVOCATION)
            .operation_timeout(LONGEST_INVOCATION)
            .build();
        Self::with_timeouts(client, timeouts)
    }

    fn with_timeouts(client: Client, timeouts: TimeoutConfig) -> Self {
        let config = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // A function may well be silent for minutes and then answer.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self { client: Client::from_conf(config) }
    }
}

#[async_trait]
impl Invoker for LambdaInvoker {
    async fn call(&self, function: &FunctionName, call: Call) -> Result<Response, InvokeError> {
        let Call { payload, trace_header, client_context, wants_log, request_id: _ } = call;
        let trace = trace_header.map(|header| TraceHeader::received(Some(&header)));
        let output = self
            .client
            .invoke()
            .function_name(function.as_str())
            .invocation_type(InvocationType::RequestResponse)
            .set_client_context(client_context)
            .set_log_type(wants_log.then_some(LogType::Tail))
            .payload(Blob::new(payload))
            .customize()
            .mutate_request(move |request| {
                // Replaces the one that the SDK takes from Pelton's own environment, should it run as a function.
                if let Some(trace) = &trace {
                    request.headers_mut().insert(TRACE_HEADER, trace.as_str().to_owned());
                }
            })
            .send()
            .await
            .map_err(|error| refusal::invoke_error(function, &error))?;
        let request_id = output.request_id().map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        Ok(Response {
            request_id,
            status_code: u16::try_from(output.status_code).unwrap_or(200),
            executed_version: output.executed_version.unwrap_or_else(|| "$LATEST".to_owned()),
            function_error: output.function_error,
            payload: output.payload.map(|payload| Bytes::from(payload.into_inner())).unwrap_or_default(),
            log_tail: output.log_result.and_then(|log| BASE64.decode(log).ok()).map(Bytes::from),
        })
    }
}

#[cfg(test)]
mod tests;
