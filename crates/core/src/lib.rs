//! The vocabulary of Pelton and its seams: records, mappings, execution records, and the traits that every source,
//! invoker and destination implements. No I/O and no AWS SDK, so that everything above it builds and tests in seconds.

mod arn;
mod clock;
mod destination;
mod execution_record;
mod function_name;
mod invoker;
mod mapping;
mod record;
mod source;

pub use arn::{Arn, ArnError};
pub use clock::{Clock, SystemClock};
pub use destination::{Destination, DestinationError};
pub use execution_record::{Condition, ExecutionRecord, RequestContext, ResponseContext, SCHEMA_VERSION};
pub use function_name::{FunctionName, FunctionNameError};
pub use invoker::{InvokeError, Invoker, Response};
pub use mapping::{DestinationArn, DestinationArnError, Mapping, MappingId};
pub use record::{Cursor, Disposition, PartitionId, Polled, Receipt, Record, SettleError, Unsettled};
pub use source::{ErrorKind, Redelivery, Source, SourceError};
