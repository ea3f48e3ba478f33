//! Leases, checkpoints and window state: in memory, in SQLite, or in DynamoDB.
//!
//! All three keep the promises of [`pelton_core::Store`], and pass one suite (`pelton_testkit::store_suite`). They
//! differ in what outlives the process and in who else can reach it: nothing and nobody ([`MemoryStore`]), everything
//! and nobody ([`SqliteStore`]), everything and any number of replicas ([`DynamoDbStore`]).

mod dynamodb;
mod memory;
mod refusal;
mod sqlite;

pub use dynamodb::DynamoDbStore;
pub use memory::MemoryStore;
pub use sqlite::{OpenError, SqliteStore};
