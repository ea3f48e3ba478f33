//! The rules of `DestinationConfig`.
use pelton_core::{Arn, DestinationArn, DestinationArnError, FunctionName};

use crate::event_source::{ARN_PATTERN, not_an_arn};
use crate::region;
use crate::section::Section;
use crate::wire::{DestinationConfig, DestinationType, EventDestination, EventDestinationConfig};

/// Destinations that are known to be good; bad ones are reported and left out.
#[derive(Default)]
pub(crate) struct Destinations {
    pub on_success: Option<DestinationArn>,
    pub on_failure: Option<DestinationArn>,
    pub overflow_bucket: Option<Arn>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Success,
    Failure,
}

impl On {
    /// In a file, and in AWS's messages.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Success => ("OnSuccess", "onSuccess"),
            Self::Failure => ("OnFailure", "onFailure"),
        }
    }
}

pub(crate) fn check(
    config: Option<DestinationConfig>,
    source: Option<&Arn>,
    function: Option<&Arn>,
    section: &mut Section<'_>,
) -> Destinations {
    let Some(config) = config else { return Destinations::default() };
    let is_function = |arn: &Arn| function.is_some_and(|function| is_same_function(function, arn));
    let mut one = |on: On, text: Option<String>| destination(on, &text?, source, &is_function, section);
    let on_success = one(On::Success, config.on_success.and_then(|to| to.destination));
    let on_failure = one(On::Failure, config.on_failure.and_then(|to| to.destination));
    let overflow_bucket = config.overflow_bucket.and_then(|text| overflow_bucket(&text, section));
    let is_written = |on: &str| section.node.at(&format!("DestinationConfig.{on}.Destination")).is_some();
    if overflow_bucket.is_some() && !is_written("OnSuccess") && !is_written("OnFailure") {
        let message = "OverflowBucket without a destination has nothing to keep";
        section.problem("DestinationConfig.OverflowBucket", message, "add OnSuccess or OnFailure, or remove it");
    }
    Destinations { on_success, on_failure, overflow_bucket }
}

/// The destinations, on success and on failure, of asynchronous invocations of a function.
pub(crate) fn check_for_events(
    config: Option<EventDestinationConfig>,
    function: Option<&FunctionName>,
    section: &mut Section<'_>,
) -> (Option<DestinationArn>, Option<DestinationArn>) {
    let Some(config) = config else { return (None, None) };
    // What a name leaves out is as in the destination: the settings count for every function of the name.
    let is_function = |arn: &Arn| {
        function.is_some_and(|function| function.arn(arn).is_ok_and(|function| is_same_function(&function, arn)))
    };
    let mut one = |on: On, to: Option<EventDestination>| {
        let EventDestination { destination: text, r#type: kind } = to?;
        if text.is_none() {
            no_destination(on, section);
        }
        let destination = destination(on, &text?, None, &is_function, section)?;
        agrees(on, &destination, kind, section).then_some(destination)
    };
    (one(On::Success, config.on_success), one(On::Failure, config.on_failure))
}

/// A side without a destination is AWS's way of saying that there is none, but not with SAM's `Type`.
fn no_destination(on: On, section: &mut Section<'_>) {
    let (side, _) = on.names();
    let is_written = |field: &str| section.node.at(&format!("DestinationConfig.{side}.{field}")).is_some();
    if is_written("Type") && !is_written("Destination") {
        let message = "SAM would make the destination, Pelton doesn't";
        let fix = "add the ARN of one that is there as Destination";
        section.problem(&format!("DestinationConfig.{side}.Type"), message, fix);
    }
}

fn agrees(on: On, destination: &DestinationArn, kind: Option<DestinationType>, section: &mut Section<'_>) -> bool {
    let (is, name) = match destination {
        DestinationArn::Queue(_) => (DestinationType::Queue, "SQS"),
        DestinationArn::Topic(_) => (DestinationType::Topic, "SNS"),
        DestinationArn::EventBus(_) => (DestinationType::EventBus, "EventBridge"),
        DestinationArn::Function(_) => (DestinationType::Function, "Lambda"),
        DestinationArn::Bucket(_) => (DestinationType::Bucket, "S3"),
    };
    let agrees = kind.is_none_or(|kind| kind == is);
    if !agrees {
        let field = format!("DestinationConfig.{}.Type", on.names().0);
        let message = format!("the destination's ARN is one of {name}");
        section.problem(&field, message, format!("write {name}, or remove it: the ARN says it anyway"));
    }
    agrees
}

fn destination(
    on: On,
    text: &str,
    source: Option<&Arn>,
    is_function: &dyn Fn(&Arn) -> bool,
    section: &mut Section<'_>,
) -> Option<DestinationArn> {
    let (side, member) = on.names();
    let takes = match on {
        On::Success => "an SQS queue, SNS topic, EventBridge event bus or Lambda function",
        On::Failure => "an SQS queue, SNS topic, EventBridge event bus, Lambda function or S3 bucket",
    };
    let field = format!("DestinationConfig.{side}.Destination");
    let fix = format!("write the ARN of {takes}");
    let destination: DestinationArn = match text.parse() {
        Ok(destination) => destination,
        Err(DestinationArnError::Arn(error)) => {
            let member = format!("destinationConfig.{member}.destination");
            let pattern = format!(r"$|kafka://([^.]([a-zA-Z0-9\-_.]{{0,248}}))|{ARN_PATTERN}");
            let message = match text {
                "" => "the destination is empty".to_owned(),
                _ if text.starts_with("kafka://") => "Kafka topics are not supported as destinations".to_owned(),
                _ => not_an_arn(text, &error, &member, &pattern),
            };
            section.problem(&field, message, fix);
            return None;
        }
        Err(DestinationArnError::Unsupported(_)) => {
            section.problem(&field, invalid_config(on, text), fix);
            return None;
        }
    };
    let arn = destination.arn();
    let is_bucket = matches!(destination, DestinationArn::Bucket(_));
    if is_bucket && on == On::Success {
        section.problem(&field, invalid_config(on, text), format!("{fix}; a bucket takes failures only"));
    } else if is_bucket && !is_bucket_arn(arn) {
        section.problem(
            &field,
            format!("The destination ARN {text} is invalid."),
            "write the bucket's ARN, such as arn:aws:s3:::records",
        );
    } else if !is_bucket && (!region::is_region(arn.region()) || arn.account().is_empty()) {
        section.problem(
            &field,
            format!("The destination ARN {text} is invalid."),
            format!("{fix}, with Region and account"),
        );
    } else if source == Some(arn) {
        let message = "the event source can't be its own destination: every record would come back as a message";
        section.problem(&field, message, "name another queue");
    } else if is_function(arn) {
        let message = "You can't specify the function as a destination for itself.";
        section.problem(&field, message, "name another function, or a queue, topic or event bus");
    } else {
        return Some(destination);
    }
    None
}

/// The same function, whatever the qualifiers.
fn is_same_function(one: &Arn, other: &Arn) -> bool {
    let name = |arn: &Arn| arn.resource().split(':').nth(1).map(str::to_owned);
    (one.service(), one.region(), one.account()) == (other.service(), other.region(), other.account())
        && name(one) == name(other)
}

fn is_bucket_arn(arn: &Arn) -> bool {
    let characters_are_good = arn
        .resource()
        .chars()
        .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || ".-_".contains(character));
    arn.region().is_empty()
        && arn.account().is_empty()
        && (3..=63).contains(&arn.resource().len())
        && characters_are_good
}

fn overflow_bucket(text: &str, section: &mut Section<'_>) -> Option<Arn> {
    match text.parse::<DestinationArn>() {
        Ok(DestinationArn::Bucket(arn)) if is_bucket_arn(&arn) => Some(arn),
        _ => {
            let message = format!("'{text}' is not the ARN of an S3 bucket");
            section.problem(
                "DestinationConfig.OverflowBucket",
                message,
                "write the bucket's ARN, such as arn:aws:s3:::records",
            );
            None
        }
    }
}

/// AWS's sentence for a destination of a kind that isn't taken.
fn invalid_config(on: On, arn: &str) -> String {
    let (success, failure) = match on {
        On::Success => (format!("OnSuccess(destination={arn})"), "null".to_owned()),
        On::Failure => ("null".to_owned(), format!("OnFailure(destination={arn})")),
    };
    format!("The provided destination config DestinationConfig(onSuccess={success}, onFailure={failure}) is invalid.")
}
