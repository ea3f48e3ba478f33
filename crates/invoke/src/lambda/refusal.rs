//! What an error of the Invoke call asks of the engine.
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::invoke::InvokeError as ServiceError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use pelton_aws::classify;
use pelton_core::{ErrorKind, FunctionName, InvokeError};

/// The function is being created, updated or restored: nobody has to act, it only takes a while.
const NOT_READY_CODES: [&str; 3] =
    ["ResourceConflictException", "ResourceNotReadyException", "SnapStartNotReadyException"];

/// Translates the SDK's error. Whatever isn't an answer from Lambda is transient: the function may not have been asked,
/// or its answer got lost.
pub fn invoke_error(function: &FunctionName, error: &SdkError<ServiceError, HttpResponse>) -> InvokeError {
    let failure = classify(error);
    let is_not_ready = failure.code.as_deref().is_some_and(|code| NOT_READY_CODES.contains(&code));
    InvokeError {
        function: function.as_str().to_owned(),
        message: failure.message,
        kind: if is_not_ready { ErrorKind::Transient } else { failure.kind },
    }
}
