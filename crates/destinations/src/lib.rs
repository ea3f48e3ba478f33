//! Delivers execution records to SQS, SNS, EventBridge, Lambda and S3.
