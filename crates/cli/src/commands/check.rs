//! `pelton check`: everything that is wrong, at once.
mod asynchronous;
mod local;
mod mappings;
pub mod services;
mod state;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pelton_config::{Loaded, Problem};
use pelton_core::DestinationArn;

use self::services::{Answer, Services};
use crate::aws::Aws;
use crate::output;

/// Exit status where there was no way to tell: the file can't be read, or the endpoint can't be asked.
pub const COULD_NOT_CHECK: u8 = 2;
const PROBLEMS: u8 = 1;
/// What to do where something that is named by its ARN is missing.
const NOT_THERE: &str = "create it at this endpoint, or correct the ARN";

/// What was found.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<Problem>,
    /// What may be intended.
    warnings: Vec<Problem>,
    /// What could not be asked, and why.
    unknown: Vec<String>,
}

/// Prints every problem. An error means that nothing could be checked.
pub async fn check(file: &Path, offline: bool) -> anyhow::Result<ExitCode> {
    let loaded = pelton_config::load(file, &|name| std::env::var(name).ok())
        .map_err(|error| anyhow::anyhow!("{error}; -c FILE names another file, `pelton --help` shows an example"))?;
    let mut report = Report { problems: loaded.problems.clone(), ..Report::default() };
    if !offline {
        local::check(&loaded, &mut report);
        state::check_file(&loaded, &mut report);
        look_around(&loaded, &mut report).await;
    }
    report.problems.sort_by_key(|problem| (problem.line, problem.column));
    output::print(&report.text(file, &loaded, offline))?;
    Ok(ExitCode::from(match () {
        () if !report.unknown.is_empty() => COULD_NOT_CHECK,
        () if !report.problems.is_empty() => PROBLEMS,
        () => 0,
    }))
}

async fn look_around(loaded: &Loaded, report: &mut Report) {
    let configuration = &loaded.configuration;
    if configuration.mappings.is_empty()
        && configuration.function_settings.is_empty()
        && configuration.async_queue.is_none()
    {
        return;
    }
    match Aws::new(&loaded.configuration).await {
        Ok(aws) => {
            let mut services = Services::new(&aws);
            mappings::check(loaded, &mut services, report).await;
            asynchronous::check(loaded, &mut services, aws.region(), report).await;
            state::check_table(loaded, &aws, report).await;
        }
        Err(error) if loaded.configuration.ca_bundle.is_some() => {
            let fix = "name a file with PEM certificates".to_owned();
            report.problems.push(loaded.problem("CaBundle", format!("{error:#}"), fix));
        }
        Err(error) => report.unknown.push(format!("{error:#}")),
    }
}

impl Report {
    /// Turns an answer into the time that came with it, or into a line of the report. `problem` puts message and fix at
    /// their place.
    fn take(
        &mut self,
        answer: Answer,
        (missing, fix): (&str, &str),
        problem: impl FnOnce(String, String) -> Problem,
    ) -> Option<Duration> {
        let (message, fix) = match answer {
            Answer::There(time) => return time,
            Answer::Unknown(reason) => {
                if !self.unknown.contains(&reason) {
                    self.unknown.push(reason);
                }
                return None;
            }
            Answer::Missing => (missing.to_owned(), fix.to_owned()),
            Answer::Refused(reason) => (
                format!("the service refuses to say whether it is there: {reason}"),
                "check credentials and permissions".into(),
            ),
        };
        self.problems.push(problem(message, fix));
        None
    }

    fn text(&self, file: &Path, loaded: &Loaded, offline: bool) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            text += &format!("{problem}\n\n");
        }
        for warning in &self.warnings {
            text += &format!("warning: {warning}\n\n");
        }
        for unknown in &self.unknown {
            text += &format!("could not check: {unknown}\n\n");
        }
        let file = file.display();
        let counted = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
        let mappings = counted(loaded.configuration.mappings.len(), "mapping");
        text + &match (self.problems.len(), self.unknown.len()) {
            (0, 0) if offline => format!("{file}: {mappings}, no problem in the file; nothing else was looked at\n"),
            (0, 0) => format!("{file}: {mappings}, no problem found\n"),
            (0, _) => format!("{file}: no problem in the file, but not everything could be checked\n"),
            (problems, 0) => format!("{file}: {}\n", counted(problems, "problem")),
            (problems, _) => {
                format!("{file}: {}, and not everything could be checked\n", counted(problems, "problem"))
            }
        }
    }
}

/// What is said of a destination that isn't there.
fn missing(destination: &DestinationArn) -> String {
    match destination {
        DestinationArn::Function(arn) => format!("The destination ARN {arn} is invalid."),
        DestinationArn::Queue(_) => "the queue does not exist".into(),
        DestinationArn::Topic(_) => "the topic does not exist".into(),
        DestinationArn::EventBus(_) => "the event bus does not exist".into(),
        DestinationArn::Bucket(_) => "the bucket does not exist".into(),
    }
}
