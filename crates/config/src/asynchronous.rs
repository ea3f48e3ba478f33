//! The rules of what is set for asynchronous invocations.
use std::time::Duration;

use pelton_core::{Arn, DestinationArn, DestinationArnError, EventInvokeConfig, FunctionName, FunctionNameError};

use crate::event_source::{self, Kind, not_an_arn};
use crate::section::Section;
use crate::wire::{self, DeadLetterConfig, EventInvokeConfigs};
use crate::{destination, region};

/// What is invoked without a qualifier.
pub(crate) const LATEST: &str = "$LATEST";
/// The pattern of AWS's model for `TargetArn`.
const TARGET_PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()";
const TARGET_FIX: &str = "write the ARN of a standard SQS queue or SNS topic";

/// The function whose settings are checked.
pub(crate) struct Owner<'a> {
    /// `None`: its name is wrong.
    pub function: Option<&'a FunctionName>,
    /// Of a local function, which has no other qualifiers. `None` also where they are wrong.
    pub aliases: Option<&'a [String]>,
}

/// Checks `AsyncQueue`; an error says what is wrong and what would be right.
pub(crate) fn queue(text: &str) -> Result<Arn, (String, &'static str)> {
    const FIX: &str = "write the ARN of a standard SQS queue, such as arn:aws:sqs:us-east-1:000000000000:pelton-events";
    let arn: Arn = text.parse().map_err(|error: pelton_core::ArnError| (error.to_string(), FIX))?;
    match arn.service() == "sqs" {
        false => Err(("AsyncQueue is an SQS queue".to_owned(), FIX)),
        true => match event_source::queue(arn.resource()) {
            Err(message) => Err((message, FIX)),
            Ok(Kind::FifoQueue) => {
                let message =
                    "a FIFO queue has no delays of single messages, and asynchronous invocations wait by them";
                Err((message.to_owned(), FIX))
            }
            Ok(_) if !has_place(&arn) => Err(("the ARN of a queue has a Region and an account".to_owned(), FIX)),
            Ok(_) => Ok(arn),
        },
    }
}

/// Checks `DeadLetterConfig`, a field of the section.
pub(crate) fn dead_letter_queue(config: Option<DeadLetterConfig>, section: &mut Section<'_>) -> Option<DestinationArn> {
    const FIELD: &str = "DeadLetterConfig.TargetArn";
    let text = config?.target_arn?;
    let target: DestinationArn = match text.parse() {
        Ok(target) => target,
        Err(DestinationArnError::Arn(error)) => {
            let message = match &*text {
                "" => "the target is empty".to_owned(),
                _ => not_an_arn(&text, &error, "deadLetterConfig.targetArn", TARGET_PATTERN),
            };
            section.problem(FIELD, message, TARGET_FIX);
            return None;
        }
        Err(DestinationArnError::Unsupported(_)) => {
            section.problem(FIELD, "dead letters go to SQS queues and SNS topics alone", TARGET_FIX);
            return None;
        }
    };
    let arn = target.arn();
    let message = match &target {
        DestinationArn::Queue(_) | DestinationArn::Topic(_) if arn.resource().ends_with(".fifo") => {
            "Lambda takes no FIFO queue or topic for dead letters"
        }
        DestinationArn::Queue(_) | DestinationArn::Topic(_) if !has_place(arn) => {
            "the ARN of a queue or topic has a Region and an account"
        }
        DestinationArn::Queue(_) | DestinationArn::Topic(_) => return Some(target),
        DestinationArn::EventBus(_) | DestinationArn::Function(_) | DestinationArn::Bucket(_) => {
            "dead letters go to SQS queues and SNS topics alone"
        }
    };
    section.problem(FIELD, message, TARGET_FIX);
    None
}

fn has_place(arn: &Arn) -> bool {
    region::is_region(arn.region()) && !arn.account().is_empty()
}

/// One event invoke config, and where it stands.
pub(crate) struct Block {
    pub path: String,
    pub qualifier: String,
    pub config: EventInvokeConfig,
}

/// Checks `EventInvokeConfig`, a field of the section.
pub(crate) fn event_invoke_configs(
    configs: Option<EventInvokeConfigs>,
    owner: &Owner<'_>,
    section: &mut Section<'_>,
) -> Vec<Block> {
    const FIELD: &str = "EventInvokeConfig";
    let configs: Vec<(String, wire::EventInvokeConfig)> = match configs {
        None => return Vec::new(),
        Some(EventInvokeConfigs::One(config)) => vec![(FIELD.to_owned(), *config)],
        Some(EventInvokeConfigs::Several(configs)) => {
            if configs.is_empty() {
                section.problem(FIELD, NOTHING_SET, "add a config, or remove it");
            }
            configs.into_iter().enumerate().map(|(index, config)| (format!("{FIELD}[{index}]"), config)).collect()
        }
    };
    let mut blocks: Vec<Block> = Vec::new();
    for (field, config) in configs {
        let Some(node) = section.node.at(&field) else { continue };
        let path = format!("{}.{field}", section.path);
        let mut block = Section { path: path.clone(), node, findings: section.findings };
        let Some((qualifier, config)) = event_invoke_config(config, owner, &mut block) else { continue };
        if let Some(first) = blocks.iter().find(|other| other.qualifier == qualifier) {
            let field = if node.at("Qualifier").is_some() { "Qualifier" } else { "" };
            block.problem(field, format!("{} is for {qualifier} too", first.path), "make one of both");
            continue;
        }
        blocks.push(Block { path, qualifier, config });
    }
    blocks
}

/// AWS's text for a config that says nothing.
const NOTHING_SET: &str = "You must specify at least one of error handling or destination setting.";

fn event_invoke_config(
    wire: wire::EventInvokeConfig,
    owner: &Owner<'_>,
    section: &mut Section<'_>,
) -> Option<(String, EventInvokeConfig)> {
    let is_written = |field: &&str| section.node.at(field).is_some();
    let settings = ["MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"];
    if !settings.iter().any(is_written) && section.is_good() {
        let fix = "add MaximumRetryAttempts, MaximumEventAgeInSeconds or DestinationConfig, or remove it";
        section.problem("", NOTHING_SET, fix);
    }
    let derived = wire.function_name.and_then(|name| again(&name, owner, section));
    let qualifier = qualifier(wire.qualifier, derived, owner, section);
    let (on_success, on_failure) = destination::check_for_events(wire.destination_config, owner.function, section);
    let config = EventInvokeConfig {
        maximum_retry_attempts: wire.maximum_retry_attempts,
        maximum_event_age: wire.maximum_event_age_in_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        on_success,
        on_failure,
    };
    section.is_good().then_some((qualifier, config))
}

/// Checks `FunctionName` of a config, which is that of its function again; its qualifier, if it has one.
fn again(name: &str, owner: &Owner<'_>, section: &mut Section<'_>) -> Option<String> {
    const FIELD: &str = "FunctionName";
    let parsed: FunctionName = match name.parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            let error: FunctionNameError = error;
            section.problem(FIELD, error.to_string(), "remove it, or write the function's name again");
            return None;
        }
    };
    let function = owner.function?;
    if !is_same(function, &parsed) {
        let message = format!("the config stands at the function {function}");
        section.problem(FIELD, message, format!("write {function}, or move the config to an entry of its own"));
    }
    parsed.qualifier().map(str::to_owned)
}

/// Whether two names can mean the same function.
fn is_same(one: &FunctionName, other: &FunctionName) -> bool {
    let place = |name: &FunctionName| {
        let arn: Arn = name.as_str().parse().ok()?;
        Some((arn.partition().to_owned(), arn.region().to_owned(), arn.account().to_owned()))
    };
    let places = place(one).zip(place(other));
    one.name() == other.name() && places.is_none_or(|(one, other)| one == other)
}

fn qualifier(written: Option<String>, derived: Option<String>, owner: &Owner<'_>, section: &mut Section<'_>) -> String {
    const FIELD: &str = "Qualifier";
    if let (Some(written), Some(derived)) = (&written, &derived)
        && written != derived
    {
        let message = "The derived qualifier from the function name does not match the specified qualifier.";
        section.problem(FIELD, message, format!("write {derived}, or leave it out of FunctionName"));
    }
    let qualifier = written.or(derived).unwrap_or_else(|| LATEST.to_owned());
    if let Err(error) = format!("f:{qualifier}").parse::<FunctionName>() {
        section.problem(FIELD, error.to_string(), "write $LATEST, a version number or an alias");
    } else if let Some(aliases) = owner.aliases
        && qualifier != LATEST
        && !aliases.contains(&qualifier)
    {
        let fix = "write $LATEST or one of Aliases, or add it there: a local function has no versions";
        section.problem(FIELD, "The function doesn't exist.", fix);
    }
    qualifier
}
