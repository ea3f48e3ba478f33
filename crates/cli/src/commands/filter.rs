//! `pelton filter test`: whether an event matches a pattern, and why.
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use pelton_pattern::{Decoding, Filters};

use crate::output;

/// Exit status where the pattern or the event can't be used.
pub const UNUSABLE: u8 = 2;
const NO_MATCH: u8 = 1;
/// AWS's text for any pattern it can't use; the place and the reason after it are Pelton's own.
const INVALID_PATTERN: &str = "Invalid filter pattern definition.";

/// Prints whether the event matches any of the patterns and what decided. Each argument is JSON, or `@` and a file.
pub fn test(patterns: &[String], event: &str, source: Option<Source>) -> anyhow::Result<ExitCode> {
    let patterns: Vec<String> =
        patterns.iter().map(|pattern| text_of(pattern, "pattern")).collect::<anyhow::Result<_>>()?;
    let event = text_of(event, "event")?;
    let filters = Filters::compile(&patterns, source.map_or(Decoding::AsGiven, Source::decoding))
        .map_err(|(index, error)| anyhow::anyhow!("{INVALID_PATTERN} pattern {}: {error}", index + 1))?;
    let explanation = filters.explain(event.as_bytes()).context("the event can't be used")?;
    output::print(&format!("{explanation}\n"))?;
    Ok(ExitCode::from(if explanation.matched { 0 } else { NO_MATCH }))
}

/// Whose records the event is one of.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Source {
    /// `body` is matched as JSON where the pattern asks for fields in it
    Sqs,
    /// `data` is decoded from base64, and matched as JSON where the pattern asks for fields in it
    Kinesis,
    /// As given: DynamoDB's records hold no encoded payload
    Dynamodb,
}

impl Source {
    fn decoding(self) -> Decoding {
        match self {
            Self::Sqs => Decoding::Sqs,
            Self::Kinesis => Decoding::Kinesis,
            Self::Dynamodb => Decoding::DynamoDb,
        }
    }
}

pub fn text_of(argument: &str, what: &str) -> anyhow::Result<String> {
    match argument.strip_prefix('@') {
        None => Ok(argument.to_owned()),
        Some(file) => {
            std::fs::read_to_string(Path::new(file)).with_context(|| format!("can't read the {what} from {file}"))
        }
    }
}
