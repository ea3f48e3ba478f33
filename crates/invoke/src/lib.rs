//! Calls functions: the Lambda Invoke API, and local processes behind the Lambda Runtime API.

mod lambda;
mod process;
mod reserved;

pub use lambda::LambdaInvoker;
pub use process::{
    Launch, MAXIMUM_RESPONSE_BYTES, ProcessFunction, ProcessSettings, ProcessStatus, Runtime, RuntimeError, StartError,
};
pub use reserved::Reserved;
