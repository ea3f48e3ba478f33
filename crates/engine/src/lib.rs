//! Polls, batches, invokes, reports and settles. Knows no AWS SDK.
