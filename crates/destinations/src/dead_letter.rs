//! Dead-letter queues: the event that a function failed with, as it was, and three attributes that say why (spec 10.3).
use std::sync::Arc;

use async_trait::async_trait;
use pelton_core::{Arn, Destination, DestinationArn, DestinationError, ErrorKind, ExecutionRecord};

use crate::clients::Clients;
use crate::error::{Rejection, failed};
use crate::letter::Letter;
use crate::sns::Topic;
use crate::sqs::Queue;

/// Why an ARN can't be a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetterError {
    /// Neither queue nor topic.
    #[error("'{0}' takes no dead letters: name a standard SQS queue or a standard SNS topic")]
    Kind(Arn),
    /// Lambda sends nothing to FIFO queues and topics.
    #[error("'{0}' is FIFO, and dead letters go to standard queues and topics only: name a standard one")]
    Fifo(Arn),
}

/// The dead-letter queue behind the ARN of a standard SQS queue or SNS topic. Nothing is called before the first record
/// comes.
///
/// Of a record it sends the event alone, as it was, with the attributes `RequestID`, `ErrorCode` and `ErrorMessage`. An
/// event that is larger than the queue or topic takes is refused with [`ErrorKind::Payload`]: a part of it would be of no
/// use. AWS deletes such an event; whoever delivers here may go on trying until the limit is raised.
///
/// # Errors
/// For everything that takes no dead letters.
pub fn connect_dead_letter_queue(
    clients: &Clients,
    target: &DestinationArn,
) -> Result<Arc<dyn Destination>, DeadLetterError> {
    let arn = target.arn().clone();
    let clients = clients.for_delivery();
    match target {
        DestinationArn::Queue(_) | DestinationArn::Topic(_) if arn.resource().ends_with(".fifo") => {
            Err(DeadLetterError::Fifo(arn))
        }
        DestinationArn::Queue(_) => {
            Ok(Arc::new(DeadLetterQueue { mailbox: Queue::new(clients.sqs, arn.clone()), arn }))
        }
        DestinationArn::Topic(_) => {
            Ok(Arc::new(DeadLetterQueue { mailbox: Topic::new(clients.sns, arn.clone()), arn }))
        }
        DestinationArn::EventBus(_) | DestinationArn::Function(_) | DestinationArn::Bucket(_) => {
            Err(DeadLetterError::Kind(arn))
        }
    }
}

/// What takes letters.
#[async_trait]
pub trait Mailbox: Send + Sync + 'static {
    /// Sends one.
    async fn post(&self, letter: &Letter) -> Result<(), Rejection>;
}

struct DeadLetterQueue<M> {
    mailbox: M,
    arn: Arn,
}

#[async_trait]
impl<M: Mailbox> Destination for DeadLetterQueue<M> {
    async fn deliver(&self, record: &ExecutionRecord) -> Result<(), DestinationError> {
        let letter = Letter::of(record)
            .ok_or_else(|| failed(&self.arn, ErrorKind::Payload, "the record holds no event".to_owned()))?;
        Ok(self.mailbox.post(&letter).await?)
    }
}
