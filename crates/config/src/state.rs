//! The rules of `State`.
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::configuration::{DEFAULT_LEASE_RENEWAL, DEFAULT_STATE_FILE, State};
use crate::event_source::is_table_name;
use crate::section::Section;
use crate::wire;

/// Checks `State`, which stands in the section under that name. `None` if something of it is wrong, now or before.
/// `directory` is that of the file.
pub(crate) fn check(wire: wire::State, directory: &Path, section: &mut Section<'_>) -> Option<State> {
    let written: Vec<&str> =
        ["Sqlite", "Memory", "DynamoDB"].into_iter().filter(|kind| section.node.at(kind).is_some()).collect();
    match written[..] {
        [] => {
            // A misspelt one has been reported.
            if section.is_good() {
                let message = "State says none of Sqlite, Memory and DynamoDB";
                section.problem("", message, "write one of them, such as Sqlite: {Path: pelton.db}, or remove State");
            }
            return None;
        }
        [_] => {}
        _ => {
            let message = format!("{} exclude each other", written.join(" and "));
            section.problem("", message, "keep one of them");
            return None;
        }
    }
    let state = match (wire.sqlite, wire.memory, wire.dynamo_db) {
        (Some(sqlite), _, _) => Some(State::Sqlite { path: path(sqlite.path.as_deref(), directory, section) }),
        (_, Some(wire::Memory {}), _) => Some(State::Memory),
        (_, _, Some(dynamo_db)) => table(dynamo_db, section),
        (None, None, None) => None,
    };
    state.filter(|_| section.is_good())
}

/// The state where the file says nothing of it.
pub(crate) fn default(directory: &Path) -> State {
    State::Sqlite { path: directory.join(DEFAULT_STATE_FILE) }
}

fn path(path: Option<&str>, directory: &Path, section: &mut Section<'_>) -> PathBuf {
    if path == Some("") {
        section.problem("Sqlite.Path", "the path is empty", "name a file, or remove Path");
    }
    directory.join(path.unwrap_or(DEFAULT_STATE_FILE))
}

fn table(dynamo_db: wire::DynamoDb, section: &mut Section<'_>) -> Option<State> {
    let table = dynamo_db.table?;
    if !is_table_name(&table) {
        let message = format!("'{}' is no name of a DynamoDB table", crate::problem::shortened(&table));
        section.problem("DynamoDB.Table", message, "write 3 to 255 letters, digits, '_', '.' and '-', and no ARN");
        return None;
    }
    let lease_renewal =
        dynamo_db.lease_renewal_seconds.map_or(DEFAULT_LEASE_RENEWAL, |seconds| Duration::from_secs(seconds.into()));
    Some(State::DynamoDb { table, lease_renewal })
}
