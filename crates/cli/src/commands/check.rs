//! `pelton check`: everything that is wrong, at once.
mod local;
mod mappings;
pub mod services;
mod state;

use std::path::Path;
use std::process::ExitCode;

use pelton_config::{Loaded, Problem};

use crate::aws::Aws;
use crate::output;

/// Exit status where there was no way to tell: the file can't be read, or the endpoint can't be asked.
pub const COULD_NOT_CHECK: u8 = 2;
const PROBLEMS: u8 = 1;

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
    if loaded.configuration.mappings.is_empty() {
        return;
    }
    match Aws::new(&loaded.configuration).await {
        Ok(aws) => {
            mappings::check(loaded, &aws, report).await;
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
