//! `pelton test`: the events under `Tests`, each against the filters of its source's mappings.
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use pelton_config::{Configuration, FilterTest, TestEvent};
use pelton_core::{Mapping, MappingId};

use crate::output;

/// Exit status where the tests can't be carried out.
pub const COULD_NOT_TEST: u8 = 2;
const FAILED: u8 = 1;

/// Prints how each test went. An error means that none was carried out.
pub fn test(file: &Path) -> anyhow::Result<ExitCode> {
    let loaded = pelton_config::load(file, &|name| std::env::var(name).ok())?;
    if !loaded.problems.is_empty() {
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        anyhow::bail!("no test was carried out, since the file has problems\n\n{}", problems.join("\n\n"));
    }
    let configuration = loaded.configuration;
    if configuration.tests.is_empty() {
        anyhow::bail!("{} has no `Tests`: `pelton test --help` shows how to write one", file.display());
    }
    let (mut text, mut failed) = (String::new(), 0);
    for test in &configuration.tests {
        match carry_out(test, &configuration) {
            Ok(()) => text += &format!("ok      {}\n", test.name),
            Err(reasons) => {
                failed += 1;
                text += &format!("FAILED  {}\n{reasons}", test.name);
            }
        }
    }
    text += &format!("{} passed, {failed} failed\n", configuration.tests.len() - failed);
    output::print(&text)?;
    Ok(ExitCode::from(if failed == 0 { 0 } else { FAILED }))
}

/// `Err` says for each mapping that did otherwise what was expected and what decided.
fn carry_out(test: &FilterTest, configuration: &Configuration) -> Result<(), String> {
    let event = match &test.event {
        TestEvent::Record(record) => record.clone(),
        TestEvent::File(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("        EventFile {} can't be read: {error}\n", path.display()))?,
    };
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&event) {
        return Err(format!("        the event is no JSON: {error}\n"));
    }
    let of_source = || configuration.mappings.iter().filter(|mapping| mapping.event_source == test.event_source);
    let matching: BTreeSet<MappingId> =
        of_source().filter(|mapping| mapping.filters.matches(event.as_bytes())).map(|mapping| mapping.id).collect();
    if matching == test.matched_by {
        return Ok(());
    }
    let surprising = of_source().filter(|it| matching.contains(&it.id) != test.matched_by.contains(&it.id));
    Err(surprising.map(|mapping| explain(mapping, &event, test.matched_by.contains(&mapping.id))).collect())
}

fn explain(mapping: &Mapping, event: &str, expected: bool) -> String {
    let expected = if expected { "should match, but doesn't" } else { "should not match, but does" };
    let reasons = match mapping.filters.explain(event.as_bytes()) {
        Ok(explanation) => explanation.to_string(),
        Err(error) => error.to_string(),
    };
    let indented: String = reasons.lines().map(|line| format!("          {line}\n")).collect();
    format!("        {}: {expected}\n{indented}", mapping.function)
}
