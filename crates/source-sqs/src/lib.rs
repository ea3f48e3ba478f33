//! The SQS event source.
