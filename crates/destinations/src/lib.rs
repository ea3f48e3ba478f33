//! Delivers execution records to SQS queues, SNS topics, EventBridge buses, Lambda functions and S3 buckets.
//!
//! Each kind of destination is one file that knows how to wrap a record (spec 8.2 and 10.2) and how large it may be;
//! `size.rs` makes a record fit, `s3.rs` is also where records go that are too large for their destination. Dead-letter
//! queues get another thing, `letter.rs`, through the same queues and topics.
use std::sync::Arc;

use pelton_core::{Arn, Destination, DestinationArn};

mod clients;
mod dead_letter;
mod error;
mod eventbridge;
mod identity;
mod lambda;
mod letter;
mod local;
mod omission;
mod s3;
mod size;
mod sns;
mod sqs;

pub use clients::Clients;
pub use dead_letter::{DeadLetterError, connect_dead_letter_queue};
pub use local::{Accept, connect_local};

use size::Fitting;

/// The destination behind an ARN. Nothing is called before the first record comes.
///
/// A record that is larger than the destination takes is sent without its payloads and says so in `payloadsOmitted`.
/// With an `overflow_bucket`, the whole record is put there first.
pub fn connect(clients: &Clients, destination: &DestinationArn, overflow_bucket: Option<&Arn>) -> Arc<dyn Destination> {
    let arn = destination.arn().clone();
    let clients = clients.for_delivery();
    let overflow = overflow_bucket.map(|bucket| s3::Bucket::new(clients.s3.clone(), bucket.clone()));
    match destination {
        DestinationArn::Queue(_) => Arc::new(Fitting::new(sqs::Queue::new(clients.sqs, arn), overflow)),
        DestinationArn::Topic(_) => Arc::new(Fitting::new(sns::Topic::new(clients.sns, arn), overflow)),
        DestinationArn::EventBus(_) => {
            Arc::new(Fitting::new(eventbridge::Bus::new(clients.eventbridge, arn), overflow))
        }
        DestinationArn::Function(_) => Arc::new(Fitting::new(lambda::Function::new(clients.lambda, arn), overflow)),
        DestinationArn::Bucket(_) => Arc::new(s3::Bucket::new(clients.s3, arn)),
    }
}
