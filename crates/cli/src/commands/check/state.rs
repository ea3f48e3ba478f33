//! Whether state can be kept where the file says.
use std::path::Path;

use pelton_config::{Loaded, State};

use super::Report;
use super::services::{Answer, table};
use crate::aws::Aws;

/// Looks at the place of an SQLite file; the file itself is made on the first run.
pub fn check_file(loaded: &Loaded, report: &mut Report) {
    let State::Sqlite { path } = &loaded.configuration.state else { return };
    let folder = path.parent().unwrap_or(Path::new("."));
    let (message, fix) = match () {
        () if !reads_streams(loaded) && !keeps_events(loaded) => return,
        () if path.is_dir() => (format!("{} is a directory", path.display()), "name a file in it"),
        () if folder.is_dir() => return,
        () => (format!("the directory {} does not exist", folder.display()), "create it, or name another file"),
    };
    report.problems.push(loaded.problem("State.Sqlite.Path", message, fix.into()));
}

/// Asks for the table; one that isn't there is made on the first run.
pub async fn check_table(loaded: &Loaded, aws: &Aws, report: &mut Report) {
    let State::DynamoDb { table: name, .. } = &loaded.configuration.state else { return };
    if !reads_streams(loaded) {
        return;
    }
    match table(&aws.dynamodb(aws.region()), name).await {
        Answer::There(_) | Answer::Missing => {}
        Answer::Unknown(reason) if report.unknown.contains(&reason) => {}
        Answer::Unknown(reason) => report.unknown.push(reason),
        Answer::Refused(reason) => {
            let message = format!("the service refuses to say whether the table is there: {reason}");
            report.problems.push(loaded.problem(
                "State.DynamoDB.Table",
                message,
                "check credentials and permissions".into(),
            ));
        }
    }
}

/// Queues need no state.
fn reads_streams(loaded: &Loaded) -> bool {
    loaded.configuration.mappings.iter().any(|mapping| mapping.stream.is_some())
}

/// Whether the file is about asynchronous invocations that wait in the place of the state.
fn keeps_events(loaded: &Loaded) -> bool {
    loaded.configuration.async_queue.is_none() && !loaded.configuration.function_settings.is_empty()
}
