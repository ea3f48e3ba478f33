//! The versions of the schema, and the way from each to the next.
use rusqlite::{Connection, TransactionBehavior};

/// `PRAGMA application_id` of a Pelton store: "PLTN".
pub const APPLICATION: i64 = 0x504c_544e;

/// The first leads from an empty file to version 1, and so on.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../migrations/0001_shards.sql"),
    include_str!("../../migrations/0002_members.sql"),
    include_str!("../../migrations/0003_documents.sql"),
    include_str!("../../migrations/0004_events.sql"),
];

/// The version that this Pelton reads and writes.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings a database of an earlier version, 0 for an empty one, to [`VERSION`]: all or nothing.
pub fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    if from == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or_default()) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
