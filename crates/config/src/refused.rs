//! Keys that Pelton doesn't take: AWS's fields that this version refuses, each with its reason, and misspelt ones.
use serde_json::Value;

use crate::problem::shortened;

const KAFKA: &str = "is for Kafka, which this version of Pelton does not read";
const OUTPUT: &str = "is set by the service, never by the user";
const REMOVE: &str = "remove it";

/// Field of a mapping, why it is refused, what to do.
const OF_MAPPINGS: &[(&str, &str, &str)] = &[
    ("Topics", KAFKA, REMOVE),
    ("SelfManagedEventSource", KAFKA, REMOVE),
    ("SelfManagedKafkaEventSourceConfig", KAFKA, REMOVE),
    ("AmazonManagedKafkaEventSourceConfig", KAFKA, REMOVE),
    ("SourceAccessConfigurations", "is for Kafka and Amazon MQ, which this version of Pelton does not read", REMOVE),
    ("Queues", "is for Amazon MQ, which this version of Pelton does not read", "name an SQS queue in EventSourceArn"),
    ("DocumentDBEventSourceConfig", "is for DocumentDB, which this version of Pelton does not read", REMOVE),
    (
        "ProvisionedPollerConfig",
        "is not supported by this version of Pelton: its pollers adapt to the queue by themselves",
        "remove it; ScalingConfig.MaximumConcurrency is the upper limit",
    ),
    ("KMSKeyArn", "encrypts filter criteria, which this version of Pelton does not support", REMOVE),
    ("KmsKeyArn", "encrypts filter criteria, which this version of Pelton does not support", REMOVE),
    ("MetricsConfig", "is not supported by this version of Pelton: all metrics are at /metrics, always", REMOVE),
    ("LoggingConfig", "is not supported by this version of Pelton: its log has every mapping", REMOVE),
    ("State", OUTPUT, "remove it; Enabled says whether the mapping runs"),
    ("StateTransitionReason", OUTPUT, REMOVE),
    ("UUID", OUTPUT, "remove it; the id follows from source and function"),
    ("LastModified", OUTPUT, REMOVE),
    ("LastProcessingResult", OUTPUT, REMOVE),
    ("FunctionArn", OUTPUT, "remove it; name the function in FunctionName, which also takes an ARN"),
    ("EventSourceMappingArn", OUTPUT, REMOVE),
    ("FilterCriteriaError", OUTPUT, REMOVE),
    ("Queue", "is SAM's name of the field", "call it EventSourceArn"),
    ("Stream", "is SAM's name of the field", "call it EventSourceArn"),
    (
        "Type",
        "belongs around a template's Properties",
        "keep what stands below Properties, without Type and Properties",
    ),
    ("Properties", "belongs to a template", "move its fields up one level, and leave Type and Properties out"),
];

/// Field of a function, why it is refused, what to do.
const OF_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("Role", "is not supported: a local process runs with the credentials of its environment", REMOVE),
    ("Layers", "is not supported for local processes", "install the packages where the process finds them"),
    (
        "ImageUri",
        "is not supported: functions here are processes, not containers",
        "give Command, or Runtime and Handler",
    ),
    ("PackageType", "is not supported: functions here are processes, not archives or containers", REMOVE),
    ("DeadLetterQueue", "is SAM's name of the field", "call it DeadLetterConfig, and leave Type out"),
    ("AutoPublishAlias", "is SAM's name of the field", "write Aliases: [name]"),
    ("Code", "is not supported: the code of a local process is a directory", "name the directory in CodeUri"),
    (
        "Type",
        "belongs around a template's Properties",
        "keep what stands below Properties, without Type and Properties",
    ),
    ("Properties", "belongs to a template", "move its fields up one level, and leave Type and Properties out"),
];

/// Field of an event invoke config, why it is refused, what to do.
const OF_EVENT_INVOKE_CONFIGS: &[(&str, &str, &str)] = &[
    (
        "Type",
        "belongs around a template's Properties",
        "keep what stands below Properties, without Type and Properties",
    ),
    ("Properties", "belongs to a template", "move its fields up one level, and leave Type and Properties out"),
    ("FunctionArn", OUTPUT, REMOVE),
    ("LastModified", OUTPUT, REMOVE),
];

/// Field of the file, why it is refused, what to do.
const OF_THE_FILE: &[(&str, &str, &str)] = &[(
    "Resources",
    "belongs to a CloudFormation template",
    "copy the Properties of its mappings to EventSourceMappings",
)];

/// A key that isn't among the known ones.
pub(crate) struct Unknown<'a> {
    pub message: String,
    pub fix: String,
    /// The known key that was probably meant.
    pub meant: Option<&'a str>,
}

/// What to say about a key that isn't among the known ones.
pub(crate) fn unknown_key<'a>(key: &str, path: &str, known: &'a Value) -> Unknown<'a> {
    let path = path.trim_end_matches(|character: char| character.is_ascii_digit() || "[]".contains(character));
    let table = match path.split_once("].").map_or(path, |(_, field)| field) {
        "" => OF_THE_FILE,
        "EventSourceMappings" => OF_MAPPINGS,
        "Functions" => OF_FUNCTIONS,
        "EventInvokeConfig" => OF_EVENT_INVOKE_CONFIGS,
        _ => &[],
    };
    if let Some((_, reason, fix)) = table.iter().find(|(name, ..)| *name == key) {
        return Unknown { message: format!("{key} {reason}"), fix: (*fix).to_owned(), meant: None };
    }
    if key == "<<" {
        let message = "merge keys are not part of YAML 1.2".to_owned();
        return Unknown { message, fix: "write the fields out".into(), meant: None };
    }
    let known: Vec<&str> = known.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &key.to_lowercase());
    let nearest = known.iter().map(|name| (distance(name), *name)).min();
    let meant = nearest.filter(|(distance, name)| *distance <= 1 + name.len() / 4).map(|(_, name)| name);
    let fix = match meant {
        Some(name) => format!("did you mean {name}?"),
        None if known.is_empty() => "remove it: nothing stands here, and {} says so".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    };
    Unknown { message: format!("unknown field '{}'", shortened(key)), fix, meant }
}
