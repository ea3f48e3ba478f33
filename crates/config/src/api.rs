//! A mapping as Lambda's API has it: JSON, checked by the rules of the file.
use std::path::Path;
use std::sync::OnceLock;

use pelton_core::{Clock, Mapping, SystemClock};
use serde_json::{Map, Value};

use crate::problem::{Findings, Position, Problem};
use crate::section::Section;
use crate::yaml::Node;
use crate::{mapping, read, schema, wire};

/// Where a mapping would stand in a file: by this the rules know that they look at one.
const PATH: &str = "EventSourceMappings[0]";
const HERE: Position = Position { line: 1, column: 1 };

/// Checks the fields of a mapping, in the names of `CreateEventSourceMapping`, by the rules of `pelton.yaml`. `region`
/// is that of functions whose source doesn't tell one. Fields that are `null` count as left out, and `${…}` has no
/// meaning.
///
/// Problems begin with AWS's text where AWS has one. Their `path` is that within the mapping (`ScalingConfig`), empty for
/// the mapping as a whole; line and column say nothing. Extensions of Pelton are taken as in a file.
pub fn check_mapping(fields: &Map<String, Value>, region: &str) -> Result<Mapping, Vec<Problem>> {
    let mut findings = Findings::new(Path::new(""));
    let node = Node::from_json(&Value::Object(fields.clone()), HERE);
    let good = read::read(&node, shape(), PATH, &mut findings);
    let checked = match good.map(serde_json::from_value::<wire::EventSourceMapping>) {
        None => None,
        Some(Ok(wire)) => {
            let surroundings = mapping::Surroundings { region, now: SystemClock.now() };
            let mut section = Section { path: PATH.into(), node: &node, findings: &mut findings };
            mapping::check(wire, &surroundings, &mut section)
        }
        // Not reachable while the schema is made from the same types; a property test holds that.
        Some(Err(error)) => {
            findings.add(HERE, PATH, "", error.to_string(), "this is a fault of Pelton: please report it");
            None
        }
    };
    let mut problems = findings.into_problems();
    match checked {
        Some(mapping) if problems.is_empty() => Ok(mapping),
        _ => {
            for problem in &mut problems {
                let within = problem.path.strip_prefix(PATH).unwrap_or_default();
                problem.path = within.strip_prefix('.').unwrap_or(within).to_owned();
            }
            Err(problems)
        }
    }
}

/// The schema of one mapping; making it takes longer than a check.
fn shape() -> &'static Value {
    static SHAPE: OnceLock<Value> = OnceLock::new();
    SHAPE.get_or_init(|| schema::shape()["properties"]["EventSourceMappings"]["items"].clone())
}
