//! The fields of a create or update: which there are, which rule they break first, and what a mapping they make. Pure.
use std::collections::BTreeMap;

use pelton_config::{Problem, check_mapping};
use pelton_core::Mapping;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::resource;

/// The fields of `UpdateEventSourceMapping`.
const OF_UPDATE: &[&str] = &[
    "AmazonManagedKafkaEventSourceConfig",
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "DocumentDBEventSourceConfig",
    "Enabled",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "KMSKeyArn",
    "LoggingConfig",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "ProvisionedPollerConfig",
    "ScalingConfig",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "TumblingWindowInSeconds",
];
/// What `CreateEventSourceMapping` has beyond them.
const OF_CREATE_ONLY: &[&str] = &[
    "EventSourceArn",
    "Queues",
    "SelfManagedEventSource",
    "StartingPosition",
    "StartingPositionTimestamp",
    "Tags",
    "Topics",
];

/// Those that are lists or maps.
const CONTAINERS: &[&str] = &[
    "AmazonManagedKafkaEventSourceConfig",
    "DestinationConfig",
    "DocumentDBEventSourceConfig",
    "FilterCriteria",
    "FunctionResponseTypes",
    "LoggingConfig",
    "MetricsConfig",
    "ProvisionedPollerConfig",
    "Queues",
    "ScalingConfig",
    "SelfManagedEventSource",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "Topics",
];

const UNSUPPORTED_DESTINATION: &str = "Unsupported DestinationConfig parameter for given event source mapping type.";
const ONE_ERROR: &str = "1 validation error detected: ";
/// AWS's texts to which Pelton's own rules add their reasons; AWS says just this.
const WITHOUT_REASONS: [&str; 2] = ["Invalid filter pattern definition.", "Unrecognized event source."];

/// What a create makes.
#[derive(Debug, Clone)]
pub struct Made {
    /// The fields, without `Tags`: what is kept, and what an update changes.
    pub settings: Map<String, Value>,
    pub tags: BTreeMap<String, String>,
    pub mapping: Mapping,
}

/// Checks a create, short of what needs to be asked of others.
pub fn create(mut fields: Map<String, Value>, region: &str) -> Result<Made, ApiError> {
    refuse_unknown(&fields, "CreateEventSourceMapping", |name| {
        OF_UPDATE.contains(&name) || OF_CREATE_ONLY.contains(&name)
    })?;
    let tags = fields.remove("Tags").map(|tags| resource::tags(&tags)).transpose()?.unwrap_or_default();
    resource::check_tags(&tags)?;
    simplify(&mut fields);
    if fields.contains_key("SelfManagedEventSource") {
        return Err(ApiError::invalid_parameter(
            "Self-managed Kafka clusters are not supported as event sources by this version of Pelton yet",
        ));
    }
    let mut mapping = check(&fields, region)?;
    mapping.tags = tags.clone();
    Ok(Made { settings: fields, tags, mapping })
}

/// Checks an update of what is kept. Each field that is given takes the place of the whole one before.
pub fn update(
    before: &Map<String, Value>,
    changes: Map<String, Value>,
    region: &str,
) -> Result<(Map<String, Value>, Mapping), ApiError> {
    for fixed in OF_CREATE_ONLY {
        if changes.contains_key(*fixed) {
            let message = match *fixed {
                "Tags" => {
                    "Tags are no field of UpdateEventSourceMapping: use TagResource and UntagResource.".to_owned()
                }
                _ => format!("{fixed} can't be changed: delete the mapping and create another one."),
            };
            return Err(ApiError::invalid_parameter(message));
        }
    }
    refuse_unknown(&changes, "UpdateEventSourceMapping", |name| OF_UPDATE.contains(&name))?;
    let mut settings = before.clone();
    settings.extend(changes);
    simplify(&mut settings);
    let mapping = check(&settings, region)?;
    Ok((settings, mapping))
}

/// What was kept, as a mapping.
pub fn kept(settings: &Map<String, Value>, region: &str) -> Result<Mapping, ApiError> {
    check(settings, region)
}

fn refuse_unknown(
    fields: &Map<String, Value>,
    operation: &str,
    is_known: impl Fn(&str) -> bool,
) -> Result<(), ApiError> {
    match fields.keys().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let name: String = name.chars().take(100).collect();
            Err(ApiError::invalid_parameter(format!("{name} is no field of {operation}.")))
        }
    }
}

/// Leaves out what says nothing: empty lists and maps. That is how a setting is taken away.
fn simplify(fields: &mut Map<String, Value>) {
    let is_empty = |value: &Value| match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(Value::is_null),
        _ => value.is_null(),
    };
    if let Some(Value::Object(config)) = fields.get_mut("DestinationConfig") {
        for side in ["OnSuccess", "OnFailure"] {
            let says_nothing = config.get(side).and_then(Value::as_object).is_some_and(|to| {
                to.iter().all(|(name, value)| name == "Destination" && (value.is_null() || *value == ""))
            });
            if says_nothing {
                config.remove(side);
            }
        }
    }
    if let Some(Value::Object(criteria)) = fields.get_mut("FilterCriteria")
        && criteria.get("Filters").is_some_and(is_empty)
    {
        criteria.remove("Filters");
    }
    fields.retain(|name, value| !CONTAINERS.contains(&name.as_str()) || !is_empty(value));
}

/// In AWS's order (spec 12.1): constraints of the model, whether the source is recognisable, whether it takes
/// destinations, and the rest.
fn check(fields: &Map<String, Value>, region: &str) -> Result<Mapping, ApiError> {
    let problems = check_mapping(fields, region).err().unwrap_or_default();
    if let Some(problem) = problems.iter().find(|problem| is_of_another_type(problem)) {
        return Err(ApiError::serialization(format!("{}: {}", problem.path, problem.message)));
    }
    // The only one of AWS's sentences of this kind that comes as another type of error ends in a full stop.
    let constraints: Vec<String> = problems
        .iter()
        .filter_map(|problem| problem.message.strip_prefix(ONE_ERROR))
        .filter(|constraint| !constraint.ends_with("null."))
        .map(str::to_owned)
        .collect();
    if !constraints.is_empty() {
        return Err(ApiError::validation(&constraints));
    }
    if let Some(problem) = problems.iter().find(|problem| problem.path == "EventSourceArn") {
        return Err(refusal(problem));
    }
    refuse_extensions(fields)?;
    if let Some(problem) = problems.first() {
        return Err(refusal(problem));
    }
    check_mapping(fields, region).map_err(|_| ApiError::invalid_parameter("The mapping can't be used."))
}

/// What a file may say and Lambda refuses.
fn refuse_extensions(fields: &Map<String, Value>) -> Result<(), ApiError> {
    let is_queue =
        fields.get("EventSourceArn").and_then(Value::as_str).is_some_and(|arn| arn.split(':').nth(2) == Some("sqs"));
    if let Some(config) = fields.get("DestinationConfig").and_then(Value::as_object) {
        if let Some(name) = config.keys().find(|name| *name != "OnSuccess" && *name != "OnFailure") {
            let name: String = name.chars().take(100).collect();
            return Err(ApiError::invalid_parameter(format!("{name} is no field of DestinationConfig.")));
        }
        if is_queue || config.contains_key("OnSuccess") {
            return Err(ApiError::invalid_parameter(UNSUPPORTED_DESTINATION));
        }
    }
    if is_queue && fields.contains_key("MaximumRetryAttempts") {
        let message = "Unsupported MaximumRetryAttempts parameter for given event source mapping type.";
        return Err(ApiError::invalid_parameter(message));
    }
    Ok(())
}

fn is_of_another_type(problem: &Problem) -> bool {
    problem.message.starts_with("expected ") || problem.message == "there is no value"
}

fn refusal(problem: &Problem) -> ApiError {
    let Problem { message, fix, .. } = problem;
    let of_aws = WITHOUT_REASONS.iter().find(|text| message.starts_with(*text));
    let is_own = message.starts_with(|first: char| first.is_lowercase() || first == '\'');
    ApiError::invalid_parameter(match of_aws {
        Some(text) => (*text).to_owned(),
        None if is_own => format!("{message}: {fix}"),
        None => message.clone(),
    })
}
