//! A Lambda function: invoked asynchronously, the record is its event.
use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use pelton_core::{Arn, DestinationError, ErrorKind, ExecutionRecord, Origin};

use crate::error::{Rejection, failed, rejection};
use crate::size::Channel;

/// Lambda quota "Invocation payload", asynchronous: 1 MiB. Where it is less, Lambda's refusal says so.
pub const LIMIT: usize = 1_048_576;
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// A function, a version or an alias.
#[derive(Debug)]
pub struct Function {
    client: Client,
    arn: Arn,
}

impl Function {
    pub fn new(client: Client, arn: Arn) -> Self {
        Self { client, arn }
    }
}

#[async_trait]
impl Channel for Function {
    fn arn(&self) -> &Arn {
        &self.arn
    }

    async fn limit(&self, _: &ExecutionRecord, _: usize) -> Result<usize, DestinationError> {
        Ok(LIMIT)
    }

    async fn send(&self, record: &ExecutionRecord, json: &str) -> Result<(), Rejection> {
        let trace = match &record.origin {
            Origin::Event { trace } => Some(trace.next_hop()),
            Origin::Mapping { .. } => None,
        };
        let invoked = self
            .client
            .invoke()
            .function_name(self.arn.to_string())
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(json))
            .customize()
            .mutate_request(move |request| {
                // Should it be no header, Lambda begins a trace of its own.
                if let Some(trace) = &trace {
                    let _unusable = request.headers_mut().try_insert(TRACE_HEADER, trace.as_str().to_owned());
                }
            })
            .send()
            .await
            .map_err(|error| rejection(&self.arn, "Invoke", &error))?;
        match invoked.function_error {
            // Asynchronous calls carry no function error, except from an emulator that runs the function at once.
            Some(function_error) => {
                let message = format!("Invoke failed: the function answered with an error ({function_error})");
                Err(Rejection::Other(failed(&self.arn, ErrorKind::Transient, message)))
            }
            None => Ok(()),
        }
    }
}
