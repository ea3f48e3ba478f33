//! The vocabulary of Pelton and its seams: records, mappings, execution records, and the traits that every source,
//! invoker and destination implements. No I/O and no AWS SDK, so that everything above it builds and tests in seconds.

mod arn;
mod clock;
mod destination;
mod documents;
mod event_invoke_config;
mod event_queue;
mod execution_record;
mod function_name;
mod invoker;
mod mapping;
mod partition;
mod record;
mod source;
mod store;
mod trace;

pub use arn::{Arn, ArnError};
pub use clock::{Clock, SystemClock};
pub use destination::{Destination, DestinationError};
pub use documents::{Document, Documents, LARGEST_DOCUMENT};
pub use event_invoke_config::EventInvokeConfig;
pub use event_queue::{AsyncEvent, Due, EventId, EventQueue, EventSummary, Waiting};
pub use execution_record::{
    BatchInfo, Condition, ExecutionRecord, Origin, RequestContext, ResponseContext, SCHEMA_VERSION, StreamKind, Subject,
};
pub use function_name::{FunctionName, FunctionNameError};
pub use invoker::{Call, InvokeError, Invoker, Response};
pub use mapping::{DestinationArn, DestinationArnError, Mapping, MappingId, StartingPosition, StreamSettings};
pub use partition::{Listing, Partition, PartitionId, Position, SequenceNumber, SequenceNumberError};
pub use record::{Cursor, Disposition, Polled, Receipt, Record, SettleError, Unsettled};
pub use source::{ErrorKind, Redelivery, Source, SourceError};
pub use store::{Checkpoint, Lane, Lease, NewShard, OpenWindow, OwnerId, ShardState, Store, StoreError, StreamId};
pub use trace::TraceHeader;
