//! What a changed configuration asks to be stopped and started. Pure.
use std::collections::BTreeSet;

use pelton_config::{Configuration, Function};
use pelton_core::{DestinationArn, Mapping, MappingId};

/// What is to be done to get from one configuration to the next. What isn't named runs on untouched.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Endpoints, region or CA bundle: SDK clients are made anew.
    pub clients: bool,
    /// Local functions that run no longer, or are replaced.
    pub functions_to_stop: BTreeSet<String>,
    /// Local functions that are new or replace one.
    pub functions_to_start: BTreeSet<String>,
    /// Mappings that run no longer, or are replaced.
    pub mappings_to_stop: BTreeSet<MappingId>,
    /// Mappings that are new or replace one.
    pub mappings_to_start: BTreeSet<MappingId>,
    /// Mappings that are in the file no longer.
    pub mappings_to_forget: BTreeSet<MappingId>,
}

impl Changes {
    /// Compares what runs with what is to run.
    pub fn between(old: &Configuration, new: &Configuration) -> Self {
        let clients = (&old.endpoint, &old.endpoints, &old.region, &old.ca_bundle)
            != (&new.endpoint, &new.endpoints, &new.region, &new.ca_bundle);
        // A local function is told its Region, and the account of its mappings.
        let is_same_function = |function: &Function| {
            old.region == new.region
                && new.functions.contains(function)
                && old.functions.contains(function)
                && account(old, function) == account(new, function)
        };
        let changed = |functions: &[Function]| -> BTreeSet<String> {
            functions.iter().filter(|it| !is_same_function(it)).map(|it| it.name.clone()).collect()
        };
        let (functions_to_stop, functions_to_start) = (changed(&old.functions), changed(&new.functions));
        let is_touched = |function: &str| functions_to_stop.contains(function) || functions_to_start.contains(function);
        let is_same_mapping = |mapping: &Mapping| {
            !clients
                && old.mappings.contains(mapping)
                && new.mappings.contains(mapping)
                && !is_touched(mapping.function.name())
                // A function may have become a local one, or one no longer.
                && !destinations(mapping).any(is_touched)
        };
        let changed = |mappings: &[Mapping]| -> BTreeSet<MappingId> {
            mappings.iter().filter(|it| !is_same_mapping(it)).map(|it| it.id).collect()
        };
        let (mappings_to_stop, mappings_to_start) = (changed(&old.mappings), changed(&new.mappings));
        let kept: BTreeSet<MappingId> = new.mappings.iter().map(|mapping| mapping.id).collect();
        let mappings_to_forget = mappings_to_stop.difference(&kept).copied().collect();
        Self { clients, functions_to_stop, functions_to_start, mappings_to_stop, mappings_to_start, mappings_to_forget }
    }
}

/// The functions that are told how invocations end.
fn destinations(mapping: &Mapping) -> impl Iterator<Item = &str> {
    [&mapping.on_success, &mapping.on_failure].into_iter().flatten().filter_map(|to| match to {
        DestinationArn::Function(arn) => arn.resource().split(':').nth(1),
        _ => None,
    })
}

/// The account that a local function is told: that of the first mapping that names it.
pub fn account<'c>(configuration: &'c Configuration, function: &Function) -> Option<&'c str> {
    let mapping = configuration.mappings.iter().find(|mapping| mapping.function.name() == function.name)?;
    Some(mapping.function_arn.account())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "Region: us-east-1
Functions:
  - {FunctionName: work, Command: sh}
  - {FunctionName: idle, Command: sh}
EventSourceMappings:
  - {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:a', FunctionName: work}
  - {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:b', FunctionName: work}
  - {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:c', FunctionName: remote}
";

    fn configuration(text: &str) -> Configuration {
        let loaded = pelton_config::load_text(text, "/etc/pelton.yaml".as_ref(), &|_| None);
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        loaded.configuration
    }

    fn ids(configuration: &Configuration, queues: &str) -> BTreeSet<MappingId> {
        let wanted = |mapping: &&Mapping| queues.contains(mapping.event_source.resource());
        configuration.mappings.iter().filter(wanted).map(|mapping| mapping.id).collect()
    }

    /// What changes with one replacement in the file: clients, functions and queues to stop, the same to start, queues
    /// to forget.
    fn check(from: &str, to: &str, expected: (bool, [&str; 2], [&str; 2], &str)) {
        assert!(BASE.contains(from));
        let (old, new) = (configuration(BASE), configuration(&BASE.replace(from, to)));
        let names = |names: &str| names.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
        let (clients, stop, start, forget) = expected;
        let expected = Changes {
            clients,
            functions_to_stop: names(stop[0]),
            mappings_to_stop: ids(&old, stop[1]),
            functions_to_start: names(start[0]),
            mappings_to_start: ids(&new, start[1]),
            mappings_to_forget: ids(&old, forget),
        };
        assert_eq!(Changes::between(&old, &new), expected, "{from} → {to}");
    }

    #[test]
    fn only_what_changed_is_touched() {
        let c = "{EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:c', FunctionName: remote}";
        check("Region", "Region", (false, ["", ""], ["", ""], ""));
        check("Region", "GracePeriodSeconds: 5\nRegion", (false, ["", ""], ["", ""], ""));
        check(":b', FunctionName: work", ":b', FunctionName: work, BatchSize: 1", (false, ["", "b"], ["", "b"], ""));
        check(
            ":c', FunctionName: remote",
            ":c', FunctionName: remote, Enabled: false",
            (false, ["", "c"], ["", "c"], ""),
        );
        check(":c', FunctionName: remote", ":d', FunctionName: remote", (false, ["", "c"], ["", "d"], "c"));
        check(":c', FunctionName: remote", ":c', FunctionName: other", (false, ["", "c"], ["", "c"], "c"));
        check(&format!("  - {c}\n"), "", (false, ["", "c"], ["", ""], "c"));
        check(
            "{FunctionName: work, Command: sh}",
            "{FunctionName: work, Command: sh, Timeout: 9}",
            (false, ["work", "a b"], ["work", "a b"], ""),
        );
        check(
            "{FunctionName: idle, Command: sh}",
            "{FunctionName: remote, Command: sh}",
            (false, ["idle", "c"], ["remote", "c"], ""),
        );
        check("Region", "Endpoint: http://localhost:1\nRegion", (true, ["", "a b c"], ["", "a b c"], ""));
        check("Region: us-east-1", "Region: eu-west-1", (true, ["work idle", "a b c"], ["work idle", "a b c"], ""));
    }
}
