//! Calls functions: the Lambda Invoke API, and local processes behind the Lambda Runtime API.
