//! `pelton invoke`: has a running Pelton invoke a function.
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::BehaviorVersion;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::{Credentials, StalledStreamProtectionConfig};
use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use crate::output;

/// The function failed.
const FAILED: u8 = 1;
/// Exit status where nothing answers, or what was asked for can't be used.
pub const UNUSABLE: u8 = 2;
/// A function's longest timeout is 15 minutes (quota "Function timeout"); the margin is for a start.
const LONGEST_INVOCATION: Duration = Duration::from_secs(16 * 60);

/// What follows the options in the long help.
pub const HELP: &str = "\
Examples:
  pelton invoke work --payload '{\"id\": 7}'
  pelton invoke work --payload @event.json --async

What the function returns is printed as it is. With --async it is the id of
the request, which the function is told at every attempt: `pelton events show`
tells about it while it waits.

Signed with the credentials that the AWS rules give (AWS_PROFILE and so on),
which counts where pelton.yaml has `Authentication`.

Exit status: 0 done, 1 the function failed, 2 if nothing answers, or the
function or the payload can't be used.";

/// The command line of `pelton invoke`.
#[derive(Debug, Args)]
pub struct InvokeArguments {
    /// Its name or ARN, with or without :qualifier
    function: String,
    /// The event as JSON, or @ and a file
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    payload: String,
    /// Don't wait for it: the event is queued, and retried if the function fails
    #[arg(long = "async")]
    asynchronously: bool,
    /// A version or alias
    #[arg(long)]
    qualifier: Option<String>,
    /// Print the end of the invocation's log to stderr
    #[arg(long, conflicts_with = "asynchronously")]
    log: bool,
    /// Where pelton listens
    #[arg(long, default_value = "http://127.0.0.1:9400")]
    url: String,
}

/// Invokes once.
pub async fn invoke(arguments: InvokeArguments) -> anyhow::Result<ExitCode> {
    let payload = super::filter::text_of(&arguments.payload, "payload")?;
    let kind = if arguments.asynchronously { InvocationType::Event } else { InvocationType::RequestResponse };
    let invoked = client(&arguments.url)
        .await
        .invoke()
        .function_name(&arguments.function)
        .set_qualifier(arguments.qualifier)
        .invocation_type(kind)
        .set_log_type(arguments.log.then_some(LogType::Tail))
        .payload(Blob::new(payload))
        .send()
        .await
        .map_err(|error| explain(&error, &arguments.url))?;
    if arguments.asynchronously {
        output::print(&format!("{}\n", invoked.request_id().unwrap_or("?")))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(log) = &invoked.log_result {
        let log = STANDARD.decode(log).context("the log is no Base64")?;
        output::print_beside(&String::from_utf8_lossy(&log));
    }
    let payload = invoked.payload.map(Blob::into_inner).unwrap_or_default();
    output::print(&format!("{}\n", String::from_utf8_lossy(&payload)))?;
    match invoked.function_error {
        Some(error) => {
            output::print_error(&format!("the function failed: {error}"));
            Ok(ExitCode::from(FAILED))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

async fn client(url: &str) -> Client {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let loaded = aws_config::defaults(BehaviorVersion::latest()).load().await;
    // Where nothing asks for a signature, any will do.
    let credentials = match loaded.credentials_provider() {
        Some(provider) => {
            use aws_sdk_lambda::config::ProvideCredentials as _;
            provider.provide_credentials().await.ok()
        }
        None => None,
    };
    let credentials = credentials.unwrap_or_else(|| Credentials::new("pelton", "pelton", None, None, "pelton"));
    let timeouts = TimeoutConfig::builder().operation_timeout(LONGEST_INVOCATION).build();
    let region = loaded.region().cloned().unwrap_or_else(|| aws_sdk_lambda::config::Region::new("us-east-1"));
    let config = aws_sdk_lambda::config::Builder::from(&loaded)
        .endpoint_url(url.trim_end_matches('/'))
        .region(region)
        .credentials_provider(credentials)
        // A function that was invoked must not be invoked again because its answer got lost.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

fn explain(
    error: &aws_sdk_lambda::error::SdkError<aws_sdk_lambda::operation::invoke::InvokeError>,
    url: &str,
) -> anyhow::Error {
    use aws_sdk_lambda::error::ProvideErrorMetadata as _;
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow::anyhow!("{code}: {message}"),
        _ => anyhow::anyhow!(
            "can't ask {url}: is `pelton run` running there, and is this the `Listen` of its pelton.yaml? {}",
            DisplayErrorContext(error)
        ),
    }
}
